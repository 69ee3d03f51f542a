//! Rows: entries in the format that was asked for, with the evidence that they are in the log.
//!
//! The evidence is the newest checkpoint: it covers every entry below its size, and whoever holds a leaf hash and an
//! inclusion proof (`assent log prove`) compares with its root. Entries of the unsigned tail have none yet, and say so by
//! its absence. These verbs do not verify; `assent log verify` does.

use std::io::Write;

use assent_proto::hash::Hash;
use serde_json::{Value, json};

use super::ocsf::Events;
use super::selection::{Body, Selected};
use super::{csv, entry, unreadable};
use crate::cli::{Format, Globals, Rows};
use crate::log::SignedCheckpoint;
use crate::log::fence::signed_note;
use crate::log::reader::Reader;

/// Which log it is, and its newest checkpoint.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) origin: String,
    checkpoint: Option<(u64, Value)>,
}

impl Evidence {
    /// Reads it.
    pub(super) fn read(origin: String, reader: &Reader) -> anyhow::Result<Self> {
        let signed = reader.checkpoint().map_err(|error| unreadable(&error))?;
        Ok(Self::of(origin, signed.as_ref()))
    }

    fn of(origin: String, signed: Option<&SignedCheckpoint>) -> Self {
        let checkpoint = signed.map(|signed| {
            let note = signed_note(&origin, signed);
            (signed.size.0, json!({"size": signed.size.0, "root": signed.root.to_string(), "note": note}))
        });
        Self { origin, checkpoint }
    }

    /// The checkpoint that covers this entry; null where there is none yet.
    pub(super) fn covering(&self, index: u64) -> Value {
        let covering = self.checkpoint.as_ref().filter(|(size, _)| index < *size);
        covering.map_or(Value::Null, |(_, checkpoint)| checkpoint.clone())
    }

    #[cfg(test)]
    pub(super) fn for_tests(origin: &str, size: u64) -> Self {
        let signed = SignedCheckpoint {
            size: assent_proto::number::TreeSize(size),
            root: Hash([1; 32]),
            key_id: assent_proto::note::KeyId([2; 4]),
            signature: [3; 64],
            successor: None,
        };
        Self::of(origin.to_owned(), Some(&signed))
    }
}

/// How rows look.
#[derive(Debug)]
enum Look {
    Table,
    Json,
    Csv,
    Ocsf(Events),
}

/// Writes rows.
#[derive(Debug)]
pub(super) struct Writer<W: Write> {
    out: W,
    look: Look,
    evidence: Evidence,
    /// Whether each row carries evidence, and a last line says how many there were.
    is_export: bool,
}

impl<W: Write> Writer<W> {
    /// In the format that was asked for, for a person who looks.
    pub(super) fn for_show(out: W, globals: &Globals, evidence: Evidence) -> std::io::Result<Self> {
        Self::begin(out, globals, evidence, false)
    }

    /// In the format that was asked for, JSON lines where it is the one for people.
    pub(super) fn for_export(out: W, globals: &Globals, evidence: Evidence) -> std::io::Result<Self> {
        Self::begin(out, globals, evidence, true)
    }

    fn begin(mut out: W, globals: &Globals, evidence: Evidence, is_export: bool) -> std::io::Result<Self> {
        let look = match (globals.rows, globals.output) {
            (Some(Rows::Csv), _) => Look::Csv,
            (Some(Rows::Ocsf), _) => Look::Ocsf(Events::default()),
            (None, Format::Table) if !is_export => Look::Table,
            (None, Format::Table | Format::Json | Format::Jsonl) => Look::Json,
        };
        if matches!(look, Look::Csv) {
            csv::begin(&mut out)?;
        }
        Ok(Self { out, look, evidence, is_export })
    }

    /// Writes one entry.
    pub(super) fn row(&mut self, selected: &Selected<'_>) -> std::io::Result<()> {
        match &mut self.look {
            Look::Csv => csv::row(&mut self.out, selected),
            Look::Ocsf(events) => events.row(&mut self.out, selected, &self.evidence),
            Look::Json => {
                let mut json = entry::json(selected.index, &selected.entry);
                if let Some(fields) = json.as_object_mut() {
                    match &selected.body {
                        Body::Unwanted => {}
                        Body::Erased => drop(fields.insert("intent_erased".to_owned(), true.into())),
                        Body::Intent(intent) => drop(fields.insert("intent_body".to_owned(), intent.clone())),
                    }
                    if self.is_export {
                        fields
                            .insert("leaf_hash".to_owned(), Hash::of_leaf(selected.leaf).to_string().into());
                    }
                }
                writeln!(self.out, "{}", crate::shown::json(&json))
            }
            Look::Table => {
                writeln!(self.out, "{}", entry::line(selected.index, &selected.entry))?;
                match &selected.body {
                    Body::Unwanted => Ok(()),
                    Body::Erased => writeln!(self.out, "{:>12}the intent was erased", ""),
                    Body::Intent(intent) => {
                        writeln!(self.out, "{:>12}{}", "", entry::visible(&intent.to_string()))
                    }
                }
            }
        }
    }

    /// Ends them. JSON lines of an export end with one that tells how many there were, so that a file that was cut short is seen,
    /// and under which checkpoint they lie.
    pub(super) fn end(mut self, entries: u64) -> std::io::Result<W> {
        if self.is_export && matches!(self.look, Look::Json) {
            let checkpoint = self.evidence.checkpoint.as_ref().map(|(_, checkpoint)| checkpoint);
            let line = json!({
                "schema": "assent.v1.log.export", "origin": self.evidence.origin, "entries": entries, "checkpoint": checkpoint,
            });
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
