//! Entries as events of the Open Cybersecurity Schema Framework, release 1.9.0: class API Activity (6003), profiles
//! `ai_operation`, `security_control` and `record_integrity`.
//!
//! The rule it keeps: whatever the schema has a place for stands there, and the rest under `unmapped.assent`, nothing twice
//! and nothing lost. An event's attestation is over the event (RFC 8785) and chains it to the one before in the export: that
//! shows accidents. What shows lies is the leaf hash with the checkpoint, which an auditor holds against the log. No OCSF
//! object has room for an inclusion proof.

mod canonical;
mod event;

use std::io::Write;

use assent_proto::hash::Hash;
use serde_json::{Value, json};

use super::rows::Evidence;
use super::selection::Selected;

/// The release of the schema that events say they are of.
const VERSION: &str = "1.9.0";
/// API Activity.
const CLASS: u32 = 6003;
/// Its activity `Other`.
const TYPE: u32 = CLASS * 100 + 99;
/// SHA-256, and hexadecimal digits, as the `fingerprint` object numbers them.
const SHA_256: u32 = 3;
const HEX: u32 = 1;

/// Writes events, each chained to the one before.
#[derive(Debug, Default)]
pub(super) struct Events {
    chain: Option<String>,
    previous: Option<(String, Hash)>,
}

impl Events {
    /// Writes one entry.
    pub(super) fn row(
        &mut self,
        out: &mut impl Write,
        selected: &Selected<'_>,
        evidence: &Evidence,
    ) -> std::io::Result<()> {
        let uid = format!("{}#{}", evidence.origin, selected.index);
        let mut event = event::of(selected, evidence, &uid);
        let mut attestation = json!({
            "uid": uid, "authority_uid": evidence.origin,
            "chain_uid": self.chain.get_or_insert_with(|| format!("{uid}/export")).clone(),
        });
        if let Some((uid, hash)) = &self.previous {
            put(
                &mut attestation,
                "prev_event",
                json!({"uid": uid, "type_uid": TYPE, "fingerprint": fingerprint(hash)}),
            );
        }
        put(&mut event, "attestation_list", json!([attestation]));
        // The attestation is over all of the event but its own fingerprint.
        let hash = Hash::of_labelled(b"", [canonical::text(&event).as_bytes()]);
        if let Some(attestation) = event.pointer_mut("/attestation_list/0") {
            put(attestation, "fingerprint", fingerprint(&hash));
        }
        self.previous = Some((uid, hash));
        writeln!(out, "{}", canonical::text(&event))
    }
}

fn fingerprint(hash: &Hash) -> Value {
    json!({
        "algorithm": "SHA-256", "algorithm_id": SHA_256, "encoding": "Hex", "encoding_id": HEX, "value": hash.to_string(),
    })
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
