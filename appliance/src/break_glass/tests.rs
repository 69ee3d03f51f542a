//! The room without an appliance: what is given, what is refused, and what a commit changes.

use assent_proto::entry::break_glass::{Finding, List, ResourceScope};
use assent_proto::entry::{Charter, Entry, Grounds, Review, Salt, Warrant};
use assent_proto::hash::Hash;
use assent_proto::intent::Uid;
use assent_proto::number::{Epoch, TreeSize};
use assent_proto::wire::{Head, Verdict};

use super::act::{Kind, encoded};
use super::key::Wanted;
use super::*;

const ACTION: Uid<'static> = Uid { type_name: "Shop::Action", id: "cancel" };
const ORDER: Uid<'static> = Uid { type_name: "Shop::Order", id: "1" };
const AGENT: &str = "spiffe://shop.test/agent/a";
const CHARTER: LeafIndex = LeafIndex(5);
const WARRANT: LeafIndex = LeafIndex(9);

impl BreakGlass {
    /// One with nothing in it, for the tests of whoever asks it.
    pub(crate) fn without_log() -> Arc<Self> {
        let keys = Keys::open(PathBuf::from("/nonexistent"));
        let (state, news) = (Mutex::new(State { book: Book::default(), keys }), Notify::new());
        Arc::new(Self { origin: String::new(), state, news })
    }
}

/// A room in a folder of its own.
struct Scene {
    room: BreakGlass,
    folder: tempfile::TempDir,
}

fn charter(closed_s: u32, not_after: u64) -> Act {
    let (actions, resources, operators) = ([ACTION], [ResourceScope::OfType("Shop::Order")], ["a", "b", "c"]);
    let entry = Entry::Charter(Charter {
        salt: Salt::default(),
        time: Timestamp(0),
        epoch: Epoch(0),
        name: "orders",
        actions: List::from(actions.as_slice()),
        resources: List::from(resources.as_slice()),
        principals: List::from([AGENT].as_slice()),
        closed_s,
        window_max_s: 100,
        uses_max: 3,
        operators: List::from(operators.as_slice()),
        threshold: 2,
        not_after: Timestamp(not_after),
        by: std::iter::empty().collect(),
        statement: "",
        signatures: std::iter::empty().collect(),
    });
    Act(Kind::Charter(encoded(&entry).unwrap()))
}

impl Scene {
    /// With a charter that is in force until 900 s, and wants the boundary closed for 10 s.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path().to_owned());
        let state = Mutex::new(State { book: Book::default(), keys });
        let room = BreakGlass { origin: "shop.test/log/1".to_owned(), state, news: Notify::new() };
        let scene = Self { room, folder };
        scene.write(&charter(10, 900_000), CHARTER, 0);
        scene
    }

    /// Writes an act at this leaf, as a commit would.
    fn write(&self, act: &Act, leaf: LeafIndex, now: u64) {
        let mut bytes = Vec::new();
        act.entry(Salt::default(), Timestamp(now), Epoch(1)).append(&mut bytes).unwrap();
        let changes = self.room.changes(act, leaf, &bytes, Timestamp(now));
        assert!(!changes.is_empty());
        self.room.apply(changes, Timestamp(now));
    }

    /// A warrant of two uses for 100 s to 160 s, whose key is prepared.
    fn warrant(&self) -> Act {
        let (not_before, not_after) = (Timestamp(100_000), Timestamp(160_000));
        let reason = "gone".to_owned();
        let wanted = Wanted { charter: CHARTER, uses: 2, not_before, not_after, reason };
        let made = Prepared::make(self.folder.path(), wanted).unwrap();
        let prepared = self.room.lock().keys.take(made).unwrap();
        let entry = Entry::Warrant(Warrant {
            salt: Salt::default(),
            time: not_before,
            epoch: Epoch(0),
            charter: CHARTER,
            key: *prepared.key.public(),
            uses: 2,
            not_before,
            not_after,
            reason: "gone",
            by: ["a", "b"].into_iter().collect(),
            statement: "",
            signatures: std::iter::empty().collect(),
        });
        Act(Kind::Warrant(encoded(&entry).unwrap(), vec![0, 1]))
    }

    fn use_up(&self, number: u16, leaf: u64) {
        let (time, leaf, review) = (Timestamp(130_000), LeafIndex(leaf), None);
        let line = UseLine { warrant: WARRANT, number, leaf, time, review };
        self.room.apply(vec![Change::Use(line)], time);
    }

    fn refusal(&self, act: &Act, moment: Moment) -> String {
        self.room.check(act, &moment).expect_err("it is not due")
    }
}

fn closed(now: u64) -> Moment {
    let closed_since = Some(Timestamp(100_000));
    Moment { now: Timestamp(now), is_open: false, closed_since, covered: TreeSize(8) }
}

fn head(time: u64, principal: &str) -> Head<'_> {
    let (time, bundle) = (Timestamp(time), Hash::default());
    Head { time, epoch: Epoch(1), bundle, salt: Salt::default(), principal }
}

/// What a lent warrant makes of an act: window and number.
fn taken(
    lent: &mut LentWarrant,
    head: &Head<'_>,
    action: Uid<'_>,
    resource: Uid<'_>,
    window_s: u32,
) -> Option<(u32, u16)> {
    match lent.take(head, (&action, &resource), window_s)? {
        Verdict::Allow { window_s, uses: 1, grounds: Grounds::Warrant { leaf: WARRANT, number } } => {
            Some((window_s, number))
        }
        other @ (Verdict::Allow { .. } | Verdict::Deny(_) | Verdict::Hold { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn a_warrant_gives_each_number_once_in_order_and_only_for_its_scope_and_window() {
    let scene = Scene::new();
    assert!(scene.room.lend(Timestamp(120_000)).is_none());
    scene.write(&scene.warrant(), WARRANT, 120_000);
    let mut lent = scene.room.lend(Timestamp(130_000)).unwrap();
    let other = Uid { id: "other", ..ACTION };
    for (head, action, resource) in [
        (head(119_999, AGENT), ACTION, ORDER),
        (head(160_001, AGENT), ACTION, ORDER),
        (head(130_000, "spiffe://shop.test/agent/b"), ACTION, ORDER),
        (head(130_000, AGENT), other, ORDER),
        (head(130_000, AGENT), ACTION, Uid { type_name: "Shop::Store", id: "1" }),
        // Less than a second is left.
        (head(159_001, AGENT), ACTION, ORDER),
    ] {
        assert_eq!(taken(&mut lent, &head, action, resource, 60), None, "{head:?}");
    }
    assert!(!lent.is_used());
    assert_eq!(taken(&mut lent, &head(130_000, AGENT), ACTION, ORDER, 7), Some((7, 1)));
    assert_eq!(taken(&mut lent, &head(130_000, AGENT), ACTION, ORDER, 60), Some((30, 2)));
    assert_eq!(taken(&mut lent, &head(130_000, AGENT), ACTION, ORDER, 60), None, "it has two uses");
    assert!(lent.is_used());
    // What no commit has was not used.
    let mut again = scene.room.lend(Timestamp(130_000)).unwrap();
    assert_eq!(taken(&mut again, &head(130_000, AGENT), ACTION, ORDER, 7), Some((7, 1)));
    scene.use_up(1, 20);
    let mut next = scene.room.lend(Timestamp(130_000)).unwrap();
    assert_eq!(taken(&mut next, &head(130_000, AGENT), ACTION, ORDER, 7), Some((7, 2)));
    assert!(scene.room.lend(Timestamp(160_001)).is_none(), "it is over");
}

#[test]
fn the_key_signs_what_verifies_under_the_warrants_name_and_goes_when_it_ends() {
    use assent_proto::checkpoint::Checkpoint;
    use assent_proto::note::VerifierKey;
    use assent_proto::verify::warrant_key_name;

    let scene = Scene::new();
    scene.write(&scene.warrant(), WARRANT, 120_000);
    let lent = scene.room.lend(Timestamp(130_000)).unwrap();
    let checkpoint = Checkpoint { origin: scene.room.origin(), size: TreeSize(3), root: Hash::default() };
    let under = lent.sign(&checkpoint).unwrap();
    let name = warrant_key_name(scene.room.origin(), WARRANT).unwrap();
    let key = VerifierKey::new(&name, lent.prepared.key.public()).unwrap();
    assert_eq!((under.key_id(), under.warrant()), (key.id(), WARRANT));
    assert_eq!(key.verify(checkpoint.text().unwrap().as_bytes(), &under.signature()), Ok(()));
    let end = scene.room.ending(vec!["re-arm".to_owned()], "open", Timestamp(140_000)).unwrap();
    scene.write(&end, LeafIndex(30), 140_000);
    assert!(scene.room.lend(Timestamp(140_000)).is_none());
    assert_eq!(scene.room.lock().keys.all().count(), 0);
    assert!(scene.room.ending(Vec::new(), "open", Timestamp(140_000)).is_none(), "once");
}

#[test]
fn what_proofs_are_made_of_keeps_the_sealer_from_nothing() {
    let scene = Scene::new();
    scene.write(&scene.warrant(), WARRANT, 120_000);
    let provable = scene.room.provable(Timestamp(130_000)).unwrap();
    assert!(
        scene.room.state.try_lock().is_ok(),
        "the log may be slow to read, and nothing is held meanwhile"
    );
    let end = scene.room.ending(vec!["a".to_owned()], "done", Timestamp(140_000)).unwrap();
    scene.write(&end, LeafIndex(30), 140_000);
    assert!(format!("{provable:?}").contains("gone"), "it has what it was made of, whatever became of that");
    assert_eq!(scene.room.provable(Timestamp(140_000)).unwrap_err(), "no warrant lives");
}

#[test]
fn a_key_that_was_prepared_goes_when_its_time_is_over() {
    let scene = Scene::new();
    drop(scene.warrant());
    scene.room.tidy(Timestamp(160_000));
    assert_eq!(scene.room.lock().keys.all().count(), 1);
    scene.room.tidy(Timestamp(160_001));
    assert_eq!(scene.room.lock().keys.all().count(), 0);
}

#[test]
fn a_warrant_is_due_when_nothing_is_missing_and_each_refusal_says_what_is() {
    let scene = Scene::new();
    let warrant = scene.warrant();
    assert_eq!(scene.room.check(&warrant, &closed(110_000)), Ok(()));
    for (moment, why) in [
        (Moment { is_open: true, ..closed(110_000) }, "boundary is open"),
        (Moment { closed_since: None, ..closed(110_000) }, "does not say yet"),
        (closed(109_999), "activate again in 1 s"),
        (closed(160_001), "would be over already"),
        (Moment { covered: TreeSize(5), ..closed(110_000) }, "no checkpoint that the HSM signed"),
        (closed(900_001), "is over since"),
    ] {
        let refusal = scene.refusal(&warrant, moment);
        assert!(refusal.contains(why), "{refusal}");
    }
    scene.write(&warrant, WARRANT, 110_000);
    assert!(scene.refusal(&scene.warrant(), closed(111_000)).contains("there is one at a time"));
    scene.use_up(1, 20);
    let end = scene.room.ending(Vec::new(), "enough", Timestamp(120_000)).unwrap();
    scene.write(&end, LeafIndex(21), 120_000);
    assert!(scene.refusal(&warrant, closed(121_000)).contains("no key of this warrant"));
    let second = scene.warrant();
    assert!(
        scene
            .refusal(&second, closed(121_000))
            .contains("1 use under an earlier warrant of this charter has no review")
    );
    let review = review(20);
    assert_eq!(scene.room.check(&review, &closed(121_000)), Ok(()));
    scene.write(&review, LeafIndex(22), 121_000);
    assert!(scene.refusal(&review, closed(121_000)).contains("reviewed already, at leaf 22"));
    assert_eq!(scene.room.check(&second, &closed(121_000)), Ok(()));
    let (by, statement, signatures) = (Vec::new(), String::new(), Vec::new());
    let revoked = Act(Kind::Revoked { charter: CHARTER, by, statement, signatures });
    assert_eq!(scene.room.check(&revoked, &closed(121_000)), Ok(()));
    scene.write(&revoked, LeafIndex(23), 121_000);
    assert!(scene.refusal(&revoked, closed(121_000)).contains("revoked already"));
    assert!(scene.refusal(&second, closed(121_000)).contains("was revoked"));
}

fn review(used: u64) -> Act {
    let entry = Entry::Review(Review {
        salt: Salt::default(),
        time: Timestamp(0),
        epoch: Epoch(0),
        warrant: WARRANT,
        used: LeafIndex(used),
        finding: Finding::Justified,
        text: "fine",
        by: "c",
        statement: "",
        signature: "",
    });
    Act(Kind::Review(encoded(&entry).unwrap()))
}

#[test]
fn what_is_no_use_is_not_reviewed() {
    let scene = Scene::new();
    scene.write(&scene.warrant(), WARRANT, 110_000);
    scene.use_up(1, 20);
    assert!(scene.refusal(&review(19), closed(121_000)).contains("no use of a warrant"));
}

#[test]
fn a_charter_is_made_once_under_its_name_while_the_boundary_is_open() {
    let scene = Scene::new();
    let open = Moment { is_open: true, closed_since: None, ..closed(1000) };
    assert!(scene.refusal(&charter(1, 500_000), open).contains("is in force"));
    assert!(scene.refusal(&charter(1, 500_000), closed(1000)).contains("when that is open again"));
    assert!(scene.refusal(&charter(1, 1000), open).contains("over already"));
    let later = Moment { now: Timestamp(900_001), ..open };
    assert_eq!(scene.room.check(&charter(1, 950_000), &later), Ok(()));
    // The old one, with nothing under it, makes room.
    scene.write(&charter(1, 950_000), LeafIndex(40), 900_001);
    let kept: Vec<LeafIndex> = scene.room.lock().book.charters().map(|line| line.leaf).collect();
    assert_eq!(kept, [LeafIndex(40)]);
}

#[test]
fn another_warrant_makes_the_reviewed_ones_forgotten_with_every_row_of_theirs() {
    let scene = Scene::new();
    scene.write(&scene.warrant(), WARRANT, 110_000);
    scene.use_up(1, 20);
    scene.use_up(2, 21);
    scene.write(&review(20), LeafIndex(22), 121_000);
    scene.write(&review(21), LeafIndex(23), 121_000);
    let leaf = LeafIndex(50);
    let mut bytes = Vec::new();
    let second = scene.warrant();
    second.entry(Salt::default(), Timestamp(140_000), Epoch(2)).append(&mut bytes).unwrap();
    let changes = scene.room.changes(&second, leaf, &bytes, Timestamp(140_000));
    let forgotten = Change::WarrantForgotten(WARRANT, 2);
    assert_eq!(changes[0], forgotten);
    assert_eq!(forgotten.rows().unwrap().len(), 3, "the warrant and its two uses");
    scene.room.apply(changes, Timestamp(140_000));
    assert_eq!(scene.room.standing(Timestamp(140_000)).uses, []);
    assert_eq!(scene.room.lend(Timestamp(140_000)).map(|lent| lent.used), Some(0));
}
