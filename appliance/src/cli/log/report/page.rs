//! The page of a report: verdict, figures, pictures, lists, and how to check all of it without this program.

use std::fmt::Write as _;

use assent_proto::entry::Kind;
use assent_proto::number::Timestamp;

use super::account::Names;
use super::events::{self, lasted, time};
use super::histogram::Tally;
use super::{STYLE as OWN_STYLE, Told, pictures, warrants};
use crate::cli::html::{STYLE, escaped};
use crate::cli::log::entry::{kind_name, visible};
use crate::cli::utc;
use crate::log::verification::{Finding, Silence};
use crate::shown::counted;

/// Names that a table shows.
const MOST_NAMES: usize = 15;

/// The page, as a document of its own.
pub(super) fn document(told: &Told) -> String {
    let origin = escaped(&visible(&told.origin));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Log report: {origin}</title><style>{STYLE}{OWN_STYLE}</style></head><body class=\"report\">\n<h1>Log report</h1>\n\
         {}</body></html>\n",
        body(told),
    )
}

/// What stands in it.
pub(super) fn body(told: &Told) -> String {
    let mut page = String::with_capacity(256 * 1024);
    let (from_ms, to_ms) = bounds(told);
    let _ = writeln!(
        page,
        "<p><b>{}</b>, {} to {} (UTC)<br><span class=\"soft\">made {} by assent {}</span></p>",
        escaped(&visible(&told.origin)),
        time(from_ms),
        time(to_ms),
        time(told.made.0),
        env!("CARGO_PKG_VERSION"),
    );
    verdict(&mut page, told);
    let gaps = events::gaps_of(told);
    figures(&mut page, told, gaps.len());
    page.push_str("<h2>Decisions over time</h2>\n");
    let owned: Vec<_> = gaps.iter().map(|gap| (*gap).clone()).collect();
    pictures::over_time(&mut page, &told.account.over_time, (&owned, &told.stops), from_ms, to_ms);
    refusals(&mut page, told);
    names(&mut page, "Policies that decided", &told.account.policies);
    names(&mut page, "Principals", &told.account.principals);
    names(&mut page, "Actions", &told.account.actions);
    events::outages(&mut page, &gaps);
    warrants::table(&mut page, told);
    liveness(&mut page, told);
    events::lists(&mut page, told);
    checking(&mut page, told);
    page
}

/// From when until when the page tells: what was asked for, or what there is.
fn bounds(told: &Told) -> (u64, u64) {
    let (first, last) = told.account.times_ms.unwrap_or((told.made.0, told.made.0));
    let from = told.period.from.map_or(first, |from| from.0.0);
    let to = told.period.to.map_or(last, |to| to.0.0);
    (from, to.max(from))
}

fn verdict(page: &mut String, told: &Told) {
    let report = &told.report;
    let (class, words) = match report.verified() {
        true => ("verdict", "<b class=\"held\">The log verifies.</b>".to_owned()),
        false => {
            let findings = counted(report.findings_total, "finding", "findings");
            ("verdict failed", format!("<b class=\"failed\">The log DOES NOT VERIFY: {findings}.</b>"))
        }
    };
    let _ = writeln!(
        page,
        "<div class=\"{class}\">{words} All of it was looked at as this page was made, from its first leaf: {} under {}.",
        counted(report.entries, "entry", "entries"),
        counted(report.checkpoints, "signed checkpoint", "signed checkpoints"),
    );
    let signed = report.head.map_or(0, |head| head.size.0);
    let _ = write!(page, "<ul><li>trusting {}</li>", escaped(&visible(&told.trust)));
    if signed < report.entries {
        let behind = report.entries - signed;
        let behind = counted(behind, "entry behind that is", "entries behind that are");
        let _ =
            write!(page, "<li class=\"failed\">signed up to {signed}: {behind} under no signature yet</li>");
    }
    for keeper in &report.agreed {
        let _ = write!(page, "<li>leads to {}</li>", escaped(&visible(keeper)));
    }
    for key in &report.keys {
        let trust = if key.trusted { "which is trusted" } else { "which the log itself vouches for" };
        let _ = write!(
            page,
            "<li>key <code>{}</code>, {trust}: {}, the first over {}</li>",
            escaped(&key.key_id),
            counted(key.checkpoints, "checkpoint", "checkpoints"),
            key.from_size,
        );
    }
    if let Some(beside) = &report.beside {
        let _ = write!(
            page,
            "<li>{} recorded intents have the digests that their entries name; {} were erased</li><li>{} recorded answers lead to \
             their entries, byte for byte</li>",
            beside.intents, beside.erased, beside.answers,
        );
    }
    let list = |page: &mut String, class: &str, findings: &[Finding]| {
        for Finding { index, what } in findings {
            let _ = write!(page, "<li class=\"{class}\">at {index}: {}</li>", escaped(&visible(what)));
        }
    };
    list(page, "failed", &report.findings);
    list(page, "soft", &report.remarks);
    page.push_str("</ul></div>\n");
}

fn figures(page: &mut String, told: &Told, outages: usize) {
    let Tally { allowed, denied, held, unavailable } = told.account.total;
    let starts = told.account.kinds.get(&Kind::Boot.number()).copied().unwrap_or_default();
    page.push_str("<div class=\"figures\">");
    for (figure, what) in [
        (told.account.entries, "entries"),
        (allowed, "allowed"),
        (told.account.under_warrants, "under warrants"),
        (denied, "denied"),
        (held, "held"),
        (unavailable, "unavailable"),
        (outages as u64, "outages"),
        (starts, "starts"),
    ] {
        let _ = write!(page, "<div><b>{}</b><span>{what}</span></div>", grouped(figure));
    }
    page.push_str("</div>\n");
}

fn refusals(page: &mut String, told: &Told) {
    let refusals = &told.account.refusals;
    let _ = writeln!(page, "<h2>Refusals</h2>");
    if refusals.is_empty() {
        page.push_str("<p class=\"soft\">None in the period.</p>\n");
        return;
    }
    let most = refusals.values().copied().max().unwrap_or_default();
    let mut sorted: Vec<_> = refusals.iter().collect();
    sorted.sort_by(|(name, count), (other, others)| others.cmp(count).then(name.cmp(other)));
    page.push_str("<div class=\"wide\" role=\"group\" tabindex=\"0\"><table><tbody>\n");
    for (name, count) in sorted {
        let tally = match *name {
            "TOKEN_UNAVAILABLE" | "EVALUATION_UNAVAILABLE" => {
                Tally { unavailable: *count, ..Tally::default() }
            }
            "APPROVAL_REQUIRED" | "AWAITING_APPROVAL" => Tally { held: *count, ..Tally::default() },
            _ => Tally { denied: *count, ..Tally::default() },
        };
        let _ = writeln!(
            page,
            "<tr><td>{name}</td><td class=\"number\">{}</td><td class=\"share\">{}</td></tr>",
            grouped(*count),
            pictures::share(&tally, most),
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn names(page: &mut String, title: &str, names: &Names) {
    let (top, count) = names.top(MOST_NAMES);
    let _ = writeln!(page, "<h2>{title}: {count}</h2>");
    let Some((_, first)) = top.first() else {
        page.push_str("<p class=\"soft\">None in the period.</p>\n");
        return;
    };
    page.push_str(
        "<div class=\"wide\" role=\"group\" tabindex=\"0\"><table><thead><tr><th></th><th class=\"number\">allowed</th><th class=\"number\">denied</th><th class=\"number\">held\
         </th><th class=\"number\">unavailable</th><th></th></tr></thead><tbody>\n",
    );
    for (name, tally) in &top {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"share\">{}</td></tr>",
            if name.is_empty() { "<i>no name</i>".to_owned() } else { escaped(&visible(name)) },
            grouped(tally.allowed),
            grouped(tally.denied),
            grouped(tally.held),
            grouped(tally.unavailable),
            pictures::share(tally, first.all()),
        );
    }
    page.push_str("</tbody></table></div>\n");
    let more = count.saturating_sub(top.len());
    if more > 0 {
        let others = grouped(names.others.all());
        let more = if names.others.all() > 0 {
            format!("{more} and more, and {others} intents of names beyond")
        } else {
            more.to_string()
        };
        let _ = writeln!(page, "<p class=\"soft\">And {more} others.</p>");
    }
}

fn liveness(page: &mut String, told: &Told) {
    let signs = told.account.kinds.get(&Kind::Status.number()).copied().unwrap_or_default();
    let _ = write!(page, "<h2>Liveness</h2>\n<ul><li>{} signs of life in the period</li>", grouped(signs));
    let line = |page: &mut String, silence: &Option<Silence>, how: &str| {
        if let Some(Silence { ms, from_ms, index }) = silence {
            let (lasted, from) = (lasted(*ms), time(*from_ms));
            let _ =
                write!(page, "<li>in the whole log, {how}: {lasted}, from {from}, up to entry {index}</li>");
        }
    };
    line(page, &told.report.silence, "the longest time without an entry while the appliance ran");
    line(page, &told.report.stopped, "the longest time until it was started again");
    page.push_str("</ul>\n");
}

fn checking(page: &mut String, told: &Told) {
    page.push_str("<h2>Check it yourself</h2>\n");
    match &told.note {
        None => page.push_str("<p>No checkpoint was signed yet, so nothing here can be proved.</p>\n"),
        Some(note) => {
            let _ = writeln!(
                page,
                "<p>Every proof above leads to this checkpoint, a C2SP signed note:</p><pre>{}</pre>\n\
                 <p>Hold its key against a trust file that you have from elsewhere, and ask whoever keeps checkpoints of this log (a \
                 witness, the fence, another auditor) whether theirs agree: a page cannot show that there is no other log.</p>\n<ul>\
                 <li>A proof is a C2SP tlog-proof file: save it, then <code>assent log check-proof FILE --trust trust.toml</code>, or any \
                 other tool that reads the format. Its <code>extra</code> line is the leaf in base64; the leaf hash is SHA-256 of a zero \
                 byte and the leaf; the hashes lead to the root as RFC 6962 says.</li>\
                 <li>The whole log, from a copy: <code>assent log verify --log COPY --trust trust.toml --against NOTE</code>, where NOTE is \
                 the note above in a file; with <code>--replay</code> every recorded decision is made again.</li>\
                 <li>Without this program: Go's <code>sumdb/note</code> and <code>sumdb/tlog</code> verify note and proofs.</li></ul>",
                escaped(note),
            );
        }
    }
    let kinds: Vec<String> =
        told.report.kinds.iter().map(|(kind, count)| format!("{} {count}", kind_name(*kind))).collect();
    let made = utc(Timestamp(told.made.0));
    let _ = writeln!(page, "<p class=\"soft\">In the whole log at {made}: {}.</p>", kinds.join(", "));
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
