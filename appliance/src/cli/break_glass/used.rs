//! A use of a warrant in full, for whoever reviews it.

use std::io::{Result, Write};

use assent_proto::number::Timestamp;

use crate::break_glass::{AllowedView, CharterView, FoundView, ReviewView, UseView, WarrantView};
use crate::cli::queue::describe_intent;
use crate::cli::utc;
use crate::shown::{escaped, uid_hides, visible};

/// A line for each thing that is known of it, then the intent, with whatever does not print made visible.
pub(super) fn describe(out: &mut impl Write, view: &UseView) -> Result<()> {
    let UseView { used, allowed, missing, warrant, charter, found } = view;
    let ReviewView { leaf, warrant: warrant_leaf, number, time_ms, .. } = used;
    writeln!(out, "use        {number} of the warrant at leaf {warrant_leaf}; leaf {leaf} of the log")?;
    writeln!(out, "time       {}", utc(Timestamp(*time_ms)))?;
    writeln!(out, "principal  {}", visible(&used.principal))?;
    if let Some(allowed) = allowed {
        writeln!(out, "audience   {}", visible(&allowed.audience))?;
    }
    writeln!(out, "action     {}", visible(&used.action))?;
    writeln!(out, "resource   {}", visible(&used.resource))?;
    if let Some(allowed) = allowed {
        decided(out, allowed)?;
    }
    if let Some(warrant) = warrant {
        given(out, warrant)?;
    }
    if let Some(charter) = charter {
        chartered(out, charter)?;
    }
    reviewed(out, used, found.as_ref())?;
    if let Some(missing) = missing {
        writeln!(out, "MISSING    {}", visible(missing))?;
    }
    match allowed {
        Some(AllowedView { digest, intent: Some(intent), .. }) => describe_intent(out, digest, intent),
        Some(AllowedView { digest, intent: None, .. }) => {
            writeln!(out, "intent     {digest}")?;
            marked(out, used)
        }
        None => marked(out, used),
    }
}

/// That what stands above is not all that was written, where no intent below says so.
fn marked(out: &mut impl Write, used: &ReviewView) -> Result<()> {
    let hidden = [&used.action, &used.resource].into_iter().filter(|written| uid_hides(written)).count();
    escaped(hidden as u64).map_or(Ok(()), |mark| writeln!(out, "{mark}"))
}

fn decided(out: &mut impl Write, allowed: &AllowedView) -> Result<()> {
    let (from, until) = (Timestamp(allowed.not_before_ms), Timestamp(allowed.not_after_ms));
    writeln!(out, "allowed    from {} until {}", utc(from), utc(until))?;
    writeln!(out, "risk       {}", allowed.risk)?;
    writeln!(out, "policies   {}", visible(&allowed.policies.join(", ")))?;
    writeln!(out, "bundle     {}", allowed.bundle)
}

fn given(out: &mut impl Write, warrant: &WarrantView) -> Result<()> {
    let (from, until) = (Timestamp(warrant.not_before_ms), Timestamp(warrant.not_after_ms));
    let (charter, by) = (visible(&warrant.charter), visible(&warrant.by.join(", ")));
    writeln!(out, "warrant    under the charter `{charter}`, signed by {by}")?;
    writeln!(out, "reason     {}", visible(&warrant.reason))?;
    writeln!(out, "lived      from {} until {}", utc(from), utc(until))?;
    writeln!(out, "uses       {} of {} were made; it is {}", warrant.used, warrant.uses, warrant.state)
}

fn chartered(out: &mut impl Write, charter: &CharterView) -> Result<()> {
    let CharterView { leaf, threshold, operators, by, .. } = charter;
    let (operators, by) = (visible(&operators.join(", ")), visible(&by.join(", ")));
    writeln!(
        out,
        "charter    at leaf {leaf}, ordered by {by}; warrants are signed by {threshold} of {operators}"
    )
}

fn reviewed(out: &mut impl Write, used: &ReviewView, found: Option<&FoundView>) -> Result<()> {
    match (found, used.review) {
        (Some(found), Some(leaf)) => {
            let said = format!("{}, says {}: {}", found.finding, found.by, found.text);
            writeln!(out, "review     at leaf {leaf}, {}: {}", utc(Timestamp(found.time_ms)), visible(&said))
        }
        (None, Some(leaf)) => writeln!(out, "review     at leaf {leaf}"),
        (_, None) => writeln!(out, "review     OPEN, due {}", utc(Timestamp(used.due_ms))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> UseView {
        let used = ReviewView {
            leaf: 20,
            warrant: 9,
            number: 2,
            time_ms: 0,
            principal: "spiffe://shop/agent/a\u{202e}".to_owned(),
            action: "Shop::Action::\"cancel\"".to_owned(),
            resource: assent_client::Uid::new("Shop::Order", "\u{1b}[2J").to_string(),
            review: None,
            due_ms: 86_400_000,
        };
        let missing = Some("the intent cannot be read".to_owned());
        UseView { used, allowed: None, missing, warrant: None, charter: None, found: None }
    }

    fn told(view: &UseView) -> String {
        let mut text = Vec::new();
        describe(&mut text, view).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_cannot_be_shown_is_said_and_the_rest_is_shown() {
        let text = told(&view());
        assert!(text.contains("MISSING    the intent cannot be read"), "{text}");
        assert!(text.contains("OPEN, due 1970-01-02T00:00:00.000Z"), "{text}");
        assert!(text.contains("\\u{202e}") && text.contains("\\u{1b}[2J"), "{text}");
        assert!(text.contains("\nESCAPED    1 text holds"), "{text}");
    }

    #[test]
    fn a_review_is_told_with_who_says_so() {
        let (mut view, by) = (view(), "carol".to_owned());
        view.used.review = Some(31);
        let (finding, text) = ("unjustified".to_owned(), "nobody\nasked".to_owned());
        view.found = Some(FoundView { finding, text, by, time_ms: 1000 });
        let text = told(&view);
        let line =
            "review     at leaf 31, 1970-01-01T00:00:01.000Z: unjustified, says carol: nobody\\nasked\n";
        assert!(text.contains(line), "{text}");
    }
}
