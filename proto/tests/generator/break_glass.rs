//! Charters, warrants, reviews and their statements, and what may be wrong with each.

use assent_proto::entry::break_glass::{Finding, ResourceScope};
use assent_proto::entry::{Charter, Entry, Review, Salt, Warrant};
use assent_proto::hash::Hash;
use assent_proto::intent::Uid;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};

use super::File;
use super::frames::{NOW, leaf};
use super::notes::{ORIGIN, key};

/// Where the charter of all vectors is.
pub(super) const CHARTER: LeafIndex = LeafIndex(2);
/// Where the warrant of all vectors is.
pub(super) const WARRANT: LeafIndex = LeafIndex(3);
/// What the charter's actions have in their ids is written with escapes.
const ACTIONS: &[Uid<'static>] = &[
    Uid { type_name: "Retail::Action", id: "Refund" },
    Uid { type_name: "Retail::Action", id: "line\nbreak \"quoted\"" },
];
const RESOURCES: &[ResourceScope<'static>] = &[
    ResourceScope::OfType("Retail::Cart"),
    ResourceScope::One(Uid { type_name: "Retail::Order", id: "#W1" }),
];
const PRINCIPALS: &[&str] = &["spiffe://retail.example/agent/1"];
const OPERATORS: &[&str] = &[
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB alice",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC bob",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD carol",
];

/// Written here by hand: what the code under test must make of the charter.
const CHARTER_STATEMENT: &str = "assent/charter/v1
origin log.example/appliance/log/1
name refunds
action Retail::Action::\"Refund\"
action Retail::Action::\"line\\nbreak \\\"quoted\\\"\"
resource Retail::Cart
resource Retail::Order::\"#W1\"
principal spiffe://retail.example/agent/1
closed 60
window 3600
uses 3
operator ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB alice
operator ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC bob
operator ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD carol
threshold 2
not-after 1800000000000
";
const REVIEW_STATEMENT: &str = "assent/review/v1
origin log.example/appliance/log/1
warrant 3
use 5
finding unjustified
text the order was not lost
";

pub(super) fn charter() -> Charter<'static> {
    Charter {
        salt: Salt([0x0c; 16]),
        time: NOW,
        epoch: Epoch(3),
        name: "refunds",
        actions: ACTIONS.into(),
        resources: RESOURCES.into(),
        principals: PRINCIPALS.into(),
        closed_s: 60,
        window_max_s: 3600,
        uses_max: 3,
        operators: OPERATORS.into(),
        threshold: 2,
        not_after: Timestamp(1_800_000_000_000),
        by: ["alice"].into_iter().collect(),
        statement: CHARTER_STATEMENT,
        signatures: ["-----BEGIN SSH SIGNATURE-----"].into_iter().collect(),
    }
}

/// Hash of the charter's leaf, from the recursive definition.
fn charter_hash() -> Hash {
    crate::naive::root(&[leaf(&Entry::Charter(charter()))])
}

fn warrant_statement() -> String {
    let key = super::hex(key(5).verifying_key().as_bytes());
    format!(
        "assent/warrant/v1\norigin {ORIGIN}\ncharter 2 {}\nkey {key}\nuses 3\nnot-before 1790000000000\n\
         not-after 1790003600000\nreason the HSM burnt\n",
        charter_hash()
    )
}

pub(super) fn warrant() -> Warrant<'static> {
    Warrant {
        salt: Salt([0x0d; 16]),
        time: NOW,
        epoch: Epoch(4),
        charter: CHARTER,
        key: key(5).verifying_key().to_bytes(),
        uses: 3,
        not_before: NOW,
        not_after: NOW.plus_ms(3_600_000),
        reason: "the HSM burnt",
        by: ["alice", "bob"].into_iter().collect(),
        statement: String::leak(warrant_statement()),
        signatures: ["-----BEGIN SSH SIGNATURE-----", "another"].into_iter().collect(),
    }
}

pub(super) fn review() -> Review<'static> {
    Review {
        salt: Salt([0x0e; 16]),
        time: NOW,
        epoch: Epoch(5),
        warrant: WARRANT,
        used: LeafIndex(5),
        finding: Finding::Unjustified,
        text: "the order was not lost",
        by: "carol",
        statement: REVIEW_STATEMENT,
        signature: "-----BEGIN SSH SIGNATURE-----",
    }
}

/// Leaves of these kinds that do not parse, and how.
pub(super) fn damaged() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = leaf(&Entry::Charter(charter()));
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut altered = good.clone();
        change(&mut altered);
        altered
    };
    // Behind label, kind, salt, six bytes of time and the epoch: the name, then the count of actions.
    let name = 16 + 16 + 6 + 1;
    let actions = name + 1 + "refunds".len();
    vec![
        ("charter cut short", with(&|bytes| bytes.truncate(bytes.len() - 1)), "body truncated"),
        ("charter with a trailing byte", with(&|bytes| bytes.push(0)), "body trailing"),
        ("charter with too many actions", with(&|bytes| bytes[actions] = 33), "body too-long"),
        ("charter with fewer actions than counted", with(&|bytes| bytes[actions] = 32), "body malformed"),
        (
            "charter with an overlong length within a list",
            with(&|bytes| drop(bytes.splice(actions + 1..actions + 2, [14 | 0x80, 0]))),
            "body not-canonical",
        ),
        (
            "finding that there is not",
            {
                let mut review = leaf(&Entry::Review(review()));
                review[16 + 16 + 6 + 1 + 2] = 2;
                review
            },
            "body malformed",
        ),
    ]
}

/// A case: the entry, and its statement or what is wrong with it.
fn write(file: &mut File, name: &str, entry: &Entry<'_>, hash: Option<Hash>, result: Result<&str, &str>) {
    file.case(name).bytes("leaf", &leaf(entry)).field("origin", ORIGIN);
    if let Some(hash) = hash {
        file.field("charter-hash", hash);
    }
    file.field("result", result.err().unwrap_or("ok"));
    if let Ok(statement) = result {
        file.bytes("statement", statement.as_bytes());
    }
}

pub(super) fn statements() -> String {
    let about = [
        "Entries of break-glass, held against their limits and their statements in the log of an origin. Where the result is ok:",
        "the statement. `charter-hash` is the hash of the leaf of a warrant's charter. Signatures are not looked at.",
    ];
    let mut file = File::new("statements", &about);
    let hash = Some(charter_hash());
    write(&mut file, "charter", &Entry::Charter(charter()), None, Ok(CHARTER_STATEMENT));
    write(&mut file, "warrant", &Entry::Warrant(warrant()), hash, Ok(&warrant_statement()));
    write(&mut file, "review", &Entry::Review(review()), None, Ok(REVIEW_STATEMENT));
    refused_charters(&mut file);
    refused_warrants(&mut file);
    file.0
}

fn refused_charters(file: &mut File) {
    let mut refuse = |name: &str, change: &dyn Fn(&mut Charter<'static>), result: &str| {
        let mut altered = charter();
        change(&mut altered);
        write(file, name, &Entry::Charter(altered), None, Err(result));
    };
    refuse("charter of another name than signed", &|charter| charter.name = "returns", "statement");
    refuse("charter with fewer signers than signed", &|charter| charter.threshold = 1, "statement");
    refuse("charter with more uses than signed", &|charter| charter.uses_max = 4, "statement");
    refuse(
        "charter for any agent, signed for one",
        &|charter| charter.principals = (&[][..]).into(),
        "statement",
    );
    refuse("name that makes another line", &|charter| charter.name = "a\naction x", "text name");
    refuse("name with a separator of lines", &|charter| charter.name = "a\u{2028}b", "text name");
    refuse("name that turns its direction", &|charter| charter.name = "a\u{202e}b", "text name");
    refuse("no name", &|charter| charter.name = "", "text name");
    refuse("no actions", &|charter| charter.actions = (&[][..]).into(), "bounds actions");
    refuse("no resources", &|charter| charter.resources = (&[][..]).into(), "bounds resources");
    let forged = |charter: &mut Charter<'static>| {
        let forged = &[Uid { type_name: "A::\"x\"\naction B", id: "y" }];
        charter.actions = (&forged[..]).into();
    };
    refuse("type name that makes another line", &forged, "text action");
    let forged = |charter: &mut Charter<'static>| {
        let forged = &[ResourceScope::OfType("Retail::Order::\"#W2\"")];
        charter.resources = (&forged[..]).into();
    };
    refuse("type name that looks like a resource", &forged, "text resource");
    refuse(
        "operator of two lines",
        &|charter| charter.operators = (&["a\nb"; 3][..]).into(),
        "text operator",
    );
    refuse("no signer", &|charter| charter.threshold = 0, "bounds threshold");
    refuse("nobody is left to review", &|charter| charter.threshold = 3, "bounds threshold");
    refuse("window of no time", &|charter| charter.window_max_s = 0, "bounds window_max_s");
    refuse("window over its limit", &|charter| charter.window_max_s = 604_801, "bounds window_max_s");
    refuse("uses of no number", &|charter| charter.uses_max = 0, "bounds uses_max");
    refuse("charter that is over when it is made", &|charter| charter.not_after = NOW, "bounds not_after");
}

fn refused_warrants(file: &mut File) {
    let hash = Some(charter_hash());
    let mut refuse = |name: &str, change: &dyn Fn(&mut Warrant<'static>), result: &str| {
        let mut altered = warrant();
        change(&mut altered);
        write(file, name, &Entry::Warrant(altered), hash, Err(result));
    };
    refuse("warrant with another reason than signed", &|warrant| warrant.reason = "a test", "statement");
    refuse("warrant for another key than signed", &|warrant| warrant.key[0] ^= 1, "statement");
    refuse("warrant under another charter than signed", &|warrant| warrant.charter.0 = 1, "statement");
    refuse("warrant with more uses than signed", &|warrant| warrant.uses = 4, "statement");
    refuse("warrant that lives longer than signed", &|warrant| warrant.not_after.0 += 1, "statement");
    refuse("reason that makes another line", &|warrant| warrant.reason = "x\nuses 9", "text reason");
    refuse("warrant without uses", &|warrant| warrant.uses = 0, "bounds uses");
    refuse("warrant that ends before it begins", &|warrant| warrant.not_after.0 = 0, "bounds not_after");
    let other = Some(Hash([0xcc; 32]));
    write(file, "warrant under another charter's hash", &Entry::Warrant(warrant()), other, Err("statement"));
    let turned = Review { finding: Finding::Justified, ..review() };
    write(file, "review with another finding than signed", &Entry::Review(turned), None, Err("statement"));
    let broken = Review { text: "x\ny", ..review() };
    write(file, "review of two lines", &Entry::Review(broken), None, Err("text text"));
}
