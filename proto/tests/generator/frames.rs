//! Requests, replies and entries, and what may be wrong with each.

use assent_proto::entry::{
    Allow, Answer, Approval, Boot, BundleOffer, Deny, Drill, DrillStage, Entry, Grounds, Hold, KeyAdded,
    OfferOutcome, OperatorAct, Outage, Policies, Rearm, Salt, Status, Trip, Wait,
};
use assent_proto::hash::Hash;
use assent_proto::intent::{Priority, Uid};
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{self, BatchId, Head, Ruling, Sealing, Verdict, Waiting};

use super::intents::{TERMS, act, context};
use super::{File, encoded};

/// When everything happens.
pub(super) const NOW: Timestamp = Timestamp(1_790_000_000_000);
pub(super) const BATCH: BatchId = BatchId::new(NOW, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

pub(super) fn intent() -> Vec<u8> {
    [act(&context()), encoded(&TERMS)].concat()
}

pub(super) fn requests() -> String {
    let about = [
        "Request frames. Where the result is ok: batch id, its time, and the intents; elsewhere the refusal too.",
    ];
    let mut file = File::new("requests", &about);
    let (first, second) = (intent(), [act(&[0]), encoded(&TERMS)].concat());
    let mut frame = Vec::new();
    wire::begin_request(BATCH, 2, &mut frame);
    wire::push_intent(&first, &mut frame);
    wire::push_intent(&second, &mut frame);
    file.case("two intents").bytes("frame", &frame).field("result", "ok");
    file.field("batch", "01a0c4506c000102030405060708090a").field("time", NOW);
    file.bytes("intent", &first).bytes("intent", &second);

    let mut refuse = |name: &str, frame: &[u8], result: &str, refusal: &str| {
        file.case(name).bytes("frame", frame).field("result", result).field("refusal", refusal);
    };
    let (head, invalid) = ([&[1][..], &BATCH.0].concat(), "2 FRAME_INVALID");
    let framed = |intent: &[u8]| [&*head, &[1, u8::try_from(intent.len()).unwrap()], intent].concat();
    refuse("no bytes", &[], "frame truncated", invalid);
    refuse("frame of another kind", &[&[4], &frame[1..]].concat(), "frame malformed", invalid);
    refuse("batch id cut short", &frame[..16], "frame truncated", invalid);
    refuse("no intents", &[&*head, &[0]].concat(), "frame malformed", invalid);
    refuse(
        "more intents than a batch may have",
        &[&*head, &[0x81, 0x20]].concat(),
        "frame too-long",
        invalid,
    );
    refuse("overlong count", &[&*head, &[0x81, 0x00, 1, 0]].concat(), "frame not-canonical", invalid);
    refuse(
        "fewer intents than counted",
        &[&*head, &[2], &framed(&second)[18..]].concat(),
        "frame truncated",
        invalid,
    );
    refuse("trailing byte", &[&*frame, &[0]].concat(), "frame trailing", invalid);
    refuse("intent with a trailing byte", &framed(&[&*second, &[0]].concat()), "intent 0 trailing", invalid);
    refuse("intent without bytes", &framed(&[]), "intent 0 truncated", invalid);
    let lying = [&*head, &[1, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    refuse("lying length", &lying, "frame too-long", invalid);
    let deep = [&act(&[&[1, 1, b'k'][..], &[4, 1].repeat(8)].concat())[..], &encoded(&TERMS)].concat();
    refuse("intent over a limit", &framed(&deep), "intent 0 too-large", "5 INTENT_TOO_LARGE");
    file.0
}

pub(super) fn uids() -> [Uid<'static>; 2] {
    [Uid { type_name: "Retail::Action", id: "Refund" }, Uid { type_name: "Retail::Order", id: "#W1" }]
}

const HEAD: Head<'static> = Head {
    time: NOW,
    epoch: Epoch(3),
    bundle: Hash([0xb0; 32]),
    salt: Salt([0x5a; 16]),
    principal: "spiffe://retail.example/agent/1",
};

const WAITING: Waiting = Waiting { wait_s: 900, priority: Priority::High };

fn rulings() -> [Ruling<'static>; 3] {
    let named = |id| [id].into_iter().collect::<Policies<'static>>();
    let allow = Verdict::Allow { window_s: 300, uses: 1, grounds: Grounds::Policy };
    [
        Ruling { verdict: allow, risk: 17, policies: named("refunds.small") },
        Ruling { verdict: Verdict::Deny(Refusal::PolicyDenied), risk: -1, policies: named("refunds.never") },
        Ruling {
            verdict: Verdict::Hold { refusal: Refusal::AwaitingApproval, waiting: Some(WAITING) },
            risk: 0,
            policies: Policies::default(),
        },
    ]
}

/// SHA-256 over the label, the seed and the position; the first 16 bytes.
fn salt(position: u32) -> Salt {
    use sha2::{Digest as _, Sha256};
    let sha = Sha256::new().chain_update(b"assent/salt/v1\0").chain_update(HEAD.salt.0);
    let hash = sha.chain_update(position.to_be_bytes()).finalize();
    Salt(std::array::from_fn(|at| hash[at]))
}

fn denial(position: u32, intent: Hash) -> Deny<'static> {
    let ([action, resource], Head { time, epoch, bundle, principal, .. }) = (uids(), HEAD);
    let (audience, refusal, policies) =
        (TERMS.audience, Refusal::PolicyDenied, rulings()[1].policies.clone());
    let salt = salt(position);
    Deny {
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
        risk: -1,
        policies,
    }
}

/// The allow that the first ruling makes of the intent at `position`.
fn allow(position: u32, intent: Hash) -> Allow<'static> {
    let ([action, resource], Head { time, epoch, bundle, principal, .. }) = (uids(), HEAD);
    Allow {
        salt: salt(position),
        time,
        epoch,
        bundle,
        principal,
        audience: TERMS.audience,
        action,
        resource,
        intent,
        not_before: time,
        not_after: time.plus_ms(300_000),
        uses: 1,
        risk: 17,
        grounds: Grounds::Policy,
        policies: rulings()[0].policies.clone(),
    }
}

pub(super) fn leaf(entry: &Entry<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.append(&mut bytes).unwrap();
    bytes
}

/// What waits, in the third ruling.
fn hold(digest: Hash) -> Hold<'static> {
    let denial = Deny {
        refusal: Refusal::AwaitingApproval,
        risk: 0,
        policies: Policies::default(),
        ..denial(2, digest)
    };
    let until = NOW.plus_ms(1000 * u64::from(WAITING.wait_s));
    let wait = Some(Wait { until, priority: WAITING.priority });
    Hold { denial, wait }
}

pub(super) fn replies() -> String {
    let about = [
        "Reply frames. Where the result is ok and intents are given: the leaves that reply and intents lead to, in order.",
    ];
    let mut file = File::new("replies", &about);
    file.case("refused as a whole")
        .bytes("frame", &[0, 9])
        .field("result", "ok")
        .field("refusal", "9 TOKEN_UNAVAILABLE");

    let digest = assent_proto::intent::Act::parse(&act(&context())).unwrap().digest();
    let sealing = Sealing {
        first: LeafIndex(5),
        size: TreeSize(8),
        key_id: KeyId([1, 2, 3, 4]),
        signature: [0x51; 64],
        proof: [Hash([0xa1; 32]), Hash([0xa2; 32])].into_iter().collect(),
    };
    let reply = |sealing: Option<&Sealing>| {
        let mut frame = Vec::new();
        wire::begin_decided(&HEAD, rulings().iter(), &[0, 1, 2], &mut frame).unwrap();
        wire::append_sealing(sealing, &mut frame);
        frame
    };
    let hold = hold(digest);
    let leaves = [Entry::Allow(allow(0, digest)), Entry::Deny(denial(1, digest)), Entry::Hold(hold)];
    let sealed = reply(Some(&sealing));
    file.case("allow, denial and hold").bytes("frame", &sealed).field("result", "ok");
    file.field("outcomes", "0 1 2").field("first", 5).field("size", 8).field("key-id", "01020304");
    file.bytes("signature", &sealing.signature).hashes("proof", &sealing.proof);
    for entry in &leaves {
        file.bytes("intent", &intent()).bytes("leaf", &leaf(entry));
    }
    let unsealed = reply(None);
    let before_sealing = &unsealed[..unsealed.len() - 1];

    let mut refuse = |name: &str, frame: &[u8], result: &str| {
        file.case(name).bytes("frame", frame).field("result", result);
    };
    refuse("no bytes", &[], "truncated");
    refuse("reply of another kind", &[2], "malformed");
    refuse("refusal that there is not", &[0, 20], "malformed");
    refuse("refusal of number 0", &[0, 0], "malformed");
    refuse("refusal with a trailing byte", &[0, 9, 0], "trailing");
    refuse("trailing byte", &[&*sealed, &[0]].concat(), "trailing");
    refuse("last byte missing", &sealed[..sealed.len() - 1], "truncated");
    refuse("sealing neither there nor missing", &[before_sealing, &[2]].concat(), "malformed");
    let (outcomes, rest) = (before_sealing.len() - 4, [0]);
    refuse("outcome beyond the rulings", &[&before_sealing[..outcomes], &[1, 3], &rest].concat(), "too-long");
    refuse(
        "overlong outcome",
        &[&before_sealing[..outcomes], &[1, 0x81, 0], &rest].concat(),
        "not-canonical",
    );
    let head = encoded(&HEAD);
    let head = [&[1, u8::try_from(head.len()).unwrap()], &*head].concat();
    refuse("no rulings", &[&*head, &[0, 0, 0]].concat(), "malformed");
    refuse("ruling with a trailing byte", &[&*head, &[1, 6, 1, 6, 0, 0, 0, 0, 0, 0]].concat(), "trailing");
    refuse(
        "more hashes than a range proof has",
        &{
            let mut frame = [before_sealing, &[1, 5, 8, 1, 2, 3, 4]].concat();
            frame.extend([[0x51; 64].as_slice(), &[113], &[0; 32]].concat());
            frame
        },
        "too-long",
    );
    file.0
}

fn every_entry(intent: Hash) -> Vec<(&'static str, Entry<'static>)> {
    let (salt, time, epoch) = (Salt([7; 16]), NOW, Epoch(4));
    let (before, after) = (Hash::default(), Hash([0xb0; 32]));
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let outage = Outage {
        salt,
        time,
        from: Timestamp(NOW.0 - 60_000),
        covered: TreeSize(1000),
        reached: TreeSize(1007),
        denials: 6,
        holds: 1,
        refused: 4096,
    };
    let offer = BundleOffer {
        salt,
        time,
        before,
        after,
        source: "policies/",
        by: "watch",
        version: Some(300),
        outcome: OfferOutcome::Loaded,
    };
    let refused = BundleOffer {
        after: before,
        by: "operator root (uid 0)",
        version: None,
        outcome: OfferOutcome::Refused("signatures: 1 of 2"),
        ..offer.clone()
    };
    vec![
        ("allow", Entry::Allow(allow(0, intent))),
        (
            "allow by approval",
            Entry::Allow(Allow { grounds: Grounds::Approval(LeafIndex(300)), ..allow(1, intent) }),
        ),
        (
            "allow by warrant",
            Entry::Allow(Allow {
                grounds: Grounds::Warrant { leaf: LeafIndex(7), number: 300 },
                ..allow(2, intent)
            }),
        ),
        ("deny", Entry::Deny(denial(3, intent))),
        (
            "hold",
            Entry::Hold(Hold {
                denial: Deny { refusal: Refusal::ApprovalRequired, ..denial(4, intent) },
                wait: None,
            }),
        ),
        ("trip", Entry::Trip(Trip { salt, time, epoch, cause: "token_not_present" })),
        ("rearm", Entry::Rearm(Rearm { salt, time, epoch })),
        ("status", Entry::Status(Status { salt, time, epoch })),
        ("bundle loaded", Entry::Bundle(offer)),
        ("bundle refused", Entry::Bundle(refused)),
        ("key", Entry::Key(KeyAdded { salt, time, vkey })),
        ("boot", Entry::Boot(Boot { salt, time, epoch, version: "0.1.0", hsm: "a b c", simulator: true })),
        ("outage", Entry::Outage(outage)),
        ("approval", Entry::Approval(approval(salt, time, epoch, intent))),
        ("charter", Entry::Charter(super::break_glass::charter())),
        ("warrant", Entry::Warrant(super::break_glass::warrant())),
        ("review", Entry::Review(super::break_glass::review())),
        ("act of operators", Entry::Operator(operators(salt, time, epoch))),
        ("drill", Entry::Drill(Drill { salt, time, epoch, name: "remove", stage: DrillStage::Ended })),
    ]
}

fn approval(salt: Salt, time: Timestamp, epoch: Epoch, intent: Hash) -> Approval<'static> {
    Approval {
        salt,
        time,
        epoch,
        hold: LeafIndex(300),
        intent,
        principal: HEAD.principal,
        answer: Answer::Rejected,
        by: "alice",
        key: "ssh-ed25519 AAAA",
        bundle: Hash([0xb2; 32]),
        signature: "-----BEGIN SSH SIGNATURE-----",
    }
}

fn operators(salt: Salt, time: Timestamp, epoch: Epoch) -> OperatorAct<'static> {
    OperatorAct {
        salt,
        time,
        epoch,
        act: "rearm",
        by: ["alice", "bob"].into_iter().collect(),
        statement: "assent/rearm/v1\norigin a/b/log/1\nepoch 4\ncause bad_signature\nrevoke no\n",
        signatures: ["-----BEGIN SSH SIGNATURE-----", "another"].into_iter().collect(),
    }
}

pub(super) fn entries() -> String {
    let mut file =
        File::new("entries", &["Leaves: label, kind, body. The leaf hash is that of RFC 6962 section 2.1."]);
    for (name, entry) in every_entry(Hash([0xd1; 32])) {
        let leaf = leaf(&entry);
        file.case(name).bytes("leaf", &leaf).field("result", "ok").field("kind", leaf[15]);
        file.field("time", NOW).field("leaf-hash", crate::naive::root(&[leaf]));
    }
    let mut refuse = |name: &str, leaf: &[u8], result: &str| {
        file.case(name).bytes("leaf", leaf).field("result", result);
    };
    let labelled = |kind: u8, body: &[u8]| [b"assent/leaf/v1\0", &[kind][..], body].concat();
    let status = [&[7; 16][..], &[1, 4]].concat();
    refuse("no bytes", &[], "label");
    refuse("label alone", b"assent/leaf/v1\0", "label");
    refuse("label of another version", &[b"assent/leaf/v2\0", &[6][..], &status].concat(), "label");
    refuse("kind 0", &labelled(0, &status), "kind");
    refuse("kind 17", &labelled(17, &status), "kind");
    for (name, leaf, result) in super::break_glass::damaged() {
        refuse(name, &leaf, result);
    }
    refuse("body cut short", &labelled(6, &status[..17]), "body truncated");
    refuse("trailing byte", &labelled(6, &[&*status, &[0]].concat()), "body trailing");
    refuse("overlong varint", &labelled(6, &[&[7; 16][..], &[1, 0x84, 0]].concat()), "body not-canonical");
    refuse(
        "varint beyond 64 bits",
        &labelled(6, &[&[7; 16][..], &[0xff; 9], &[2, 4]].concat()),
        "body malformed",
    );
    refuse("cause in no UTF-8", &labelled(4, &[&*status, &[1, 0xff]].concat()), "body malformed");
    let boot = |simulator: u8| labelled(9, &[&*status, &[0, 0, simulator]].concat());
    refuse("boolean of 2", &boot(2), "body malformed");
    let deny = leaf(&Entry::Deny(denial(3, Hash([0xd1; 32]))));
    // Behind the refusal stand the risk, the total of policies, how many are named, and the one that is.
    let refusal = deny.len() - 5 - "refunds.never".len();
    for number in [0, 20] {
        let mut altered = deny.clone();
        altered[refusal] = number;
        refuse(&format!("refusal of number {number}"), &altered, "body malformed");
    }
    let mut grounds = leaf(&Entry::Allow(allow(0, Hash([0xd1; 32]))));
    let at = grounds.len() - 4 - "refunds.small".len();
    grounds[at] = 3;
    refuse("grounds that there are not", &grounds, "body malformed");
    file.0
}
