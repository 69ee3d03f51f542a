//! The log before this one: what the first leaf says of it, and whether the file that is said to be it fits.
//!
//! That enough operators signed, only whoever has their keys can tell; what they signed is shown.

use std::io::Write;
use std::path::Path;

use assent_client::trust::Trust;
use assent_proto::note::VerifierKey;
use assent_proto::number::LeafIndex;

use crate::cli::log::entry::visible;
use crate::cli::log::unreadable;
use crate::cli::progress::Progress;
use crate::log::predecessor::{Fit, Head, Statement};
use crate::log::reader::Reader;
use crate::log::verification::{Report, Verification};

/// What is known of the log before this one.
#[derive(Debug)]
pub(super) struct Predecessor {
    statement: Statement,
    /// How the file that was named fits.
    fit: Option<Fit>,
}

/// Reads what the log says of its predecessor, and holds the file at `named` against it. What must not be is in the report.
pub(super) fn examine(
    store: &Reader,
    trust: &Trust,
    named: Option<&Path>,
    threads: usize,
    report: &mut Report,
) -> anyhow::Result<Option<Predecessor>> {
    let origin = store.identity().map_err(|error| unreadable(&error))?.origin;
    let statement = Statement::of(store).map_err(|error| unreadable(&error))?;
    let Some(statement) = statement else {
        let follows = origin.rsplit('/').next().is_some_and(|number| number != "1");
        if follows && report.entries > 0 {
            report.find(
                0,
                "the log is not its appliance's first, and does not say which one it follows".to_owned(),
            );
        }
        if named.is_some() {
            report.find(0, "a predecessor was named, and the log says of none that it follows it".to_owned());
        }
        return Ok(None);
    };
    if statement.to != origin {
        report.find(0, format!("it was opened as `{}`", statement.to));
    }
    if report.keys.first().is_some_and(|first| first.verifier_key != statement.key) {
        report
            .find(0, "the key that the log was founded for is not the one that operators signed".to_owned());
    }
    let same = |path: &&Path| path.canonicalize().ok() == store.path().canonicalize().ok();
    if named.filter(same).is_some() {
        report.find(0, format!("it follows `{}`, and this is the log itself", statement.from));
    }
    let other = named.filter(|path| !same(path));
    let fit = other.map(|path| fit(&statement, path, trust, threads, report)).transpose()?;
    Ok(Some(Predecessor { statement, fit }))
}

fn fit(
    statement: &Statement,
    path: &Path,
    trust: &Trust,
    threads: usize,
    report: &mut Report,
) -> anyhow::Result<Fit> {
    let before = Reader::open(path).map_err(|error| unreadable(&error))?;
    let origin = before.identity().map_err(|error| unreadable(&error))?.origin;
    let head = before.head().map_err(|error| unreadable(&error))?;
    let mut bar = Progress::new("verifying the log before", head.size);
    let rounds = before.rounds(LeafIndex(0)).map_err(|error| unreadable(&error))?;
    let verified = Verification::new(&origin, trust.keys())
        .beside(&before)
        .on(threads)
        .run(rounds, |done| bar.show(done))
        .map_err(|error| unreadable(&error));
    bar.clear();
    let verified = verified?;
    for finding in &verified.findings {
        report.find(0, format!("the log before, at {}: {}", finding.index, finding.what));
    }
    // Keys that it names itself are vouched for by those that are trusted, if it verifies.
    let own = verified.keys.iter().filter_map(|key| VerifierKey::parse(&key.verifier_key).ok());
    let trusted = trust.keys().iter().map(|trusted| trusted.key);
    let keys: Vec<VerifierKey<'_>> = own.chain(trusted).filter(|key| key.name() == statement.from).collect();
    for place in statement.unverified(&keys) {
        report.find(0, format!("the last head that the {place} told is signed by no key of the log before"));
    }
    if statement.is_for_one_of(&keys) {
        report.find(0, "the log is founded for a key of the log before".to_owned());
    }
    let fit = statement.fits(&before).map_err(|error| unreadable(&error))?;
    for wrong in &fit.wrong {
        report.find(0, format!("the log before: {wrong}"));
    }
    Ok(fit)
}

impl Predecessor {
    /// For people.
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Statement { from, reason, .. } = &self.statement;
        writeln!(out, "  follows      {from}: {}", visible(reason))?;
        for (place, head) in self.statement.heads() {
            let told = match head {
                Head::None => "none".to_owned(),
                Head::Unread => "could not be read".to_owned(),
                Head::Signed { size, root, .. } => format!("{size} leaves, root {root}{}", self.how(place)),
            };
            writeln!(out, "    by its {:<6} {told}", format!("{place}:"))?;
        }
        Ok(())
    }

    fn how(&self, place: &str) -> &'static str {
        let Some(fit) = &self.fit else { return "" };
        let among = |places: &[&str]| places.contains(&place);
        match (among(&fit.agreed), among(&fit.contradicted), among(&fit.ahead)) {
            (true, _, _) => ", to which it leads",
            (_, true, _) => ", which it CONTRADICTS",
            (_, _, true) => ", behind its end",
            (false, false, false) => "",
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let head = |head: &Head| match head {
            Head::None => serde_json::json!({"state": "none"}),
            Head::Unread => serde_json::json!({"state": "unread"}),
            Head::Signed { size, root, note } => {
                serde_json::json!({"state": "signed", "size": size.0, "root": root.to_string(), "note": note})
            }
        };
        let Statement { from, to, key, log, fence, hsm, reason } = &self.statement;
        let fit = self.fit.as_ref().map(|fit| {
            serde_json::json!({"agreed": fit.agreed, "contradicted": fit.contradicted, "ahead": fit.ahead})
        });
        serde_json::json!({
            "from": from, "to": to, "key": key, "reason": reason, "fit": fit,
            "heads": {"log": head(log), "fence": head(fence), "hsm": head(hsm)},
        })
    }
}
