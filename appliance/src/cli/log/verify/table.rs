//! The report of a verification, for people.

use std::io::Write;

use assent_proto::number::Timestamp;

use super::predecessor::Predecessor;
use super::replay::Replayed;
use crate::cli::log::entry::{kind_name, visible};
use crate::cli::utc;
use crate::log::verification::{Beside, Gap, Report, Silence, UseReport, WarrantReport};
use crate::shown::counted;

/// Writes it.
pub(super) fn write(
    out: &mut impl Write,
    (origin, trust): (&str, &str),
    report: &Report,
    replayed: Option<&Replayed>,
    before: Option<&Predecessor>,
) -> std::io::Result<()> {
    writeln!(out, "{origin}")?;
    writeln!(out, "  trusting     {}", visible(trust))?;
    writeln!(out, "  entries      {}", report.entries)?;
    for (kind, count) in &report.kinds {
        writeln!(out, "    {:<10} {count}", kind_name(*kind))?;
    }
    if let Some((first, last)) = report.times_ms {
        writeln!(out, "  made         {} to {}", time(first), time(last))?;
    }
    writeln!(out, "  checkpoints  {} verified", counted(report.checkpoints, "signature", "signatures"))?;
    for key in &report.keys {
        let trust = if key.trusted { "" } else { ", which the log itself vouches for" };
        writeln!(out, "    by {}   {}, the first at {}{trust}", key.key_id, key.checkpoints, key.from_size)?;
    }
    if let Some(before) = before {
        before.write(out)?;
    }
    for keeper in &report.agreed {
        writeln!(out, "  leads to     {}", visible(keeper))?;
    }
    if let Some(beside) = &report.beside {
        self::beside(out, beside)?;
    }
    if let Some(replayed) = replayed {
        self::replayed(out, replayed)?;
    }
    for gap in &report.gaps {
        self::gap(out, gap)?;
    }
    for warrant in &report.warrants {
        self::warrant(out, warrant)?;
    }
    silence(out, "silent       for", report.silence.as_ref(), "while it ran")?;
    silence(out, "stopped      for", report.stopped.as_ref(), "until it was started again")?;
    for remark in &report.remarks {
        writeln!(out, "  note         at {}: {}", remark.index, visible(&remark.what))?;
    }
    more(out, report.remarks_total, report.remarks.len(), ("note", "notes"))?;
    for finding in &report.findings {
        writeln!(out, "  WRONG        at {}: {}", finding.index, visible(&finding.what))?;
    }
    more(out, report.findings_total, report.findings.len(), ("finding", "findings"))?;
    if !report.verified() {
        return writeln!(out, "  the log DOES NOT VERIFY");
    }
    let signed = report.head.map_or(0, |head| head.size.0);
    match report.entries.saturating_sub(signed) {
        0 => writeln!(out, "  the log verified"),
        unsigned => {
            writeln!(
                out,
                "  the log verified up to {signed}; {} under no signature yet",
                counted(unsigned, "entry behind that is", "entries behind that are")
            )
        }
    }
}

fn more(out: &mut impl Write, total: u64, shown: usize, (one, several): (&str, &str)) -> std::io::Result<()> {
    match total.saturating_sub(shown as u64) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more {}", if more == 1 { one } else { several }),
    }
}

fn beside(out: &mut impl Write, beside: &Beside) -> std::io::Result<()> {
    let Beside { intents, erased, answers } = beside;
    writeln!(
        out,
        "  intents      {intents} lie beside their entries and have their digests, {erased} were erased"
    )?;
    writeln!(out, "  answers      {answers} batches' answers lead to their entries, byte for byte")
}

fn replayed(out: &mut impl Write, replayed: &Replayed) -> std::io::Result<()> {
    let Replayed { reproduced, unsigned, differ, bundles, .. } = replayed;
    writeln!(
        out,
        "  replayed     {reproduced} decisions are what {bundles} archived bundles decide, {differ} are not"
    )?;
    if *unsigned > 0 {
        writeln!(out, "    {unsigned:<10} of them were allowed, and refused for want of a signature")?;
    }
    for (why, entries) in &replayed.not_replayable {
        writeln!(out, "    {entries:<10} not replayable: {why}")?;
    }
    Ok(())
}

fn warrant(out: &mut impl Write, warrant: &WarrantReport) -> std::io::Result<()> {
    let WarrantReport { index, charter_name, uses_max, uses, .. } = warrant;
    let (by, reason, used) = (warrant.by.join(", "), visible(&warrant.reason), uses.len());
    let charter = visible(charter_name);
    writeln!(
        out,
        "  warrant      at {index} under `{charter}` by {}: {reason}; {used} of {}",
        visible(&by),
        counted((*uses_max).into(), "use", "uses")
    )?;
    for UseReport { index, number, principal, action, resource, review, .. } in uses {
        let reviewed = match review {
            Some(review) if review.justified => format!("justified, says {}", review.by),
            Some(review) => format!("NOT JUSTIFIED, says {}: {}", review.by, review.text),
            None => "its review is OPEN".to_owned(),
        };
        let act = format!("{action} on {resource} by {principal}: {reviewed}");
        writeln!(out, "    use {number:<6} at {index}: {}", visible(&act))?;
    }
    Ok(())
}

fn gap(out: &mut impl Write, gap: &Gap) -> std::io::Result<()> {
    let Gap { from_size, entries, .. } = gap;
    let end = match gap.covered_by {
        Some(size) if gap.closed => format!("closed by the checkpoint over {size}"),
        Some(size) => format!("covered by the checkpoint over {size} without an account"),
        None => "open".to_owned(),
    };
    let entries = counted(*entries, "unsigned entry", "unsigned entries");
    writeln!(out, "  gap          {entries} from {from_size}, {end}")?;
    let until = gap.until_ms.map_or_else(|| "now".to_owned(), time);
    writeln!(out, "    from {} until {until}", time(gap.began_ms))?;
    let causes =
        if gap.causes.is_empty() { "no trip in it".to_owned() } else { visible(&gap.causes.join(", ")) };
    let mut became = format!("{} denied, {} held", gap.denials, gap.holds);
    if gap.allows > 0 {
        became.push_str(&format!(", {} ALLOWED", gap.allows));
    }
    if gap.starts > 0 {
        became.push_str(&format!(", {}", counted(gap.starts, "start", "starts")));
    }
    writeln!(out, "    {became}; {causes}")
}

fn silence(out: &mut impl Write, what: &str, silence: Option<&Silence>, how: &str) -> std::io::Result<()> {
    let Some(Silence { ms, from_ms, index }) = silence else { return Ok(()) };
    let seconds = std::time::Duration::from_millis(*ms);
    writeln!(out, "  {what} {seconds:?} at most {how}, from {}, up to entry {index}", time(*from_ms))
}

fn time(ms: u64) -> String {
    utc(Timestamp(ms))
}
