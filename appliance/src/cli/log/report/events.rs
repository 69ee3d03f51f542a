//! The lists of a report: outages, and what the appliance and its operators did, each entry with its proof, folded.

use std::fmt::Write as _;
use std::time::Duration;

use assent_proto::entry::Kind;
use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;

use super::Told;
use super::account::Event;
use crate::cli::html::escaped;
use crate::cli::log::entry::{kind_name, visible};
use crate::cli::utc;
use crate::log::verification::Gap;
use crate::shown::counted;

/// What is listed together, in this order.
const LISTS: &[(&str, &[Kind])] = &[
    ("Trips and re-arms", &[Kind::Trip, Kind::Rearm, Kind::Outage]),
    ("Starts", &[Kind::Boot]),
    ("Bundles", &[Kind::Bundle]),
    ("Keys", &[Kind::Key]),
    ("Operators' acts", &[Kind::Operator]),
    ("Drills", &[Kind::Drill]),
    ("Approvals", &[Kind::Approval]),
    (
        "Break-glass: charters, warrants, uses and reviews",
        &[Kind::Charter, Kind::Warrant, Kind::Allow, Kind::Review],
    ),
];

/// The gaps that lie in the period, or reach into it.
pub(super) fn gaps_of(told: &Told) -> Vec<&Gap> {
    let (from, to) =
        (told.period.from.map_or(0, |from| from.0.0), told.period.to.map_or(u64::MAX, |to| to.0.0));
    let within = |gap: &&Gap| gap.began_ms < to && gap.until_ms.is_none_or(|until| until >= from);
    told.report.gaps.iter().filter(within).collect()
}

/// The table of outages.
pub(super) fn outages(page: &mut String, gaps: &[&Gap]) {
    let _ = writeln!(page, "<h2 id=\"outages\">Outages: {}</h2>", gaps.len());
    if gaps.is_empty() {
        page.push_str("<p class=\"soft\">Every entry of the period was signed for as it was made.</p>\n");
        return;
    }
    page.push_str(
        "<p class=\"soft\">Entries that no checkpoint covered at the time. What is counted here stands in the log; the outage \
         entry that closes a gap must say the same, or the log does not verify.</p>\n<div class=\"wide\" role=\"group\" tabindex=\"0\"><table><thead><tr><th>from</th><th>until</th>\
         <th class=\"number\">lasted</th><th class=\"number\">entries</th><th class=\"number\">denied</th>\
         <th class=\"number\">held</th><th>causes</th><th>closed by</th></tr></thead><tbody>\n",
    );
    for gap in gaps {
        let until = gap.until_ms.map_or_else(|| "<b class=\"failed\">open</b>".to_owned(), time);
        let lasted =
            gap.until_ms.map_or_else(String::new, |until| lasted(until.saturating_sub(gap.began_ms)));
        let closed = match gap.covered_by {
            Some(size) if gap.closed => format!("checkpoint over {size}"),
            Some(size) => format!("<b class=\"failed\">checkpoint over {size}, without an account</b>"),
            None => String::new(),
        };
        let starts = if gap.starts > 0 {
            format!(" ({})", counted(gap.starts, "start", "starts"))
        } else {
            String::new()
        };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{until}</td><td class=\"number\">{lasted}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}{starts}</td><td>{closed}</td></tr>",
            time(gap.began_ms),
            gap.entries,
            gap.denials,
            gap.holds,
            escaped(&visible(&gap.causes.join(", "))),
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// The lists of events.
pub(super) fn lists(page: &mut String, told: &Told) {
    for (title, kinds) in LISTS {
        let mut listed: Vec<(&Event, &Option<String>)> = Vec::new();
        listed.extend(
            told.account.events.iter().zip(&told.proofs).filter(|(event, _)| kinds.contains(&event.kind)),
        );
        let count: u64 = kinds.iter().map(|kind| count_of(told, *kind)).sum();
        let _ = writeln!(page, "<h2>{title}: {count}</h2>");
        if listed.is_empty() {
            page.push_str("<p class=\"soft\">None in the period.</p>\n");
            continue;
        }
        page.push_str("<div class=\"wide\" role=\"group\" tabindex=\"0\"><table class=\"events\"><tbody>\n");
        listed.iter().for_each(|(event, proof)| row(page, event, proof.as_deref()));
        page.push_str("</tbody></table></div>\n");
        let more = count.saturating_sub(listed.len() as u64);
        if more > 0 {
            let _ = writeln!(
                page,
                "<p class=\"soft\">And {more} more, which <code>assent log show</code> lists.</p>"
            );
        }
    }
}

/// How many entries of a kind are to be listed: of allows those under a warrant.
fn count_of(told: &Told, kind: Kind) -> u64 {
    let account = &told.account;
    if kind == Kind::Allow {
        return account.under_warrants;
    }
    account.kinds.get(&kind.number()).copied().unwrap_or_default()
}

fn row(page: &mut String, event: &Event, proof: Option<&str>) {
    let proof = match proof {
        Some(proof) => format!(
            "<details><summary>proof</summary><p class=\"soft\">leaf hash {}</p><pre>{}</pre></details>",
            Hash::of_leaf(&event.leaf),
            escaped(proof),
        ),
        None => "<span class=\"failed\">no checkpoint covers it yet</span>".to_owned(),
    };
    let _ = writeln!(
        page,
        "<tr><td class=\"number\">{}</td><td>{}</td><td>{}</td><td>{}{proof}</td></tr>",
        event.index,
        time(event.time_ms),
        kind_name(event.kind),
        escaped(&visible(&event.about)),
    );
}

/// A point in time.
pub(super) fn time(ms: u64) -> String {
    utc(Timestamp(ms)).replace('T', " ").replace('Z', "")
}

/// A span of time.
pub(super) fn lasted(ms: u64) -> String {
    let (seconds, rest) = (ms / 1000, ms % 1000);
    match seconds {
        0..=59 => format!("{:.1?}", Duration::from_millis(seconds * 1000 + rest)),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
