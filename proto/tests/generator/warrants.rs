//! Tokens under a warrant: those that verify, and every attack on one, each with the kind of error that stops it.

use assent_proto::entry::{Allow, Entry, Grounds};
use assent_proto::intent::Uid;
use assent_proto::number::{LeafIndex, Timestamp};

use super::break_glass::{WARRANT, charter, warrant};
use super::frames::{NOW, leaf};
use super::notes::{ORIGIN, key, vkey};
use super::scene::{Making, Scene, TrustedWarrant, allow, scene_of};
use super::{File, encoded};

const OK: &str = "ok log.example/appliance/log/1 5";
const NAME: &str = "log.example/appliance/log/1/warrant/3";

/// The first use of the warrant.
fn used() -> Allow<'static> {
    Allow { grounds: Grounds::Warrant { leaf: WARRANT, number: 1 }, ..allow() }
}

/// A token of this allow, signed by the warrant's key under the warrant's name.
fn under_its_key(allow: &Allow<'_>) -> Scene {
    let body = encoded(allow);
    trusting(scene_of(Making { name: NAME, key: key(5), ..Making::of(&body) }.token()))
}

/// The same signed by the log's own key.
fn under_the_log(allow: &Allow<'_>) -> Scene {
    trusting(scene_of(Making::of(&encoded(allow)).token()))
}

/// Trusts the warrant, too.
fn trusting(scene: Scene) -> Scene {
    let given = warrant();
    let (not_before, not_after) = (given.not_before.0, given.not_after.0);
    let vkey = vkey(NAME, &key(5));
    let trusted =
        TrustedWarrant { leaf: WARRANT.0, not_before, not_after, uses: 3, origin: ORIGIN.to_owned(), vkey };
    let charter = Some(leaf(&Entry::Charter(charter())));
    scene.with(|scene| {
        (scene.break_glass, scene.warrants, scene.charter) = (true, vec![trusted], charter);
    })
}

pub(super) fn tokens() -> String {
    let about = [
        "Tokens under warrants. As in tokens.txt, and each trusted warrant: its leaf, not-before, not-after, uses, origin and",
        "verifier key; `charter` is the leaf of their charter, whose scope they have.",
    ];
    let mut file = File::new("tokens", &about);
    verifying(&mut file);
    keys(&mut file);
    uses(&mut file);
    window(&mut file);
    scope(&mut file);
    order(&mut file);
    file.0
}

fn verifying(file: &mut File) {
    under_its_key(&used()).write(file, "a use under the warrant's key", OK);
    under_the_log(&used()).write(file, "a use under the log's key", OK);
    let last = Allow { grounds: Grounds::Warrant { leaf: WARRANT, number: 3 }, ..used() };
    under_its_key(&last).write(file, "the last use", OK);
    let not_accepting = |scene: Scene| scene.with(|scene| scene.break_glass = false);
    let name = "under the warrant's key where break-glass is not accepted";
    not_accepting(under_its_key(&used())).write(file, name, "untrusted_key");
    let name = "under the log's key where break-glass is not accepted";
    not_accepting(under_the_log(&used())).write(file, name, "grounds");
    let unknown = |scene: Scene| scene.with(|scene| scene.warrants.clear());
    unknown(under_its_key(&used())).write(file, "under the key of an unknown warrant", "untrusted_key");
    unknown(under_the_log(&used())).write(file, "an unknown warrant", "warrant");
}

/// Which key vouches for what.
fn keys(file: &mut File) {
    let policy = under_its_key(&allow());
    policy.write(file, "an allow of the policies under the warrant's key", "untrusted_key");
    let approved = Allow { grounds: Grounds::Approval(LeafIndex(2)), ..allow() };
    under_its_key(&approved).write(file, "an approved hold under the warrant's key", "untrusted_key");
    let other = Allow { grounds: Grounds::Warrant { leaf: LeafIndex(4), number: 1 }, ..allow() };
    under_its_key(&other).write(file, "a use of another warrant under this one's key", "untrusted_key");
    under_the_log(&other).write(file, "a use of another warrant", "warrant");
    let body = encoded(&used());
    let signed = |name: &str, origin: &str, seed: u8| {
        trusting(scene_of(Making { name, origin, key: key(seed), ..Making::of(&body) }.token()))
    };
    signed(NAME, ORIGIN, 6).write(file, "signed by another key", "untrusted_key");
    signed(ORIGIN, ORIGIN, 5).write(file, "the warrant's key under the log's name", "untrusted_key");
    signed(NAME, NAME, 5).write(file, "a checkpoint whose origin is the key's name", "signature");
    let elsewhere = "log.example/appliance/log/2";
    signed(NAME, elsewhere, 5).write(file, "a checkpoint of another origin", "signature");
    let renamed = |name: &str| {
        let vkey = vkey(name, &key(5));
        signed(name, ORIGIN, 5).with(|scene| scene.warrants[0].vkey = vkey)
    };
    let name = "key under another warrant's name";
    renamed("log.example/appliance/log/1/warrant/4").write(file, name, "untrusted_key");
    let name = "key under the name of a warrant of another origin";
    renamed("log.example/appliance/log/2/warrant/3").write(file, name, "untrusted_key");
    let name = "warrant of another origin, under the log's key";
    let moved = |scene: &mut Scene| scene.warrants[0].origin = elsewhere.to_owned();
    under_the_log(&used()).with(moved).write(file, name, "warrant");
    // A log whose origin is the name of the warrant's key, and whose key it is.
    let shadow = |scene: &mut Scene| scene.keys.push((vkey(NAME, &key(5)), 0, u64::MAX));
    let name = "an allow of the policies, the warrant's key trusted as that of a log of its name";
    policy.with(shadow).write(file, name, "signature");
}

fn uses(file: &mut File) {
    let mut refuse = |name: &str, change: &dyn Fn(&mut Allow<'_>)| {
        let mut altered = used();
        change(&mut altered);
        under_its_key(&altered).write(file, name, "warrant_use");
    };
    let numbered =
        |number| move |allow: &mut Allow<'_>| allow.grounds = Grounds::Warrant { leaf: WARRANT, number };
    refuse("use without a number", &numbered(0));
    refuse("number beyond the uses", &numbered(4));
    refuse("largest number", &numbered(u16::MAX));
    refuse("more than one use at once", &|allow| allow.uses = 2);
    let body = encoded(&used());
    for index in [2, 3] {
        let name = format!("use at leaf {index}, which is not above its warrant");
        // The allow stands at this leaf, too.
        let good = Making { name: NAME, key: key(5), ..Making::of(&body) };
        let mut leaves = good.leaves.clone();
        leaves.swap(index, 5);
        trusting(scene_of(Making { leaves, index, ..good }.token())).write(file, &name, "warrant_use");
    }
}

fn window(file: &mut File) {
    let end = warrant().not_after;
    let late = Allow { time: end, not_before: end, not_after: end, ..used() };
    let at =
        |scene: Scene, now: Timestamp| scene.with(|scene| (scene.now, scene.keys[0].2) = (now.0, u64::MAX));
    at(under_its_key(&late), end).write(file, "decided when the warrant ends", OK);
    let beyond = Allow { time: end, not_before: end, not_after: end.plus_ms(1), ..used() };
    let name = "token that outlives its warrant";
    at(under_its_key(&beyond), end).write(file, name, "warrant_window");
    let after = Allow { time: end.plus_ms(1), ..late.clone() };
    at(under_its_key(&after), end).write(file, "decided after the warrant ended", "untrusted_key");
    at(under_the_log(&after), end).write(
        file,
        "decided after it ended, under the log's key",
        "warrant_window",
    );
    let before = Allow { time: NOW.minus_ms(1), ..used() };
    under_its_key(&before).write(file, "decided before the warrant lived", "untrusted_key");
    under_the_log(&before).write(file, "decided before it lived, under the log's key", "warrant_window");
    let early = Allow { not_before: NOW.minus_ms(1), not_after: NOW.plus_ms(1000), ..used() };
    under_its_key(&early).write(file, "token that begins before its warrant", "warrant_window");
    let expired = at(under_its_key(&late), end.plus_ms(1));
    expired.write(file, "used after the warrant ended", "untrusted_key");
    let skewed = expired.with(|scene| scene.skew_ms = 1);
    skewed.write(file, "used after the warrant ended, within the skew", OK);
    at(under_the_log(&late), end.plus_ms(1)).write(
        file,
        "used after it ended, under the log's key",
        "expired",
    );
}

fn scope(file: &mut File) {
    let mut refuse = |name: &str, change: &dyn Fn(&mut Allow<'_>)| {
        let mut altered = used();
        change(&mut altered);
        under_its_key(&altered).write(file, name, "warrant_scope");
    };
    refuse("another action", &|allow| allow.action = Uid { type_name: "Retail::Action", id: "Return" });
    refuse("another type of action", &|allow| allow.action = Uid { type_name: "Action", id: "Refund" });
    refuse("another resource", &|allow| allow.resource = Uid { type_name: "Retail::Order", id: "#W2" });
    refuse("another agent", &|allow| allow.principal = "spiffe://retail.example/agent/2");
    let cart = Allow { resource: Uid { type_name: "Retail::Cart", id: "any" }, ..used() };
    under_its_key(&cart).write(file, "any resource of a type of the charter", OK);
}

/// Tokens with which everything is wrong from some of the last steps on: that step names the error.
fn order(file: &mut File) {
    let results = ["grounds", "warrant", "warrant_use", "warrant_window", "warrant_scope", OK];
    for (right, result) in results.iter().enumerate() {
        let wrong = |step: usize| step >= right;
        let token = Allow {
            grounds: Grounds::Warrant { leaf: WARRANT, number: if wrong(2) { 9 } else { 1 } },
            not_before: if wrong(3) { NOW.minus_ms(1) } else { NOW },
            not_after: NOW.plus_ms(1000),
            principal: if wrong(4) { "spiffe://retail.example/agent/2" } else { used().principal },
            ..used()
        };
        let scene = under_the_log(&token).with(|scene| {
            scene.break_glass = !wrong(0);
            if wrong(1) {
                scene.warrants.clear();
            }
        });
        scene.write(file, &format!("the last steps are wrong but the first {right}"), result);
    }
}
