//! Template links: `links.json`, in the format of the Cedar command line's `--template-linked`.
//!
//! The rule it keeps: a link names a template that is there and fills exactly its slots, and each is told with its line
//! where it does not. Linking itself is Cedar's.

use crate::bundle::Document;
use crate::diagnosis::Diagnosis;
use crate::error::BundleError;
use crate::json::{elements, find};
use crate::policy::Origin;
use cedar_policy::{EntityUid, SlotId, Template};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What to do about a file that is not one of links.
const FORMAT: &str = "write a list of {\"template_id\": \"..\", \"link_id\": \"..\", \"args\": {\"?principal\": \"User::\\\"alice\\\"\"}}";

/// A link as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkJson {
    template_id: String,
    link_id: String,
    #[serde(deserialize_with = "arguments")]
    args: BTreeMap<String, String>,
}

/// Arguments by slot; a slot that occurs twice is an error and not the last of the two.
fn arguments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Arguments;
    impl<'de> Visitor<'de> for Arguments {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of slots and entity uids")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut arguments = BTreeMap::new();
            while let Some((slot, uid)) = map.next_entry::<String, String>()? {
                if let Some(first) = arguments.insert(slot.clone(), uid) {
                    return Err(A::Error::custom(format!("slot `{slot}` is filled twice, first by {first}")));
                }
            }
            Ok(arguments)
        }
    }
    deserializer.deserialize_map(Arguments)
}

/// A link and where it stands.
#[derive(Debug)]
pub(crate) struct Link<'d> {
    pub(crate) template_id: String,
    pub(crate) link_id: String,
    args: BTreeMap<String, String>,
    document: &'d Document,
    range: Range<usize>,
}

/// Reads the links of a document. An empty one has none, as with Cedar.
pub(crate) fn links(document: &Document) -> Result<Vec<Link<'_>>, BundleError> {
    if document.text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let read: Vec<LinkJson> = serde_json::from_str(&document.text).map_err(|error| {
        let at = document.offset(error.line(), error.column());
        BundleError::links(Diagnosis::new(document, at..at, error.to_string(), FORMAT))
    })?;
    // A list that was read has as many elements as there are links.
    let places = elements(&document.text).into_iter().chain(std::iter::repeat(0..0));
    let link = |(json, range): (LinkJson, Range<usize>)| Link {
        template_id: json.template_id,
        link_id: json.link_id,
        args: json.args,
        document,
        range,
    };
    Ok(read.into_iter().zip(places).map(link).collect())
}

impl<'d> Link<'d> {
    /// Where its id stands.
    pub(crate) fn origin(&self) -> Origin<'d> {
        Origin { document: self.document, at: self.part(&self.link_id).start }
    }

    /// The place of a string within the link; of the whole link where it is not found as it is.
    fn part(&self, written: &str) -> Range<usize> {
        find(&self.document.text, &self.range, written).unwrap_or(self.range.clone())
    }

    fn wrong(&self, at: Range<usize>, message: String, help: String) -> BundleError {
        BundleError::links(Diagnosis::new(self.document, at, message, help))
    }

    pub(crate) fn rejected(&self, message: &str) -> BundleError {
        let message = format!("link `{}`: {message}", self.link_id);
        self.wrong(self.range.clone(), message, FORMAT.to_owned())
    }

    pub(crate) fn unknown_template(&self, known: &[String]) -> BundleError {
        let message =
            format!("link `{}` names template `{}`, which is not there", self.link_id, self.template_id);
        let help = match known {
            [] => "no policy of the bundle has a slot: write the template, or take the link out".to_owned(),
            known => format!("name one of the templates: {}", known.join(", ")),
        };
        self.wrong(self.part(&self.template_id), message, help)
    }

    /// The slots of the template, filled.
    pub(crate) fn slots(&self, template: &Template) -> Result<HashMap<SlotId, EntityUid>, BundleError> {
        let mut filled = HashMap::new();
        let wanted: BTreeMap<String, SlotId> =
            template.slots().map(|slot| (slot.to_string(), slot.clone())).collect();
        let listed = wanted.keys().cloned().collect::<Vec<_>>().join(" and ");
        for (slot, uid) in &self.args {
            let Some(id) = wanted.get(slot) else {
                let message = format!(
                    "link `{}` fills {slot}, which template `{}` has not",
                    self.link_id, self.template_id
                );
                return Err(self.wrong(self.part(slot), message, format!("fill {listed} and nothing else")));
            };
            let entity = uid.parse::<EntityUid>().map_err(|error| {
                let message = format!("link `{}`: {slot} is not an entity uid: {error}", self.link_id);
                self.wrong(
                    self.part(slot),
                    message,
                    "write it as in a policy: \"User::\\\"alice\\\"\"".to_owned(),
                )
            })?;
            filled.insert(id.clone(), entity);
        }
        match wanted.keys().find(|slot| !self.args.contains_key(*slot)) {
            None => Ok(filled),
            Some(missing) => {
                let message = format!(
                    "link `{}` does not fill {missing} of template `{}`",
                    self.link_id, self.template_id
                );
                Err(self.wrong(self.range.clone(), message, format!("give \"args\" an entity for {listed}")))
            }
        }
    }
}
