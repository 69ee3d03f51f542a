//! The file of a charter: TOML, as operators write it, and what of it the appliance is asked for.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use assent_client::{Uid, parse_rfc3339};
use serde::Deserialize;

use crate::break_glass::{CharterOrder, Entity, Extent, NotAfter};
use crate::config::duration;
use crate::limits::MAX_MANIFEST_BYTES;

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    name: String,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    /// Type names, or entities.
    resources: Vec<String>,
    #[serde(default)]
    principals: Vec<String>,
    /// How long the token boundary must have been closed.
    closed: String,
    /// The longest window of a warrant.
    window: String,
    /// The most uses of a warrant.
    uses: u16,
    operators: Vec<String>,
    threshold: u8,
    /// A duration from now, or a time.
    not_after: String,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> anyhow::Result<CharterOrder> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut text = String::new();
    file.take(16 * MAX_MANIFEST_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no charter", path.display()))
}

fn parse(text: &str) -> anyhow::Result<CharterOrder> {
    let wish: Wish = toml::from_str(text)?;
    Ok(CharterOrder {
        actions: wish.actions.iter().map(|uid| entity("actions", uid)).collect::<anyhow::Result<_>>()?,
        resources: wish.resources.iter().map(|scope| extent(scope)).collect::<anyhow::Result<_>>()?,
        closed_s: seconds("closed", &wish.closed)?,
        window_s: seconds("window", &wish.window)?,
        not_after: not_after(&wish.not_after)?,
        name: wish.name,
        categories: wish.categories,
        principals: wish.principals,
        uses: wish.uses,
        operators: wish.operators,
        threshold: wish.threshold,
    })
}

fn entity(key: &str, text: &str) -> anyhow::Result<Entity> {
    let uid: Uid = text.parse().with_context(|| format!("`{key}`"))?;
    Ok(Entity { type_name: uid.type_name, id: uid.id })
}

fn extent(text: &str) -> anyhow::Result<Extent> {
    if text.contains('"') {
        return entity("resources", text).map(Extent::One);
    }
    Ok(Extent::OfType(text.to_owned()))
}

/// Whole seconds.
pub(super) fn seconds(key: &str, text: &str) -> anyhow::Result<u32> {
    let parsed = duration(text).filter(|duration| duration.subsec_millis() == 0);
    let seconds = parsed.and_then(|duration| u32::try_from(duration.as_secs()).ok());
    seconds.ok_or_else(|| anyhow!("`{key}` is a duration in whole seconds with its unit, such as \"15m\""))
}

fn not_after(text: &str) -> anyhow::Result<NotAfter> {
    if let Some(lasting) = duration(text) {
        return Ok(NotAfter::In(u64::try_from(lasting.as_millis())?));
    }
    match parse_rfc3339(text).and_then(|ms| u64::try_from(ms).ok()) {
        Some(at) => Ok(NotAfter::At(at)),
        None => {
            bail!("`not_after` is a duration such as \"90d\", or a time such as \"2027-01-31T00:00:00Z\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARTER: &str = r#"
        name = "orders"
        actions = ["Retail::Action::\"cancel_pending_order\""]
        categories = ["services.desk"]
        resources = ["Retail::Order", "Retail::Store::\"web\""]
        closed = "5m"
        window = "15m"
        uses = 3
        operators = ["a", "b", "c"]
        threshold = 2
        not_after = "90d"
    "#;

    #[test]
    fn a_charter_is_read_as_it_is_written() {
        let charter = parse(CHARTER).unwrap();
        assert_eq!((charter.closed_s, charter.window_s, charter.uses), (300, 900, 3));
        assert_eq!(charter.actions[0].id, "cancel_pending_order");
        assert_eq!(charter.resources[0], Extent::OfType("Retail::Order".to_owned()));
        assert!(matches!(&charter.resources[1], Extent::One(one) if one.id == "web"));
        assert_eq!(charter.not_after, NotAfter::In(90 * 24 * 60 * 60 * 1000));
        let at = parse(&CHARTER.replace("90d", "1970-01-01T00:00:01Z")).unwrap();
        assert_eq!(at.not_after, NotAfter::At(1000));
    }

    #[test]
    fn what_is_no_charter_says_which_key_is_wrong() {
        for (from, to, key) in [
            ("5m", "5", "closed"),
            ("15m", "1500ms", "window"),
            ("90d", "soon", "not_after"),
            (r#"Retail::Action::\"cancel_pending_order\""#, "cancel", "actions"),
            ("uses = 3", "uses = 70000", "uses"),
            ("threshold", "treshold", "treshold"),
        ] {
            let error = parse(&CHARTER.replace(from, to)).expect_err(to);
            assert!(format!("{error:#}").contains(key), "{to}: {error:#}");
        }
    }
}
