//! Break-glass, as agents, operators and executors see it: nothing without a warrant, no more than it says, and each use looked at.

mod killed;
mod refused;
mod reviewed;

use std::path::PathBuf;

use assent_client::batch::Batch;
use assent_client::guard::{Acceptance, AdmitError, Guard, VerifyError};
use assent_client::spent::Spent;
use assent_client::{Intent, OnUnavailable, Outcome, Outcomes, Refusal, ReplyError, Timestamp, Warrant};
use assent_proto::codec;
use assent_proto::entry::{Allow, Grounds};
use assent_proto::token::UnverifiedToken;
use serde_json::Value;

use crate::operators::Office;
use crate::queue::{close, open_shop, reopen};
use crate::support::agent::{Agent, allowed_batch, batch_id, labels, now, retail, trust};
use crate::support::{Appliance, assent, eventually};

/// These intents, each to be done under a warrant where nothing else can be signed.
pub(crate) fn wishing(intents: impl IntoIterator<Item = Intent>) -> Vec<Intent> {
    let on_unavailable = OnUnavailable::Warrant;
    intents.into_iter().map(|intent| Intent { on_unavailable, ..intent }).collect()
}

/// So many intents that the store allows and that the charter covers.
fn covered(count: usize) -> Vec<Intent> {
    let is_covered = |intent: &Intent| intent.action.id == "cancel_pending_order";
    let intents: Vec<Intent> = allowed_batch(1500).into_iter().filter(is_covered).collect();
    wishing(intents.iter().cycle().take(count).cloned())
}

/// A shop whose operators are alice and bob; with carol they may sign warrants, two of them.
pub(crate) struct Shop {
    pub(crate) appliance: Appliance,
    pub(crate) agent: Agent,
}

impl Shop {
    /// Runs `assent breakglass`.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        assent(Some(&self.appliance.config()), &[&["breakglass"], arguments].concat())
    }

    /// What a list of it says.
    fn list(&self, noun: &str, name: &str) -> Vec<Value> {
        let (code, out, talk) = self.run(&[noun, "list", "-o", "json"]);
        assert_eq!(code, 0, "{talk}");
        let list: Value = serde_json::from_str(&out).expect("JSON");
        list[name].as_array().expect("a list").clone()
    }

    fn key(&self, name: &str) -> String {
        self.appliance.folder.path().join(name).display().to_string()
    }

    fn sign(&self, name: &str, namespace: &str, statement: &str) -> String {
        Office { appliance: &self.appliance }.sign(name, namespace, statement)
    }

    /// The file of a charter.
    fn charter_file(&self, name: &str, closed: &str, not_after: &str) -> String {
        let line = |name: &str| std::fs::read_to_string(format!("{}.pub", self.key(name))).expect("a key");
        let operators: Vec<String> =
            ["alice", "bob", "carol"].map(|name| line(name).trim().to_owned()).into();
        let text = format!(
            "name = \"{name}\"\nactions = ['Retail::Action::\"cancel_pending_order\"']\ncategories = [\"services.desk\"]\n\
             resources = [\"Retail::Order\"]\nclosed = \"{closed}\"\nwindow = \"1h\"\nuses = 12\noperators = {operators:?}\n\
             threshold = 2\nnot_after = \"{not_after}\"\n"
        );
        let path = self.appliance.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// Has alice and bob order a charter.
    pub(crate) fn charter(&self, name: &str, closed: &str, not_after: &str) -> u64 {
        let file = self.charter_file(name, closed, not_after);
        let (alice, bob) = (self.key("alice"), self.key("bob"));
        let (code, out, talk) =
            self.run(&["charter", "create", &file, "--key", &alice, "--key", &bob, "-o", "json"]);
        assert_eq!(code, 0, "{talk}");
        let done: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(done["by"], serde_json::json!(["alice", "bob"]));
        done["leaf"].as_u64().expect("a leaf")
    }

    /// Prepares a warrant: the statement.
    fn prepare(&self, charter: &str, uses: u16) -> String {
        let uses = uses.to_string();
        let reason = "the HSM is gone and customers wait";
        let (code, statement, talk) = self
            .run(&["warrant", "prepare", charter, "--reason", reason, "--uses", &uses, "--window", "15m"]);
        assert_eq!(code, 4, "{talk}");
        assert!(talk.contains("to be signed by 2 of: alice, bob, carol"), "{talk}");
        statement
    }

    /// Activates a warrant, signed by these: the command's end.
    fn activate(&self, statement: &str, signers: &[&str]) -> (i32, String, String) {
        let folder = self.appliance.folder.path();
        let file = folder.join("warrant.statement");
        std::fs::write(&file, statement).expect("a file");
        let file = file.display().to_string();
        let mut arguments = vec![
            "warrant".to_owned(),
            "activate".to_owned(),
            file.clone(),
            "-o".to_owned(),
            "json".to_owned(),
        ];
        for name in signers {
            let (code, out, talk) = self.run(&["warrant", "sign", &file, "--key", &self.key(name)]);
            assert_eq!(code, 0, "{talk}");
            arguments.extend(["--signature".to_owned(), out.trim().to_owned()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(&arguments)
    }

    /// Waits until a warrant lives that alice and bob signed: its leaf.
    pub(crate) fn warrant(&self, charter: &str, uses: u16) -> u64 {
        let statement = self.prepare(charter, uses);
        let out = eventually("the warrant lives", || {
            let (code, out, talk) = self.activate(&statement, &["alice", "bob"]);
            assert!(code == 0 || talk.contains("activate again in"), "{talk}");
            (code == 0).then_some(out)
        });
        let active: Value = serde_json::from_str(&out).expect("JSON");
        active["warrant"]["leaf"].as_u64().expect("a leaf")
    }

    /// The warrant as an executor or an agent verifies it.
    fn held(&self, leaf: u64) -> Warrant {
        let text = std::fs::read_to_string(self.warrant_file(leaf)).expect("the warrant file");
        Warrant::parse(&text, &trust(&self.appliance), now()).expect("a warrant that verifies")
    }

    fn warrant_file(&self, leaf: u64) -> PathBuf {
        self.appliance.data().join(format!("warrant-{leaf}.toml"))
    }

    /// Asks, and believes the warrant.
    fn ask(&self, intents: &[Intent], leaf: u64) -> Outcomes {
        let batch = Batch::new(batch_id(), intents).expect("a batch");
        let reply = self.agent.reply(&batch);
        batch.open_under(&reply, &self.agent.trust, [&self.held(leaf)], now()).expect("a reply that verifies")
    }

    /// An executor that accepts break-glass.
    fn guard(&self, audience: &str) -> Guard {
        let acceptance = Acceptance { break_glass: true, ..Acceptance::default() };
        let spent = Spent::in_memory(Timestamp(0));
        Guard::with_spent(trust(&self.appliance), audience, spent).accepting(acceptance)
    }
}

/// An open shop with a charter `orders`.
pub(crate) fn chartered(closed: &str, sections: &str) -> Shop {
    let (appliance, agent) = open_shop(sections);
    let shop = Shop { appliance, agent };
    shop.charter("orders", closed, "90d");
    shop
}

pub(crate) fn refusals(outcomes: &Outcomes) -> Vec<Option<Refusal>> {
    outcomes.iter().map(|outcome| outcome.reason().map(|reason| reason.refusal)).collect()
}

/// Warrant and number of the use that a token is.
fn use_of(token: &[u8]) -> (u64, u16) {
    let token = UnverifiedToken::parse(token).expect("a token");
    let claims: Allow<'_> = codec::parse(token.body).expect("a body");
    let Grounds::Warrant { leaf, number } = claims.grounds else { panic!("not under a warrant") };
    assert_eq!(claims.uses, 1);
    (leaf.0, number)
}

#[test]
fn a_warrant_gives_exactly_its_uses_and_executors_admit_them_offline() {
    let mut shop = chartered("1s", "");
    let intents = covered(5);
    // While the boundary is open it is an intent as every other.
    assert!(shop.agent.preauthorize(&intents).all_allowed());
    close(&shop.appliance);
    let unavailable = Some(Refusal::TokenUnavailable);
    assert_eq!(refusals(&shop.agent.preauthorize(&intents)), vec![unavailable; 5], "without a warrant");
    let leaf = shop.warrant("orders", 3);
    let batch = Batch::new(batch_id(), &intents).expect("a batch");
    let reply = shop.agent.reply(&batch);
    // Who holds a trust file and no warrant believes nothing of it.
    let refused = batch.clone().open(&reply, Some(&shop.agent.trust), now());
    assert!(matches!(refused, Err(ReplyError::UntrustedKey(_))), "{refused:?}");
    let held = shop.held(leaf);
    assert_eq!((held.uses(), held.signers()), (3, ["alice".to_owned(), "bob".to_owned()].as_slice()));
    let outcomes =
        batch.clone().open_under(&reply, &shop.agent.trust, [&held], now()).expect("a reply that verifies");
    assert_eq!(refusals(&outcomes), [None, None, None, unavailable, unavailable]);
    let uses: Vec<_> = outcomes.tokens().map(|(_, token)| use_of(token.bytes())).collect();
    assert_eq!(uses, [(leaf, 1), (leaf, 2), (leaf, 3)]);
    // Asked again it is the same answer, and no further use.
    assert_eq!(shop.agent.reply(&batch), reply);
    assert_eq!(refusals(&shop.ask(&intents, leaf)), vec![unavailable; 5]);
    let status = shop.appliance.status().expect("it answers").break_glass;
    assert_eq!(status.warrant.map(|warrant| (warrant.used, warrant.uses)), Some((3, 3)));
    assert_eq!((status.reviews_open, status.reviews_overdue), (3, 0));

    let guard = shop.guard(&intents[0].audience);
    let admit = |guard: &Guard, position: usize| {
        let outcome = outcomes.at(position).expect("an outcome");
        let token = outcome.token().expect("a token");
        guard.admit(token.bytes(), &intents[position], now()).map(|admitted| admitted.run(|| ()))
    };
    let unknown = admit(&guard, 0);
    assert!(matches!(unknown, Err(AdmitError::Verify(VerifyError::UntrustedKey))), "{unknown:?}");
    guard.accept_warrant(shop.held(leaf), now()).expect("a warrant that is accepted");
    for position in 0..3 {
        admit(&guard, position).expect("a use that is admitted");
    }
    assert!(matches!(admit(&guard, 1), Err(AdmitError::Spend(_))), "each once");
    let strict =
        Guard::with_spent(trust(&shop.appliance), &intents[0].audience, Spent::in_memory(Timestamp(0)));
    assert!(strict.accept_warrant(shop.held(leaf), now()).is_err());
    assert!(admit(&strict, 0).is_err());

    reopen(&shop.appliance);
    let warrants = shop.list("warrant", "warrants");
    assert_eq!(warrants.last().expect("a warrant")["state"], "ended");
    // What was answered under the warrant is answered the same behind it.
    assert_eq!(shop.agent.reply(&batch), reply);
    assert!(shop.agent.preauthorize(&covered(2)).all_allowed());
    let report = shop.appliance.stop_and_verify_log();
    let uses = report["warrants"][0]["uses"].as_array().expect("uses");
    assert_eq!(uses.len(), 3, "{report}");
    assert!(uses.iter().all(|used| used["review"].is_null()));
    let gaps = report["gaps"].as_array().expect("gaps");
    assert!(gaps.iter().any(|gap| gap["allows"] == 3 && gap["closed"] == true), "{report}");
}

#[test]
fn a_warrant_never_overrides_the_policies_and_covers_its_scope_only() {
    let mut shop = chartered("0s", "");
    close(&shop.appliance);
    let leaf = shop.warrant("orders", 12);
    let every: Vec<(Intent, (String, Option<String>))> = retail().into_iter().zip(labels()).collect();
    let of_charter = |intent: &Intent| intent.action.id == "cancel_pending_order";
    let denied: Vec<Intent> = every
        .iter()
        .filter(|(intent, (decision, _))| of_charter(intent) && decision == "deny")
        .map(|(intent, _)| intent.clone())
        .take(20)
        .collect();
    assert!(!denied.is_empty(), "the sample has some");
    let outcomes = shop.ask(&wishing(denied), leaf);
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Outcome::Denied(_) | Outcome::Invalid(_))),
        "{outcomes:?}"
    );
    let others: Vec<Intent> = every
        .iter()
        .filter(|(intent, (decision, _))| !of_charter(intent) && decision == "allow")
        .map(|(intent, _)| intent.clone())
        .take(20)
        .collect();
    assert_eq!(refusals(&shop.ask(&wishing(others), leaf)), vec![Some(Refusal::TokenUnavailable); 20]);
    // Who does not wish it does not get it.
    let fail: Vec<Intent> = covered(2)
        .into_iter()
        .map(|intent| Intent { on_unavailable: OnUnavailable::Fail, ..intent })
        .collect();
    assert_eq!(refusals(&shop.ask(&fail, leaf)), vec![Some(Refusal::TokenUnavailable); 2]);
    assert_eq!(shop.list("warrant", "warrants")[0]["used"], 0);
    // An agent with a trust file takes the answer once it believes the warrant.
    let trusting = Agent::connect_trusting(&shop.appliance);
    let asked = covered(1);
    let ask = || trusting.runtime.block_on(trusting.client.preauthorize(&asked));
    assert!(ask().is_err());
    trusting.client.accept_warrant(shop.held(leaf)).expect("it is believed");
    assert!(ask().expect("an answer").all_allowed());
    assert_eq!(shop.list("warrant", "warrants")[0]["used"], 2);
    let (code, _, talk) = shop.run(&["warrant", "end", "--reason", "enough"]);
    assert_eq!(code, 0, "{talk}");
    assert_eq!(refusals(&shop.agent.preauthorize(&covered(1))), [Some(Refusal::TokenUnavailable)]);
    let keys = std::fs::read_dir(shop.appliance.data().join("break-glass")).expect("a folder").count();
    assert_eq!(keys, 0, "the key is gone with its warrant");
    reopen(&shop.appliance);
    shop.appliance.stop_and_verify_log();
    let (_, out, _) =
        assent(Some(&shop.appliance.config()), &["log", "show", "--kind", "allow", "-o", "jsonl"]);
    let last: Value = serde_json::from_str(out.lines().last().expect("an entry")).expect("JSON");
    assert_eq!(last["grounds"], serde_json::json!({"kind": "warrant", "leaf": leaf, "number": 2}));
}

#[test]
fn a_verifier_of_tokens_takes_the_warrant_file() {
    let shop = chartered("0s", "");
    close(&shop.appliance);
    let leaf = shop.warrant("orders", 1);
    let intents = covered(1);
    let outcomes = shop.ask(&intents, leaf);
    let (_, token) = outcomes.tokens().next().expect("a token");
    let folder = shop.appliance.folder.path();
    let intent = folder.join("intent.json");
    std::fs::write(&intent, serde_json::to_string(&intents[0]).expect("JSON")).expect("a file");
    let (trust, intent, warrant) = (folder.join("trust.toml"), intent, shop.warrant_file(leaf));
    let (trust, intent, warrant) =
        (trust.display().to_string(), intent.display().to_string(), warrant.display().to_string());
    let text = token.to_string();
    let verify = |warrants: &[&str]| {
        let known =
            ["token", "verify", "--trust", &trust, "--audience", &intents[0].audience, "--intent", &intent];
        assent(None, &[&known, warrants, &[&text]].concat())
    };
    let (code, out, _) = verify(&[]);
    assert!(code == 3 && out.starts_with("refused"), "{code} {out}");
    let (code, out, talk) = verify(&["--warrant", &warrant]);
    assert_eq!((code, out.as_str()), (0, "valid\n"), "{talk}");
}
