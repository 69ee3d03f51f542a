//! What lies beside the leaves of a round: the requests, which may have been erased, and the answers, which are kept for as
//! long as a batch id is current.
//!
//! Whatever is there must fit: a request's intents have the digests of their leaves, and an answer leads to its leaves byte for
//! byte, as it leads the agent that got it (FORMAT.md section 7). What is not there is told to `absent`.

use assent_proto::entry::{Allow, Deny, Entry, Hold};
use assent_proto::hash::Hash;
use assent_proto::intent::{Intent, Uid};
use assent_proto::number::Timestamp;
use assent_proto::tree::Range;
use assent_proto::wire::{BatchId, Decided, Reply, Request, Ruling, Sealing};

use super::examined::{Examined, SealedAnswer};
use super::report::Beside;
use crate::reader::Reader;
use crate::store::{Answer, BatchKey, StoreError, StoredRound};
use crate::{SignedCheckpoint, request_digest};

/// A batch that was decided in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Batch {
    /// Its id, and eight bytes of its principal's hash: ordered by time.
    pub(super) key: [u8; 24],
    /// Its first entry.
    pub(super) first: u64,
    /// When that was decided.
    pub(super) decided: Timestamp,
    /// Whether anything of it was allowed.
    pub(super) allows: bool,
    /// Whether its answer is recorded.
    pub(super) is_answered: bool,
}

impl Batch {
    fn new(
        id: BatchId,
        principal: &str,
        (first, own): (u64, &[Option<Entry<'_>>]),
        is_answered: bool,
    ) -> Self {
        let decided = own.iter().flatten().map(Entry::time).next().unwrap_or_default();
        let allows = own.iter().any(|entry| matches!(entry, Some(Entry::Allow(_))));
        let hash = Hash::of_labelled(b"", [principal.as_bytes()]);
        let mut key = [0; 24];
        for (to, from) in key.iter_mut().zip(id.0.iter().chain(&hash.0)) {
            *to = *from;
        }
        Self { key, first, decided, allows, is_answered }
    }

    /// When its id was made, as its maker says; that of a ticket is the end of its wait.
    pub(super) fn time(&self) -> Timestamp {
        id_time(&self.key)
    }
}

/// When the id in this key was made.
pub(super) fn id_time(key: &[u8; 24]) -> Timestamp {
    key.first_chunk().map_or(Timestamp(0), |id| BatchId(*id).time())
}

/// What a request says of one entry, and the entry says too.
#[derive(PartialEq, Eq)]
struct Common<'e> {
    intent: Hash,
    audience: &'e str,
    action: Uid<'e>,
    resource: Uid<'e>,
}

/// Holds requests and answers of a round against its entries; one that does not parse is none.
pub(super) fn examine(
    store: &Reader,
    round: &StoredRound,
    entries: &[Option<Entry<'_>>],
    examined: &mut Examined<'_>,
) -> Result<(), StoreError> {
    match hold(store, round, entries, examined) {
        // They may lawfully be gone, so they are no reason to look no further.
        Err(error @ StoreError::Damaged { .. }) => {
            examined.damaged = Some(error.to_string());
            Ok(())
        }
        held => held,
    }
}

fn hold(
    store: &Reader,
    round: &StoredRound,
    entries: &[Option<Entry<'_>>],
    examined: &mut Examined<'_>,
) -> Result<(), StoreError> {
    let mut beside = Beside::default();
    let mut is_asked = vec![false; entries.len()];
    for request in store.each_request_in(round.first.0..round.end())? {
        let (first, frame) = request?;
        let Ok(request) = Request::parse(&frame) else {
            examined.find(first.0, "what lies beside the leaf is no request".to_owned());
            continue;
        };
        let asked: Vec<_> = request.intents().map(|(intent, _)| (intent, intent.act.digest())).collect();
        let place = usize::try_from(first.0.saturating_sub(round.first.0)).unwrap_or(usize::MAX);
        let own = entries.get(place..).and_then(|rest| rest.get(..asked.len()));
        let Some(own) = own.filter(|_| first >= round.first) else {
            examined.find(
                first.0,
                "the request beside the leaf has more intents than its round has leaves".to_owned(),
            );
            continue;
        };
        is_asked.iter_mut().skip(place).take(asked.len()).for_each(|is_asked| *is_asked = true);
        beside.intents += compare(first.0, &asked, own, examined);
        let Some(principal) = own.first().and_then(Option::as_ref).and_then(principal_of) else { continue };
        let answer = store.answer(&BatchKey::new(request.batch(), principal))?;
        if let Some(answer) = &answer {
            match fits(answer, (first.0, request.frame()), &asked, round) {
                Ok(sealed) => {
                    beside.answers += 1;
                    examined.sealed.extend(sealed);
                }
                Err(why) => examined.find(first.0, format!("the recorded answer {why}")),
            }
        }
        let is_answered = answer.is_some();
        examined.batches.push(Batch::new(request.batch(), principal, (first.0, own), is_answered));
    }
    for ((index, entry), _) in (round.first.0..).zip(entries).zip(is_asked).filter(|(_, is_asked)| !is_asked)
    {
        if let Some(principal) = entry.as_ref().and_then(principal_of) {
            beside.erased += 1;
            examined.miss(principal, index);
        }
    }
    examined.beside = Some(beside);
    Ok(())
}

/// How many intents have the digest, action, resource and audience of their entries, all of one principal.
fn compare(
    first: u64,
    asked: &[(Intent<'_>, Hash)],
    own: &[Option<Entry<'_>>],
    examined: &mut Examined<'_>,
) -> u64 {
    let principal = own.first().and_then(Option::as_ref).and_then(principal_of);
    let mut same = 0;
    for ((index, (intent, digest)), entry) in (first..).zip(asked).zip(own) {
        let asked = Common {
            intent: *digest,
            audience: intent.terms.audience,
            action: intent.act.action,
            resource: intent.act.resource,
        };
        let entry = entry.as_ref();
        if entry.and_then(common_of).as_ref() == Some(&asked) && entry.and_then(principal_of) == principal {
            same += 1;
        } else {
            examined.find(index, "the intent beside the leaf is another than the leaf's".to_owned());
        }
    }
    same
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are not about an intent")]
fn common_of<'e>(entry: &Entry<'e>) -> Option<Common<'e>> {
    Some(match entry {
        Entry::Allow(Allow { intent, audience, action, resource, .. }) => {
            Common { intent: *intent, audience, action: *action, resource: *resource }
        }
        Entry::Deny(Deny { intent, audience, action, resource, .. })
        | Entry::Hold(Hold { denial: Deny { intent, audience, action, resource, .. }, .. }) => {
            Common { intent: *intent, audience, action: *action, resource: *resource }
        }
        _ => return None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are not about an intent")]
const fn principal_of<'e>(entry: &Entry<'e>) -> Option<&'e str> {
    match entry {
        Entry::Allow(allow) => Some(allow.principal),
        Entry::Deny(deny) | Entry::Hold(Hold { denial: deny, .. }) => Some(deny.principal),
        _ => None,
    }
}

/// Whether a recorded answer is to the request with this first entry and this frame, and leads to its leaves. Gives by what it
/// is sealed where its round has no checkpoint.
fn fits(
    answer: &Answer,
    (first, frame): (u64, &[u8]),
    asked: &[(Intent<'_>, Hash)],
    round: &StoredRound,
) -> Result<Option<SealedAnswer>, String> {
    if answer.request != request_digest(frame) {
        return Err("is to another request".to_owned());
    }
    let Ok(Reply::Decided(decided)) = Reply::parse(&answer.reply) else {
        return Err("is no reply to a batch that was decided".to_owned());
    };
    if decided.outcomes().len() != asked.len() {
        return Err("has another number of outcomes than the request has intents".to_owned());
    }
    let sealed = sealed_as(&decided, first, asked.len(), round)?;
    let rulings: Vec<Ruling<'_>> = decided.rulings().filter_map(Result::ok).collect();
    let place = usize::try_from(first.saturating_sub(round.first.0)).unwrap_or(usize::MAX);
    let mut leaf = Vec::new();
    let intents = asked.iter().zip(decided.outcomes()).zip(round.leaves.iter().skip(place));
    for (position, (((intent, digest), outcome), recorded)) in (0_u32..).zip(intents) {
        let ruling = rulings.get(outcome).cloned().ok_or("names a ruling that it does not have")?;
        leaf.clear();
        let entry = ruling.entry(&decided.head, position, intent, *digest);
        if entry.append(&mut leaf).is_err() || leaf.as_slice() != recorded {
            return Err(format!("does not lead to leaf {}", first + u64::from(position)));
        }
    }
    Ok(sealed)
}

/// Whether an answer is sealed by the round's checkpoint, with a range proof that leads there; where the round has none, by
/// nothing, or by what only a warrant's key can have signed, which it gives.
fn sealed_as(
    decided: &Decided<'_>,
    first: u64,
    intents: usize,
    round: &StoredRound,
) -> Result<Option<SealedAnswer>, String> {
    let otherwise = || Err("is sealed otherwise than its round".to_owned());
    let (sealing, signed) = match (&decided.sealing, &round.checkpoint) {
        (None, None) => return Ok(None),
        (Some(sealing), signed) => (sealing, signed),
        (None, Some(_)) => return otherwise(),
    };
    let is_the_rounds = |signed: &SignedCheckpoint| {
        (sealing.size, sealing.key_id, sealing.signature) == (signed.size, signed.key_id, signed.signature)
    };
    if sealing.first.0 != first || !signed.as_ref().is_none_or(is_the_rounds) {
        return otherwise();
    }
    let place = usize::try_from(first.saturating_sub(round.first.0)).unwrap_or(usize::MAX);
    let mut nodes: Vec<Hash> = round.leaves.iter().skip(place).take(intents).map(Hash::of_leaf).collect();
    nodes.resize(Range::nodes_needed(intents), Hash::default());
    let range = Range::new(sealing.first, intents, sealing.size, &sealing.proof, &mut nodes);
    let root = range.ok().map(|range| range.root());
    let (Sealing { size, key_id, signature, .. }, intents) = (sealing.clone(), intents as u64);
    match (root, signed) {
        (Some(root), Some(signed)) if root == signed.root => Ok(None),
        (Some(root), None) => Ok(Some(SealedAnswer { first, intents, size, root, key_id, signature })),
        (None, _) | (Some(_), Some(_)) => {
            Err("has a range proof that does not lead to its checkpoint".to_owned())
        }
    }
}
