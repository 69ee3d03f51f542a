//! The warrants of a report: each with its uses, and what its reviews say.
//!
//! They are told as the verification found them in the whole log, so that a review behind the period is told too. The entries
//! themselves, with their proofs, are among the events.

use std::fmt::Write as _;

use super::Told;
use super::events::time;
use crate::cli::html::escaped;
use crate::cli::log::entry::visible;
use crate::log::verification::{UseReport, WarrantReport};
use crate::shown::counted;

/// The warrants that lived in the period.
fn within(told: &Told) -> Vec<&WarrantReport> {
    let (from, to) =
        (told.period.from.map_or(0, |from| from.0.0), told.period.to.map_or(u64::MAX, |to| to.0.0));
    let lived = |warrant: &&WarrantReport| warrant.time_ms < to && warrant.not_after_ms >= from;
    told.report.warrants.iter().filter(lived).collect()
}

/// The table of warrants.
pub(super) fn table(page: &mut String, told: &Told) {
    let warrants = within(told);
    let _ = writeln!(page, "<h2 id=\"warrants\">Warrants: {}</h2>", warrants.len());
    if warrants.is_empty() {
        page.push_str("<p class=\"soft\">Nothing was allowed under a warrant in the period.</p>\n");
    }
    warrants.into_iter().for_each(|warrant| one(page, warrant));
}

fn one(page: &mut String, warrant: &WarrantReport) {
    let text = |text: &str| escaped(&visible(text));
    let _ = writeln!(
        page,
        "<p><b>At leaf {}</b> under <code>{}</code>, signed by {}: {}<br><span class=\"soft\">activated {}, until {} at most; {} of {} made, \
         {}</span></p>",
        warrant.index,
        text(&warrant.charter_name),
        text(&warrant.by.join(", ")),
        text(&warrant.reason),
        time(warrant.time_ms),
        time(warrant.not_after_ms),
        warrant.uses.len(),
        counted(warrant.uses_max.into(), "use", "uses"),
        open(warrant),
    );
    if warrant.uses.is_empty() {
        return;
    }
    page.push_str(
        "<div class=\"wide\" role=\"group\" tabindex=\"0\"><table><thead><tr><th class=\"number\">use</th><th class=\"number\">leaf</th><th>time</th><th>what was done</th>\
         <th>review</th></tr></thead><tbody>\n",
    );
    for used in &warrant.uses {
        let UseReport { index, number, time_ms, principal, action, resource, .. } = used;
        let _ = writeln!(
            page,
            "<tr><td class=\"number\">{number}</td><td class=\"number\">{index}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            time(*time_ms),
            text(&format!("{action} on {resource} by {principal}")),
            reviewed(used),
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn open(warrant: &WarrantReport) -> String {
    let open = warrant.uses.iter().filter(|used| used.review.is_none()).count() as u64;
    match open {
        0 => "every review is closed".to_owned(),
        open => format!("<b class=\"failed\">{} open</b>", counted(open, "review is", "reviews are")),
    }
}

fn reviewed(used: &UseReport) -> String {
    let Some(review) = &used.review else { return "<b class=\"failed\">open</b>".to_owned() };
    let (by, said) = (escaped(&visible(&review.by)), escaped(&visible(&review.text)));
    let finding = if review.justified { "justified" } else { "<b class=\"failed\">not justified</b>" };
    format!("{finding}, says {by} at leaf {}, {}: {said}", review.index, time(review.time_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::verification::ReviewReport;

    fn used(review: Option<ReviewReport>) -> UseReport {
        UseReport {
            index: 20,
            number: 1,
            time_ms: 0,
            principal: "spiffe://shop/agent/a".to_owned(),
            action: "Shop::Action::\"cancel\"".to_owned(),
            resource: "Shop::Order::\"<b>\"".to_owned(),
            review,
        }
    }

    #[test]
    fn each_use_is_told_with_its_review_or_that_it_has_none() {
        let (text, by) = ("<i>nobody asked</i>".to_owned(), "carol".to_owned());
        let review = ReviewReport { index: 31, time_ms: 1000, by, justified: false, text };
        let warrant = WarrantReport {
            index: 9,
            charter: 5,
            charter_name: "orders".to_owned(),
            time_ms: 0,
            not_before_ms: 0,
            not_after_ms: 60_000,
            reason: "the HSM is gone".to_owned(),
            by: vec!["alice".to_owned(), "bob".to_owned()],
            uses_max: 3,
            uses: vec![used(Some(review)), used(None)],
        };
        let mut page = String::new();
        one(&mut page, &warrant);
        for told in [
            "signed by alice, bob: the HSM is gone",
            "2 of 3 uses made, <b class=\"failed\">1 review is open</b>",
            "not justified</b>, says carol at leaf 31, 1970-01-01 00:00:01.000: &lt;i&gt;nobody asked",
            "<td><b class=\"failed\">open</b></td>",
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
        assert!(!page.contains("\"<b>\""), "{page}");
    }
}
