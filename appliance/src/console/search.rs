//! The log, searched from its end backwards, and one entry with the proof that it is in the log.
//!
//! The rules it keeps: a search reads a bounded number of leaves in a bounded time and says where it stopped; what is looked for is
//! looked for in what people see of an entry, so that whatever a page shows is found when it is typed; what is shown of an entry is the leaf itself and what leads from it to a signed checkpoint, so that whoever looks can verify it without us.

use assent_proto::entry::{Entry, Hold, Kind};
use assent_proto::number::LeafIndex;
use assent_proto::wire::{Request, Ticket};
use serde_json::Value;

use crate::cli::log::entry::{about, json as shown_entry, kind_name};
use crate::clock::Stopwatch;
use crate::limits::{CONSOLE_SEARCH_TIME, MAX_CONSOLE_HITS, MAX_CONSOLE_SEARCHED};
use crate::log::SignedCheckpoint;
use crate::log::fence::signed_note;
use crate::log::proof::{self, InclusionProof};
use crate::log::reader::Reader;
use crate::log::store::StoreError;
use crate::shown::visible;

/// What is looked for; what is absent narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Of this kind.
    pub kind: String,
    /// With this text in what is shown of it, in whatever case; or the hold of this ticket.
    pub text: String,
    /// Before this leaf; the end of the log where it is absent.
    pub before: Option<u64>,
}

impl Query {
    /// The kind that is looked for, where there is none of that name.
    #[must_use]
    pub fn unknown_kind(&self) -> Option<&str> {
        let is_known = |kind: Kind| kind_name(kind).eq_ignore_ascii_case(&self.kind);
        let is_unknown = !self.kind.is_empty() && !Kind::ALL.iter().copied().any(is_known);
        is_unknown.then_some(self.kind.as_str())
    }
}

/// What a query means.
struct Wanted<'q> {
    kind: &'q str,
    /// As pages show it, in lower case.
    text: String,
    /// The ticket that it names.
    ticket: Option<Ticket>,
}

impl<'q> Wanted<'q> {
    fn of(query: &'q Query) -> Self {
        let text = visible(query.text.trim()).to_lowercase();
        let ticket = text.parse().ok();
        Self { kind: &query.kind, text, ticket }
    }

    fn is_in(&self, hit: &Hit) -> bool {
        self.is_in_text(&hit.about)
            || self.is_in_text(&hit.line())
            || hit.shown.as_object().is_some_and(|fields| {
                let fields = fields.iter().filter(|(name, _)| *name != "schema");
                fields.into_iter().any(|(_, value)| self.is_in_value(value))
            })
    }

    fn is_in_text(&self, text: &str) -> bool {
        visible(text).to_lowercase().contains(&self.text)
    }

    fn is_in_value(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_in_text(text),
            Value::Array(values) => values.iter().any(|value| self.is_in_value(value)),
            Value::Object(fields) => fields.values().any(|value| self.is_in_value(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// One entry that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Where it is.
    pub index: u64,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// Its kind.
    pub kind: String,
    /// All of it.
    pub shown: Value,
    /// What it is about, in a line, as `assent log show` says it.
    pub about: String,
}

impl Hit {
    /// What a row says of it: names of its fields and what stands in them.
    pub(super) fn told(&self) -> Vec<(&'static str, String)> {
        const TOLD: [&str; 12] = [
            "principal",
            "action",
            "resource",
            "refusal",
            "cause",
            "act",
            "by",
            "answer",
            "name",
            "after",
            "version",
            "epoch",
        ];
        let told = |name: &&'static str| words(self.shown.get(*name)?).map(|text| (*name, text));
        TOLD.iter().filter_map(told).collect()
    }

    /// The same as one text.
    fn line(&self) -> String {
        self.told().iter().map(|(name, text)| format!("{name} {text}")).collect::<Vec<_>>().join(" ")
    }
}

/// A value as people say it; none where there is nothing to say.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => Some(values.iter().filter_map(words).collect::<Vec<_>>().join(", ")),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The newest first.
    pub hits: Vec<Hit>,
    /// Leaves that were looked at.
    pub searched: u64,
    /// Where it goes on; none at the beginning of the log.
    pub rest: Option<u64>,
    /// Whether what lies before is in an archive.
    pub archived: bool,
}

/// Leaves that are read at once.
const STRIDE: u64 = 512;

/// Kinds, by their names.
#[must_use]
pub fn kinds() -> Vec<String> {
    Kind::ALL.iter().copied().map(kind_name).collect()
}

/// Searches; for a kind that there is not, nowhere.
///
/// # Errors
/// What the store says.
pub fn search(reader: &Reader, query: &Query) -> Result<Found, StoreError> {
    let watch = Stopwatch::start();
    let wanted = Wanted::of(query);
    let size = if query.unknown_kind().is_some() { 0 } else { reader.size()?.0 };
    let mut end = query.before.map_or(size, |before| before.min(size));
    let mut found = Found::default();
    while end > 0 {
        let begin = end.saturating_sub(STRIDE);
        let leaves = match reader.leaves(begin..end) {
            Ok(leaves) => leaves,
            Err(StoreError::Archived { .. }) => {
                found.archived = true;
                break;
            }
            Err(error) => return Err(error),
        };
        for index in (begin..end).rev() {
            let position = usize::try_from(index.saturating_sub(begin)).unwrap_or(usize::MAX);
            found.searched += 1;
            end = index;
            if let Some(leaf) = leaves.get(position)
                && let Some(hit) = hit(reader, index, leaf, &wanted)?
            {
                found.hits.push(hit);
                if found.hits.len() == MAX_CONSOLE_HITS {
                    break;
                }
            }
        }
        let enough = found.hits.len() == MAX_CONSOLE_HITS || found.searched >= MAX_CONSOLE_SEARCHED;
        if enough || watch.left_of(CONSOLE_SEARCH_TIME).is_none() {
            break;
        }
    }
    found.rest = (end > 0 && !found.archived).then_some(end);
    Ok(found)
}

fn hit(reader: &Reader, index: u64, leaf: &[u8], wanted: &Wanted<'_>) -> Result<Option<Hit>, StoreError> {
    let Ok(entry) = Entry::parse(leaf) else { return Ok(None) };
    if !wanted.kind.is_empty() && !kind_name(entry.kind()).eq_ignore_ascii_case(wanted.kind) {
        return Ok(None);
    }
    let hit = whole(index, &entry);
    let fits = wanted.text.is_empty() || wanted.is_in(&hit) || waits_under(reader, index, &entry, wanted)?;
    Ok(fits.then_some(hit))
}

/// Whether this is a hold of the ticket that is looked for. Its entry does not name it: both sides derive it from the request.
fn waits_under(
    reader: &Reader,
    index: u64,
    entry: &Entry<'_>,
    wanted: &Wanted<'_>,
) -> Result<bool, StoreError> {
    let (Some(ticket), Entry::Hold(Hold { wait: Some(wait), .. })) = (wanted.ticket, entry) else {
        return Ok(false);
    };
    if wait.until != ticket.until() {
        return Ok(false);
    }
    let Some((first, frame)) = reader.request_around(LeafIndex(index))? else { return Ok(false) };
    let Ok(request) = Request::parse(&frame) else { return Ok(false) };
    let position = u32::try_from(index.saturating_sub(first.0)).unwrap_or(u32::MAX);
    let begins_at = |first| Ticket::new(request.batch(), first, wait.until) == ticket;
    Ok((position as usize) < request.intents().len() && (0..=position).any(begins_at))
}

fn whole(index: u64, entry: &Entry<'_>) -> Hit {
    let (kind, shown, about) = (kind_name(entry.kind()), shown_entry(index, entry), about(entry));
    Hit { index, time_ms: entry.time().0, kind, shown, about }
}

/// The entry of this leaf; none where it is none.
pub(super) fn hit_of(index: u64, leaf: &[u8]) -> Option<Hit> {
    Entry::parse(leaf).ok().map(|entry| whole(index, &entry))
}

/// One entry, with the proof that it is in the log.
#[derive(Clone, Debug)]
pub struct Proved {
    /// It.
    pub hit: Hit,
    /// Its bytes.
    pub leaf: Vec<u8>,
    /// The proof, as C2SP has it; none where no signed checkpoint covers it yet.
    pub proof: Option<InclusionProof>,
    /// The checkpoint that it leads to.
    pub checkpoint: Option<SignedCheckpoint>,
}

/// Reads the entry of this index; none where there is none.
///
/// # Errors
/// What the store says.
pub fn proved(reader: &Reader, origin: &str, index: u64) -> Result<Option<Proved>, StoreError> {
    if index >= reader.size()?.0 {
        return Ok(None);
    }
    let leaves = reader.leaves(index..index + 1)?;
    let Some(leaf) = leaves.get(0) else { return Ok(None) };
    let Some(hit) = hit_of(index, leaf) else { return Ok(None) };
    let checkpoint = reader.checkpoint()?.filter(|signed| index < signed.size.0);
    let proof = match &checkpoint {
        None => None,
        Some(signed) => {
            let node = |level, number| reader.node(level, number);
            let path = proof::inclusion(LeafIndex(index), signed.size, node)?;
            let whole = |path| InclusionProof {
                extra: Some(leaf.to_vec()),
                index: LeafIndex(index),
                path,
                note: signed_note(origin, signed),
            };
            path.map(whole)
        }
    };
    Ok(Some(Proved { hit, leaf: leaf.to_vec(), proof, checkpoint }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(text: &str) -> bool {
        let uid = |type_name: &str, id: &str| assent_proto::intent::Uid { type_name, id }.to_string();
        let shown = serde_json::json!({
            "schema": "assent.v1.log.entry", "index": 7, "kind": "hold", "principal": "spiffe://shop/agent/a",
            "action": uid("Retail::Action", "cancel"), "resource": uid("Retail::Store", "main\u{202e}"),
            "cause": "\u{1b}[2J", "policies": ["a \"quoted\" \\ one"], "grounds": {"kind": "policy"}, "epoch": 3,
        });
        let (kind, about) = ("hold".to_owned(), "Retail::Action::\"cancel\" by somebody".to_owned());
        let hit = Hit { index: 7, time_ms: 1, kind, shown, about };
        Wanted::of(&Query { text: text.to_owned(), ..Query::default() }).is_in(&hit)
    }

    #[test]
    fn what_a_page_shows_is_found_when_it_is_typed() {
        for typed in [
            "Retail::Action::\"cancel\"",
            "retail::store::\"main\\u{202e}\"",
            "principal spiffe://shop/agent/a action Retail",
            "\\u{1b}[2J",
            "\u{1b}[2J",
            " a \"quoted\" \\ one ",
            "epoch 3",
            "\"cancel\" by somebody",
        ] {
            assert!(finds(typed), "{typed}");
        }
        for absent in ["log.entry", "Retail::Action::\\\"cancel", "\"principal\":", "other"] {
            assert!(!finds(absent), "{absent}");
        }
    }

    #[test]
    fn a_kind_that_there_is_not_is_told_and_of_others_the_case_is_nothing() {
        let unknown = |kind: &str| {
            let query = Query { kind: kind.to_owned(), ..Query::default() };
            query.unknown_kind().map(str::to_owned)
        };
        assert_eq!(unknown("holds"), Some("holds".to_owned()));
        assert_eq!([unknown(""), unknown("hold"), unknown("Hold")], [None, None, None]);
    }
}
