//! Requests, replies and entries of random parts, and random damage to their bytes.

use assent_proto::entry::break_glass::{Finding, ResourceScope};
use assent_proto::entry::{
    Allow, Answer, Approval, Boot, BundleOffer, Charter, Deny, Drill, DrillStage, Entry, Grounds, Hold,
    KeyAdded, OfferOutcome, OperatorAct, Outage, Rearm, Review, Salt, Status, Trip, Wait, Warrant,
};
use assent_proto::hash::Hash;
use assent_proto::intent::{OnUnavailable, Priority, Terms, Uid};
use assent_proto::limits::MAX_TREE_SIZE;
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{
    Closure, Head, KeyInUse, Notice, Ruling, Sealing, SignedCheckpoint, Standing, Verdict, Waiting,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::values::{contexts, encoded};

/// What everything else is made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) words: [String; 6],
    pub(crate) numbers: [u64; 4],
    pub(crate) policies: Vec<String>,
    pub(crate) digest: [u8; 32],
    pub(crate) choice: Index,
}

pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let words = proptest::array::uniform6(".{0,20}");
    let numbers = proptest::array::uniform4(prop_oneof![0_u64..300, any::<u64>()]);
    let policies = proptest::collection::vec("[a-z0-9.]{0,12}", 0..20);
    (words, numbers, policies, any::<[u8; 32]>(), any::<Index>()).prop_map(
        |(words, numbers, policies, digest, choice)| Parts { words, numbers, policies, digest, choice },
    )
}

impl Parts {
    fn salt(&self) -> Salt {
        Salt(std::array::from_fn(|position| self.digest[position] ^ 0x55))
    }

    fn refusal(&self) -> Refusal {
        Refusal::ALL[self.choice.index(Refusal::ALL.len())]
    }

    fn grounds(&self) -> Grounds {
        let leaf = LeafIndex(self.numbers[0]);
        let warrant = Grounds::Warrant { leaf, number: self.numbers[1] as u16 };
        [Grounds::Policy, Grounds::Approval(leaf), warrant][self.choice.index(3)]
    }

    fn uids(&self) -> [Uid<'_>; 2] {
        let [a, b, c, d, ..] = &self.words;
        [Uid { type_name: a, id: b }, Uid { type_name: c, id: d }]
    }

    pub(crate) fn terms(&self) -> Terms<'_> {
        let some = self.numbers[1].is_multiple_of(2);
        Terms {
            audience: &self.words[4],
            window_s: some.then_some(self.numbers[0] as u32),
            uses: (!some).then_some(self.numbers[2] as u16),
            priority: [None, Some(Priority::Low), Some(Priority::Normal), Some(Priority::High)]
                [self.choice.index(4)],
            on_unavailable: if some { OnUnavailable::Queue } else { OnUnavailable::Fail },
        }
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head {
            time: Timestamp(self.numbers[0]),
            epoch: Epoch(self.numbers[1]),
            bundle: Hash(self.digest),
            salt: self.salt(),
            principal: &self.words[5],
        }
    }

    pub(crate) fn ruling(&self) -> Ruling<'_> {
        let verdict = match self.choice.index(3) {
            0 => Verdict::Deny(self.refusal()),
            1 => Verdict::Hold { refusal: self.refusal(), waiting: self.waiting() },
            _ => Verdict::Allow {
                window_s: self.numbers[2] as u32,
                uses: self.numbers[3] as u16,
                grounds: self.grounds(),
            },
        };
        let policies = self.policies.iter().map(String::as_str).collect();
        Ruling { verdict, risk: self.numbers[1] as i64, policies }
    }

    fn waiting(&self) -> Option<Waiting> {
        let priority = if self.choice.index(2) == 0 { Priority::Critical } else { Priority::Low };
        let waiting = Waiting { wait_s: self.numbers[2] as u32, priority };
        self.numbers[0].is_multiple_of(2).then_some(waiting)
    }

    fn wait(&self) -> Option<Wait> {
        let until = Timestamp(self.numbers[3]);
        self.waiting().map(|Waiting { priority, .. }| Wait { until, priority })
    }

    pub(crate) fn sealing(&self) -> Sealing {
        Sealing {
            first: LeafIndex(self.numbers[0]),
            size: TreeSize(self.numbers[1]),
            key_id: KeyId([self.digest[0]; 4]),
            signature: [self.digest[1]; 64],
            proof: (0..self.choice.index(113)).map(|_| Hash(self.digest)).collect(),
        }
    }

    pub(crate) fn notices(&self) -> [Notice<'static>; 3] {
        let [time, size, epoch, lowest] = self.numbers;
        let time = Timestamp(time);
        let closed = [None, Some(Closure::Availability), Some(Closure::Integrity)][self.choice.index(3)];
        let (epoch, lowest_epoch) = (Epoch(epoch.max(lowest)), Epoch(epoch.min(lowest)));
        let Sealing { key_id, signature, .. } = self.sealing();
        let (size, root) = (TreeSize(size % MAX_TREE_SIZE), Hash(self.digest));
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        [
            Notice::Standing(Standing { time, origin: "log.example/a/log/1", epoch, closed, lowest_epoch }),
            Notice::Checkpoint(SignedCheckpoint { time, size, root, key_id, signature }),
            Notice::Key(KeyInUse { time, vkey }),
        ]
    }

    pub(crate) fn entry(&self) -> Entry<'_> {
        let Head { time, epoch, bundle, salt, principal } = self.head();
        let ([action, resource], [.., audience, _]) = (self.uids(), &self.words);
        let (risk, refusal) = (self.numbers[3] as i64, self.refusal());
        let policies = || self.policies.iter().map(String::as_str).collect();
        let intent = Hash(self.digest);
        let deny = || Deny {
            salt,
            time,
            epoch,
            bundle,
            principal,
            audience,
            action,
            resource,
            intent,
            refusal,
            risk,
            policies: policies(),
        };
        match self.choice.index(16) {
            0 => Entry::Allow(Allow {
                salt,
                time,
                epoch,
                bundle,
                principal,
                audience,
                action,
                resource,
                intent,
                not_before: time,
                not_after: Timestamp(self.numbers[2]),
                uses: self.numbers[3] as u16,
                risk,
                grounds: self.grounds(),
                policies: policies(),
            }),
            1 => Entry::Deny(deny()),
            2 => Entry::Hold(Hold { denial: deny(), wait: self.wait() }),
            which => self.operation(which),
        }
    }

    /// An entry about the appliance itself.
    fn operation(&self, which: usize) -> Entry<'_> {
        let Head { time, epoch, bundle, salt, principal } = self.head();
        let ([.., audience, word], intent) = (&self.words, Hash(self.digest));
        match which {
            3 => Entry::Trip(Trip { salt, time, epoch, cause: word }),
            4 => Entry::Rearm(Rearm { salt, time, epoch }),
            5 => Entry::Status(Status { salt, time, epoch }),
            6 => Entry::Bundle(BundleOffer {
                salt,
                time,
                before: bundle,
                after: intent,
                source: word,
                by: audience,
                version: (self.numbers[0].is_multiple_of(2)).then_some(self.numbers[1]),
                outcome: if self.numbers[2].is_multiple_of(2) {
                    OfferOutcome::Loaded
                } else {
                    OfferOutcome::Refused(principal)
                },
            }),
            7 => Entry::Key(KeyAdded { salt, time, vkey: word }),
            8 => Entry::Boot(Boot { salt, time, epoch, version: word, hsm: audience, simulator: true }),
            14 => Entry::Approval(Approval {
                salt,
                time,
                epoch,
                hold: LeafIndex(self.numbers[2]),
                intent,
                principal,
                answer: if self.numbers[3].is_multiple_of(2) { Answer::Approved } else { Answer::Rejected },
                by: audience,
                key: word,
                bundle,
                signature: word,
            }),
            9 => Entry::Drill(Drill { salt, time, epoch, name: word, stage: DrillStage::Begun }),
            10 => Entry::Operator(OperatorAct {
                salt,
                time,
                epoch,
                act: word,
                by: [audience, principal].into_iter().collect(),
                statement: audience,
                signatures: [word.as_str()].into_iter().collect(),
            }),
            11 => self.charter(),
            12 | 13 => self.warrant(which == 13),
            _ => {
                let [from, covered, reached, denials] = self.numbers;
                let (from, covered, reached) = (Timestamp(from), TreeSize(covered), TreeSize(reached));
                Entry::Outage(Outage {
                    salt,
                    time,
                    from,
                    covered,
                    reached,
                    denials,
                    holds: 3,
                    refused: denials,
                })
            }
        }
    }

    /// A warrant, or a review.
    fn warrant(&self, is_review: bool) -> Entry<'_> {
        let Head { time, epoch, salt, principal, .. } = self.head();
        let [.., audience, word] = &self.words;
        if is_review {
            return Entry::Review(Review {
                salt,
                time,
                epoch,
                warrant: LeafIndex(self.numbers[2]),
                used: LeafIndex(self.numbers[3]),
                finding: [Finding::Justified, Finding::Unjustified][self.choice.index(2)],
                text: word,
                by: audience,
                statement: principal,
                signature: word,
            });
        }
        Entry::Warrant(Warrant {
            salt,
            time,
            epoch,
            charter: LeafIndex(self.numbers[2]),
            key: self.digest,
            uses: self.numbers[3] as u16,
            not_before: time,
            not_after: Timestamp(self.numbers[0]),
            reason: word,
            by: [audience.as_str()].into_iter().collect(),
            statement: principal,
            signatures: [word.as_str(), audience].into_iter().collect(),
        })
    }

    /// Its lists outlive the test: they are few.
    fn charter(&self) -> Entry<'_> {
        let Head { time, epoch, salt, principal, .. } = self.head();
        let uids: &[Uid<'_>] = Box::leak(Box::new(self.uids()));
        let words: &[&str] = Vec::leak(self.policies.iter().map(String::as_str).take(8).collect());
        let resources = [ResourceScope::OfType(&self.words[0]), ResourceScope::One(uids[1])];
        let resources: &[ResourceScope<'_>] = Box::leak(Box::new(resources));
        Entry::Charter(Charter {
            salt,
            time,
            epoch,
            name: &self.words[1],
            actions: uids.into(),
            resources: resources.into(),
            principals: words.into(),
            closed_s: self.numbers[0] as u32,
            window_max_s: self.numbers[1] as u32,
            uses_max: self.numbers[2] as u16,
            operators: words.into(),
            threshold: self.numbers[3] as u8,
            not_after: Timestamp(self.numbers[2]),
            by: [principal].into_iter().collect(),
            statement: &self.words[2],
            signatures: [principal, &self.words[3]].into_iter().collect(),
        })
    }

    /// The encoding of an intent with this context.
    fn intent(&self, context: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for uid in self.uids() {
            uid.append(&mut bytes);
        }
        bytes.extend_from_slice(context);
        bytes.extend(encoded(&self.terms()));
        bytes
    }
}

/// Encoded intents.
pub(crate) fn intents() -> impl Strategy<Value = Vec<u8>> {
    (parts(), contexts()).prop_map(|(parts, context)| parts.intent(&encoded(&context)))
}

/// What the way, or an enemy on it, may do to bytes.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

pub(crate) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let damage = prop_oneof![
        (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ];
    proptest::collection::vec(damage, 1..4)
}

pub(crate) fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Flip(at, bits) => *at.get_mut(&mut bytes) ^= bits,
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Damage::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(piece);
            }
        }
    }
    bytes
}
