//! Images as bytes: one bundle, one image; what is read from bytes is verified, and decides as what was compiled.

#![expect(clippy::panic, reason = "what stands beside the tests may fail as loudly as a test")]

use assent_compiler::{Bundle, BundleFile, Document, Rules, Sources};
use assent_evaluator::{Facts, Intent, Storage, Uid, Verdict, Verified, View};
use assent_image::{Stored, image_bytes, snapshot_bytes};
use std::path::Path;

const CATALOG: &str = r#"
type Assent = { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long };
entity Team;
entity Agent in [Team] = { level: Long, home: ipaddr };
entity Order = { owner: String, total: decimal, note?: String } tags Set<String>;
@risk("10")
action refund appliesTo { principal: [Agent], resource: [Order], context: { assent: Assent, owner: String, amount: Long } };
"#;
const POLICIES: &str = r#"
@id("own") permit (principal in Team::"t", action == Action::"refund", resource)
when { resource.owner == context.owner || principal.level > 7 } unless { resource.owner like "*ghost*" };
@id("large") @approval("1 of leads") forbid (principal, action, resource) when { context.amount > 1000 };
"#;
const RISK: &str =
    r#"@id("high") @score("20") permit (principal, action, resource) when { context.amount > 500 };"#;
const ENTITIES: &str = r#"[
{"uid":{"type":"Team","id":"t"},"attrs":{},"parents":[]},
{"uid":{"type":"Agent","id":"a"},"attrs":{"level":3,"home":{"fn":"ip","arg":"10.0.0.1"}},"parents":[{"type":"Team","id":"t"}]},
{"uid":{"type":"Order","id":"o"},"attrs":{"owner":"u","total":{"fn":"decimal","arg":"1.5"}},"parents":[],"tags":{"k":["x","y"]}}]"#;

fn sources() -> Sources {
    Sources {
        catalog: Document::new("catalog.cedarschema", CATALOG),
        policies: vec![Document::new("policies/refund.cedar", POLICIES)],
        risk: vec![Document::new("risk/amount.cedar", RISK)],
        links: None,
        operators: None,
        entities: vec![Document::new("entities.json", ENTITIES)],
        tests: Vec::new(),
        rules: Rules::Bundle,
    }
}

fn bundle() -> Bundle {
    Bundle::compile(sources()).unwrap_or_else(|error| panic!("{}", error.report()))
}

fn decide(view: &View<'_>, owner: &str, amount: i64) -> Option<(Verdict, i64)> {
    let mut intent = Intent::new(view);
    let uid = |type_name, id| Uid { type_name, id };
    intent.ask(uid("Agent", "a"), uid("Action", "refund"), uid("Order", "o"));
    intent.begin_record(2).ok()?;
    intent.key("amount").ok()?;
    intent.long(amount).ok()?;
    intent.key("owner").ok()?;
    intent.string(owner).ok()?;
    intent.end().ok()?;
    let mut classified = intent.classify(Facts::default()).ok()?;
    let evaluation = classified.evaluate();
    Some((evaluation.verdict(), evaluation.risk()))
}

const ASKED: [(&str, i64); 4] = [("u", 100), ("x", 100), ("u", 2000), ("u", 600)];

#[test]
fn one_bundle_gives_one_image() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/retail/bundle");
    for _ in 0..3 {
        let bytes = || {
            let bundle = Bundle::from_folder(&folder).unwrap();
            let view = bundle.view();
            (image_bytes(view.image()), snapshot_bytes(view.snapshot()))
        };
        assert!(bytes() == bytes());
    }
}

#[test]
fn what_is_read_from_bytes_decides_as_what_was_compiled() {
    let bundle = bundle();
    let view = bundle.view();
    let (image, snapshot) = (image_bytes(view.image()), snapshot_bytes(view.snapshot()));
    let stored = Stored::from_bytes(&image, &snapshot).unwrap();
    assert!(image_bytes(&stored.image()) == image && snapshot_bytes(&stored.snapshot()) == snapshot);
    let stored = Verified::new(stored).unwrap();
    let decided = ASKED.map(|(owner, amount)| decide(&stored.view(), owner, amount).unwrap());
    assert_eq!(decided, ASKED.map(|(owner, amount)| decide(&view, owner, amount).unwrap()));
    let expected = [(Verdict::Allow, 10), (Verdict::Deny, 10), (Verdict::Hold, 30), (Verdict::Allow, 30)];
    assert_eq!(decided, expected);
}

/// Whatever is changed, the bytes are refused, or the tables are, or the machine still ends without a panic.
#[test]
fn no_changed_byte_makes_the_evaluator_fall() {
    let bundle = bundle();
    let view = bundle.view();
    let (image, snapshot) = (image_bytes(view.image()), snapshot_bytes(view.snapshot()));
    let (mut unreadable, mut flawed, mut sound) = (0, 0, 0);
    for at in 0..image.len() + snapshot.len() {
        for change in [1, 0x80, 0xff] {
            let (mut image, mut snapshot) = (image.clone(), snapshot.clone());
            match at.checked_sub(image.len()) {
                None => image[at] ^= change,
                Some(at) => snapshot[at] ^= change,
            }
            let Ok(stored) = Stored::from_bytes(&image, &snapshot) else {
                unreadable += 1;
                continue;
            };
            let Ok(verified) = Verified::new(stored) else {
                flawed += 1;
                continue;
            };
            sound += 1;
            for (owner, amount) in ASKED {
                let _any = decide(&verified.view(), owner, amount);
            }
        }
    }
    println!("{unreadable} unreadable, {flawed} flawed, {sound} sound");
    assert!(unreadable > 500 && flawed > 500 && sound > 100);
}

#[test]
fn what_is_cut_or_grown_is_unreadable() {
    let bundle = bundle();
    let view = bundle.view();
    let (image, snapshot) = (image_bytes(view.image()), snapshot_bytes(view.snapshot()));
    for end in 0..image.len() {
        assert!(Stored::from_bytes(&image[..end], &snapshot).is_err(), "{end}");
    }
    for end in 0..snapshot.len() {
        assert!(Stored::from_bytes(&image, &snapshot[..end]).is_err(), "{end}");
    }
    assert!(Stored::from_bytes(&[&image[..], &[0]].concat(), &snapshot).is_err());
    assert!(Stored::from_bytes(&snapshot, &image).is_err());
}

#[test]
fn a_bundle_file_is_believed_only_as_far_as_its_sources_say() {
    let path = Path::new("refund.bundle");
    let attached = [Document::new("bundle.toml", "version = 3\n")];
    let file = BundleFile::of(&bundle(), &attached);
    let bytes = file.to_bytes().unwrap();
    let read = BundleFile::from_bytes(path, &bytes).unwrap();
    assert_eq!((read.attachments(), read.image_digest()), (attached.to_vec(), bundle().image_digest()));
    assert_eq!(read.open(path).unwrap().digest(), bundle().digest());
    assert!(BundleFile::is_one(&bytes) && !BundleFile::is_one(CATALOG.as_bytes()));

    // Other sources with the image of these, and these with another's image.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("context.amount > 1000"));
    let at = |wanted: &[u8]| bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    let mut loosened = bytes.clone();
    loosened[at(b"amount > 1000") + 9] = b'9';
    let refused = BundleFile::from_bytes(path, &loosened).unwrap().open(path).unwrap_err();
    assert!(refused.report().contains("its image is not the one"), "{}", refused.report());
    let mut entities = bytes.clone();
    entities[at(br#""level":3"#) + 8] = b'8';
    let refused = BundleFile::from_bytes(path, &entities).unwrap().open(path).unwrap_err();
    assert!(refused.report().contains("its snapshot is not the one"), "{}", refused.report());
    for end in [0, 5, bytes.len() - 1] {
        let refused = BundleFile::from_bytes(path, &bytes[..end]).unwrap_err();
        assert!(refused.report().contains("assent policy compile"), "{}", refused.report());
    }
}
