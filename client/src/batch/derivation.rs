//! The derivation of tokens from an answer and one's own intents.
//!
//! Three passes over the batch: entries and their leaf hashes; the root, under the signature; the tokens. Whatever does
//! not fit ends it, and what had been derived is dropped.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::codec::CodecError;
use assent_proto::entry::{Grounds, LEAF_LABEL};
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_SKEW_MS;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::token;
use assent_proto::tree::{Range, RangeError, inclusion};
use assent_proto::verify::{TrustedWarrant, warrant_key_name};
use assent_proto::wire::{BatchId, Decided, Head, Reply, Ruling, Sealing, Ticket, Together, Verdict};

use super::{Batch, Line, Outcomes, ReplyError, Ruled, Span};
use crate::trust::Trust;

pub(super) fn open(
    batch: Batch,
    reply: &[u8],
    believed: Option<Believed<'_>>,
    now: Timestamp,
) -> Result<Outcomes, ReplyError> {
    let decided = match Reply::parse(reply).map_err(ReplyError::Malformed)? {
        Reply::Refused(refusal) => return Err(ReplyError::Refused(refusal)),
        Reply::Decided(decided) => decided,
    };
    let (asked, answered) = (batch.len(), decided.outcomes().len());
    if asked != answered {
        return Err(ReplyError::Count { asked, answered });
    }
    let rulings: Vec<Ruling<'_>> =
        decided.rulings().collect::<Result<_, _>>().map_err(ReplyError::Malformed)?;
    let mut leaves = Leaves::of(&batch, &decided, &rulings)?;
    let mut tokens = Vec::new();
    let origin = match &decided.sealing {
        Some(sealing) => {
            let grounds = Grounded::of(&rulings, decided.outcomes());
            let verified = believed.map(|believed| (believed, grounds));
            leaves.seal(sealing, &decided, verified, now, &mut tokens)?
        }
        None if leaves.allowed > 0 => return Err(ReplyError::Unsealed),
        None => None,
    };
    Ok(Outcomes {
        time: decided.head.time,
        epoch: decided.head.epoch,
        origin,
        principal: decided.head.principal.into(),
        first: decided.sealing.as_ref().map_or(LeafIndex(0), |sealing| sealing.first),
        rulings: rulings.iter().map(owned).collect(),
        lines: leaves.lines,
        tokens,
        batch,
    })
}

fn owned(ruling: &Ruling<'_>) -> Ruled {
    Ruled {
        verdict: ruling.verdict,
        risk: ruling.risk,
        policies: ruling.policies.named.iter().map(|id| (*id).to_owned()).collect(),
        policies_total: ruling.policies.total,
    }
}

/// Whom an answer is believed of: keys of logs, and the keys of warrants for what is allowed under them.
#[derive(Clone, Copy)]
pub(super) struct Believed<'b> {
    pub(super) trust: &'b Trust,
    pub(super) warrants: &'b [TrustedWarrant<'b>],
}

/// On what the allows of an answer rest.
#[derive(Clone, Copy)]
enum Grounded {
    /// On policies or approvals, some of them or all; or there is none.
    Otherwise,
    /// All of them on one warrant.
    OnWarrant(LeafIndex),
}

impl Grounded {
    /// By what becomes of the intents: a ruling that no outcome refers to is no use of anything.
    fn of(rulings: &[Ruling<'_>], outcomes: impl Iterator<Item = usize>) -> Self {
        let referred = outcomes.filter_map(|number| rulings.get(number));
        let allows = referred.filter_map(|ruling| match ruling.verdict {
            Verdict::Allow { grounds, .. } => Some(grounds),
            Verdict::Deny(_) | Verdict::Hold { .. } => None,
        });
        let mut on = allows.map(|grounds| match grounds {
            Grounds::Warrant { leaf, .. } => Some(leaf),
            Grounds::Policy | Grounds::Approval(_) => None,
        });
        match on.next() {
            Some(Some(first)) if on.all(|other| other == Some(first)) => Self::OnWarrant(first),
            Some(_) | None => Self::Otherwise,
        }
    }
}

/// Bytes of a leaf before its body: label and kind.
const TAG_BYTES: usize = LEAF_LABEL.len() + 1;

/// The entries of a batch as leaves of the log.
struct Leaves {
    /// One a leaf; until there are tokens, `token` tells where the body of an allow lies.
    lines: Vec<Line>,
    bytes: Vec<u8>,
    /// The hashes of the leaves, and room for the nodes above them.
    hashes: Vec<Hash>,
    allowed: usize,
}

impl Leaves {
    fn of(batch: &Batch, decided: &Decided<'_>, rulings: &[Ruling<'_>]) -> Result<Self, ReplyError> {
        let count = batch.len();
        let mut leaves = Self {
            lines: Vec::with_capacity(count),
            bytes: Vec::with_capacity(512 * count),
            hashes: Vec::with_capacity(Range::nodes_needed(count)),
            allowed: 0,
        };
        let mut together = vec![Together::default(); rulings.len()];
        for (position, number) in decided.outcomes().enumerate() {
            let malformed = || ReplyError::Malformed(CodecError::Malformed);
            let ruling = rulings.get(number).ok_or_else(malformed)?;
            let essence = batch.essence(position).ok_or_else(malformed)?;
            let digest = essence.digest;
            let start = leaves.bytes.len();
            let place = u32::try_from(position).map_err(|_| malformed())?;
            let entry = ruling.clone().entry_of(&decided.head, place, &essence);
            entry.append(&mut leaves.bytes).map_err(ReplyError::Malformed)?;
            let end = leaves.bytes.len();
            leaves.hashes.push(Hash::of_leaf(leaves.bytes.get(start..end).unwrap_or_default()));
            let allowed = matches!(ruling.verdict, Verdict::Allow { .. });
            leaves.allowed += usize::from(allowed);
            let body = Span { start: if allowed { start + TAG_BYTES } else { end }, end };
            let ticket = together
                .get_mut(number)
                .and_then(|together| ticket(batch.id(), place, &decided.head, &ruling.verdict, together));
            leaves.lines.push(Line { ruling: number, digest, ticket, token: body });
        }
        leaves.hashes.resize(Range::nodes_needed(count), Hash::default());
        Ok(leaves)
    }

    /// Computes the root, verifies the signature over it, and appends the token of every allow to `tokens`. Gives the log's
    /// origin, where a trust tells it.
    fn seal(
        &mut self,
        sealing: &Sealing,
        decided: &Decided<'_>,
        believed: Option<(Believed<'_>, Grounded)>,
        now: Timestamp,
        tokens: &mut Vec<u8>,
    ) -> Result<Option<&'static str>, ReplyError> {
        let Sealing { first, size, key_id, signature, proof } = sealing;
        let range = Range::new(*first, self.lines.len(), *size, proof, &mut self.hashes)
            .map_err(ReplyError::Range)?;
        let times = (decided.head.time, now);
        let origin = believed.map(|(believed, grounded)| {
            verify(believed.trust, sealing, range.root(), times)
                .or_else(|error| under_warrant(believed, grounded, sealing, range.root(), times).ok_or(error))
        });
        let origin = origin.transpose()?;
        let path_bytes = 32 * inclusion::path_length(*first, *size).unwrap_or_default();
        tokens.reserve(self.bytes.len() + self.allowed * (token::HEAD_BYTES + path_bytes + 64));
        let mut paths = range.paths();
        for (position, line) in self.lines.iter_mut().enumerate() {
            let body = self.bytes.get(line.token.start..line.token.end).unwrap_or_default();
            line.token = Span { start: tokens.len(), end: tokens.len() };
            if body.is_empty() {
                continue;
            }
            let index = LeafIndex(first.0.saturating_add(position as u64));
            let path = paths.of(index).ok_or(ReplyError::Range(RangeError::Bounds))?;
            token::append(*key_id, *size, index, body, path, signature, tokens);
            line.token.end = tokens.len();
        }
        Ok(origin)
    }
}

/// Under which ticket the intent at this position waits, where its verdict says that it does.
fn ticket(
    batch: BatchId,
    position: u32,
    head: &Head<'_>,
    verdict: &Verdict,
    together: &mut Together,
) -> Option<Ticket> {
    let Verdict::Hold { refusal, waiting: Some(waiting) } = verdict else { return None };
    let until = head.time.plus_ms(u64::from(waiting.wait_s).saturating_mul(1000));
    Some(Ticket::new(batch, together.join(position, *refusal), until))
}

/// Verifies the signature under each trusted key with its ID: two keys may share one. Gives the log's origin.
fn verify(
    trust: &Trust,
    sealing: &Sealing,
    root: Hash,
    (decided, now): (Timestamp, Timestamp),
) -> Result<&'static str, ReplyError> {
    let mut outcome = ReplyError::UntrustedKey(sealing.key_id);
    for trusted in trust.keys().iter().filter(|trusted| trusted.key.id() == sealing.key_id) {
        let in_its_dates = |time| trusted.not_before <= time && time <= trusted.not_after;
        if !in_its_dates(decided) || !in_its_dates(now) {
            continue;
        }
        if trust.has_signed(&trusted.key, sealing.size, root, &sealing.signature) {
            return Ok(trusted.key.name());
        }
        outcome = ReplyError::Signature;
    }
    Err(outcome)
}

/// Verifies the signature under the key of the one warrant that all allows rest on, as a guard would verify its tokens: a warrant's key
/// vouches for its uses and for nothing else. Gives the log's origin.
fn under_warrant(
    believed: Believed<'_>,
    grounded: Grounded,
    sealing: &Sealing,
    root: Hash,
    (decided, now): (Timestamp, Timestamp),
) -> Option<&'static str> {
    let Grounded::OnWarrant(leaf) = grounded else { return None };
    let within = |time: Timestamp, from: Timestamp, until: Timestamp| from <= time && time <= until;
    let mut known = believed.warrants.iter().filter(|warrant| warrant.leaf == leaf);
    known.find_map(|warrant| {
        let (from, until) = (warrant.not_before, warrant.not_after);
        let alive = within(decided, from, until)
            && within(now, from.minus_ms(MAX_SKEW_MS), until.plus_ms(MAX_SKEW_MS));
        let name = warrant_key_name(warrant.origin, leaf).ok()?;
        let is_its_key = name == warrant.key.name() && warrant.key.id() == sealing.key_id;
        let checkpoint = Checkpoint { origin: warrant.origin, size: sealing.size, root };
        let text = checkpoint.text().ok()?;
        let is_signed = warrant.key.verify(text.as_bytes(), &sealing.signature).is_ok();
        let origin = believed.trust.keys().iter().find(|trusted| trusted.key.name() == warrant.origin)?;
        (alive && is_its_key && is_signed).then_some(origin.key.name())
    })
}
