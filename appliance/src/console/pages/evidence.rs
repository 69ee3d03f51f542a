//! Evidence, for auditors: what the log is now, what the last verification of all of it found, and how to take it along.
//!
//! What is counted here is the verification's and the report's, which `assent log report` makes too.

use assent_proto::entry::Kind;
use maud::{Markup, html};

use super::{ROW, Visitor, lasting, peers, raw, still, time};
use crate::cli::log::report::Told;
use crate::console::Console;
use crate::console::evidence::{FOLDER, Running, Standing, Verified, command};
use crate::console::live::Moment;
use crate::limits::MAX_EVIDENCE_ROWS;
use crate::log::fence::signed_note;
use crate::log::verification::{Finding, Gap, Report, WarrantReport};
use crate::serving::status::Status;
use crate::shown::counted;

pub(super) async fn live(console: &Console, moment: &Moment) -> Markup {
    let reader = console.reader().clone();
    // The checkpoint first, so that it is not ahead of the size.
    let read = move || reader.checkpoint().and_then(|signed| Ok((signed, reader.size()?)));
    let read = tokio::task::spawn_blocking(read).await.ok().and_then(Result::ok);
    let (signed, size) =
        read.map_or((None, moment.status.counters.log_size), |(signed, size)| (signed, size.0));
    let status = &moment.status;
    let Standing { running, newest, failed } = console.evidence();
    html! {
        section {
            h2 { "The log now" }
            dl {
                dt { "Origin" } dd { (peers(&status.origin, ROW * 2)) }
                dt { "Size" } dd { (counted(size, "entry", "entries")) ", of which " (size - signed.as_ref().map_or(0, |signed| signed.size.0.min(size))) " are under no signature yet" }
                dt { "Signed up to" } dd { @match &signed {
                    Some(signed) => { (signed.size.0) ", root " code { (signed.root) } }
                    None => { "nothing yet" }
                } }
                dt { "Key" } dd { code { (status.key.verifier_key) } }
                @if let Some(next) = &status.next_key { dt { "Announced key" } dd { code { (next.verifier_key) } } }
                dt { "Waits for people" } dd { (waits(status)) }
            }
            @if let Some(signed) = &signed {
                details { summary { "The newest signed checkpoint, to keep" } pre { code { (signed_note(&status.origin, signed)) } } }
            }
        }
        @if let Some(running) = &running { (under_way(running, status.now_ms)) }
        @if let Some(failed) = &failed { p.warn role="status" { "The verification of " (time(failed.at.0)) " was given up: " (peers(&failed.why, ROW * 8)) } }
        @match &newest {
            Some(newest) => { (found(newest, status.now_ms)) }
            None => { section { h2 { "Verification" } p { "Nobody has had the whole log verified since the appliance started." } } }
        }
    }
}

fn waits(status: &Status) -> Markup {
    let break_glass = &status.break_glass;
    html! {
        (counted(status.queue.awaiting_approval, "hold", "holds")) "; "
        (counted(break_glass.reviews_open, "review of a break-glass use", "reviews of break-glass uses")) ", "
        @if break_glass.reviews_overdue > 0 { b.bad { (break_glass.reviews_overdue) " of them overdue" } } @else { "none overdue" }
    }
}

fn under_way(running: &Running, now_ms: u64) -> Markup {
    let (done, total) = running.progress();
    let seconds = std::time::Duration::from_millis(now_ms.saturating_sub(running.since.0));
    html! {
        section {
            h2 { "A verification is under way" }
            p {
                progress aria-label="Entries verified" max=(total.max(1)) value=(done) {} " "
                (done) " of " (total) " entries, for " (lasting(seconds)) ", asked for by " (peers(&running.by, ROW))
            }
        }
    }
}

/// What the newest verification found, in short; the report has all of it.
fn found(newest: &Verified, now_ms: u64) -> Markup {
    let told = newest.told();
    let report = told.report();
    let ago = std::time::Duration::from_millis(now_ms.saturating_sub(newest.at.0));
    html! {
        section #verification data-verified=(report.verified()) {
            h2 { "Verification of " (time(newest.at.0)) }
            @if report.verified() {
                p.state.fine { "The log verifies" }
            } @else {
                p.state.bad { "The log does not verify: " (counted(report.findings_total, "finding", "findings")) }
            }
            p {
                (counted(report.entries, "entry", "entries")) " under " (counted(report.checkpoints, "signed checkpoint", "signed checkpoints"))
                ", within " (newest.took_ms) " ms, " (lasting(ago)) " ago; asked for by " (peers(&newest.by, ROW)) ". "
                a href="/evidence/report" { "The whole report" }
            }
            (figures(report))
            (findings("What must not be", "bad", &report.findings, report.findings_total))
            (findings("To be known", "soft", &report.remarks, report.remarks_total))
            (keys(report))
            (outages(&report.gaps))
            (warrants(&report.warrants))
        }
    }
}

fn figures(report: &Report) -> Markup {
    let uses = report.warrants.iter().map(|warrant| warrant.uses.len() as u64).sum::<u64>();
    let figures = [
        ("outages", report.gaps.len() as u64),
        ("trips", report.of_kind(Kind::Trip)),
        ("approvals", report.of_kind(Kind::Approval)),
        ("warrants", report.warrants.len() as u64),
        ("break-glass uses", uses),
        ("reviews open", report.open_reviews().count() as u64),
        ("operators' acts", report.of_kind(Kind::Operator)),
        ("starts", report.of_kind(Kind::Boot)),
    ];
    html! { dl.figures { @for (what, count) in figures { div { dt { (what) } dd { (count) } } } } }
}

fn findings(title: &str, class: &str, findings: &[Finding], total: u64) -> Markup {
    html! {
        @if !findings.is_empty() {
            h3 { (title) }
            ul class=(class) { @for finding in findings.iter().take(MAX_EVIDENCE_ROWS) {
                li { "at " (finding.index) ": " (peers(&finding.what, ROW * 4)) }
            } }
            (more(total, findings.len()))
        }
    }
}

fn more(total: u64, listed: usize) -> Markup {
    let left = total.saturating_sub(listed.min(MAX_EVIDENCE_ROWS) as u64);
    html! { @if left > 0 { p.soft { "And " (left) " more, in the whole report." } } }
}

fn keys(report: &Report) -> Markup {
    html! {
        h3 { "Keys that signed it" }
        div.wide role="group" tabindex="0" aria-label="Keys" { table {
            thead { tr { th { "Key ID" } th { "" } th.number { "Checkpoints" } th.number { "The first over" } } }
            tbody { @for key in &report.keys {
                tr {
                    td { code { (key.key_id) } }
                    td { @if key.trusted { "in the key ring" } @else { "vouched for by the log itself" } }
                    td.number { (key.checkpoints) }
                    td.number { (key.from_size) }
                }
            } }
        } }
    }
}

fn outages(gaps: &[Gap]) -> Markup {
    html! {
        h3 { "Outages, the last first" }
        @if gaps.is_empty() { p { "None: every entry was signed for as it was made." } } @else {
            div.wide role="group" tabindex="0" aria-label="Outages" { table {
                thead { tr { th { "From" } th { "Until" } th.number { "Entries" } th.number { "Denied" } th.number { "Held" } th.number { "Under a warrant" } th { "Causes" } th { "Closed by" } } }
                tbody { @for gap in gaps.iter().rev().take(MAX_EVIDENCE_ROWS) {
                    tr {
                        td { (time(gap.began_ms)) }
                        td { @match gap.until_ms { Some(until) => (time(until)), None => b.bad { "open" } } }
                        td.number { (gap.entries) } td.number { (gap.denials) } td.number { (gap.holds) } td.number { (gap.allows) }
                        td { (peers(&gap.causes.join(", "), ROW)) }
                        td { @match gap.covered_by {
                            Some(size) if gap.closed => { "checkpoint over " (size) }
                            Some(size) => { b.bad { "checkpoint over " (size) ", without an account" } }
                            None => {}
                        } }
                    }
                } }
            } }
            (more(gaps.len() as u64, gaps.len()))
        }
    }
}

fn warrants(warrants: &[WarrantReport]) -> Markup {
    html! {
        @if !warrants.is_empty() {
            h3 { "Warrants, the last first" }
            div.wide role="group" tabindex="0" aria-label="Warrants" { table {
                thead { tr { th { "Leaf" } th { "Charter" } th { "Activated" } th { "Why" } th { "Signed by" } th.number { "Uses" } th { "Reviews" } } }
                tbody { @for warrant in warrants.iter().rev().take(MAX_EVIDENCE_ROWS) {
                    tr {
                        td { a href=(format!("/log/{}", warrant.index)) { (warrant.index) } }
                        td { (peers(&warrant.charter_name, ROW)) }
                        td { (time(warrant.time_ms)) }
                        td { (peers(&warrant.reason, ROW)) }
                        td { (peers(&warrant.by.join(", "), ROW)) }
                        td.number { (warrant.uses.len()) " of " (warrant.uses_max) }
                        td { (reviews(warrant)) }
                    }
                } }
            } }
            (more(warrants.len() as u64, warrants.len()))
        }
    }
}

fn reviews(warrant: &WarrantReport) -> Markup {
    let open = warrant.uses.iter().filter(|used| used.review.is_none()).count();
    let bad = warrant
        .uses
        .iter()
        .filter(|used| used.review.as_ref().is_some_and(|review| !review.justified))
        .count();
    html! {
        @if open > 0 { b.bad { (open) " open" } } @else { "all closed" }
        @if bad > 0 { ", " b.bad { (bad) " not justified" } }
    }
}

/// What does not change: how to have it verified here, and elsewhere.
pub(super) fn doors(console: &Console, visitor: &Visitor) -> Markup {
    let command = command(console.reader().path());
    html! {
        section {
            h2 { "Verify here" }
            p { "Every leaf, every checkpoint and every gap, in the background: " code { "assent log report" } " of the log as it is now. Decisions wait for none of it." }
            form method="post" action="/evidence/verify" {
                input type="hidden" name="csrf" value=(visitor.session.csrf());
                button { "Verify the whole log" }
            }
        }
        section {
            h2 { "Verify elsewhere" }
            p { "A copy of the log as it is now, with its newest signed checkpoint, is one file. That it was made stands in the log." }
            form method="post" action="/evidence/download" {
                input type="hidden" name="csrf" value=(visitor.session.csrf());
                button { "Download the log" }
            }
            p { "Unpack it with " code { "tar xf" } ", put the trust file that you have from elsewhere beside it, and" }
            pre { code #command { (command) } }
            p.soft {
                "It ends with 0 where everything holds, and with 3 where anything does not. " code { (FOLDER) "/trust.toml" }
                " is what this appliance says of its own keys: with it, the command shows that the copy is whole, and not whose it is."
            }
        }
    }
}

/// The report, as the newest verification made it.
#[must_use]
pub fn report(console: &Console, visitor: &Visitor) -> Markup {
    let newest = console.evidence().newest;
    let told: Option<&Told> = newest.as_deref().map(Verified::told);
    still(
        console,
        "Report",
        visitor,
        &html! {
            p { a href="/evidence" { "Evidence" } }
            @match told {
                // `cli::log::report` escapes every text of a peer in it.
                Some(told) => div.report { (raw(told.body())) },
                None => p { "Nobody has had the whole log verified since the appliance started." },
            }
        },
    )
}

/// Why nothing began.
#[must_use]
pub fn not_begun(console: &Console, why: &str, visitor: &Visitor) -> Markup {
    still(
        console,
        "Evidence",
        visitor,
        &html! { p.warn { (peers(why, ROW * 8)) } p { a href="/evidence" { "Evidence" } } },
    )
}
