//! Passkeys against a running appliance: what one signs answers a hold, and the commands that invite, list and revoke.

use std::io::Write as _;
use std::path::Path;

use appliance::clock::Clock;
use appliance::config::Config;
use appliance::control;
use appliance::passkeys::{Act, LoggedIn, Options, Passkeys};
use appliance::queue::approving::{ApprovalAnswer, ApprovalOrder};
use assent_client::Ticket;

use crate::approvals::{held_shop, hold, load};
use crate::queue::{collect, kinds};
use crate::support::{Appliance, Hsm, assent};

#[path = "../authenticator/mod.rs"]
mod authenticator;

use authenticator::Authenticator;

const ORIGIN: &str = "https://localhost:7745";
const OPERATORS: &str = "\n[[console.operator]]\nname = \"eve\"\nroles = [\"approver\"]\n";

/// An operator with a passkey at a console whose register lies in a folder of its own.
struct Eve {
    passkeys: std::sync::Arc<Passkeys>,
    authenticator: Authenticator,
    cookie: String,
    line: String,
}

impl Eve {
    fn enrolled(folder: &Path) -> Self {
        let config = Config::parse(OPERATORS, &folder.join("assent.toml")).expect("a configuration");
        std::fs::create_dir_all(&config.appliance.data).expect("a folder");
        let passkeys = Passkeys::open(&config, |_| ()).expect("a register").expect("operators");
        let now = || Clock::system().now();
        let valid = std::time::Duration::from_secs(900);
        let (link, _) = passkeys.invite("eve", valid, "test", now()).expect("a link");
        let token = link.rsplit('/').next().expect("a token");
        let mut authenticator = Authenticator::new(ORIGIN);
        let Options(options) = passkeys.begin_enrolment(token, now()).expect("options");
        let response = authenticator.create(&options).to_string();
        let line = passkeys.finish_enrolment(token, &response, now()).expect("a passkey").line;
        let Options(options) =
            passkeys.begin_login(None, std::net::Ipv4Addr::LOCALHOST.into(), now()).expect("options");
        let response = authenticator.get(&options).to_string();
        let LoggedIn { cookie, .. } = passkeys.finish_login(&response, now()).expect("a session");
        Self { passkeys, authenticator, cookie, line }
    }

    /// Answers a hold as the console would: shows the statement, takes the assertion, and orders with the signature.
    fn answers(&mut self, appliance: &Appliance, ticket: &Ticket) -> ApprovalAnswer {
        let order =
            |signature| ApprovalOrder::Answer { ticket: ticket.id().to_string(), approve: true, signature };
        let told = control::ask_approval(&appliance.data(), order(None)).expect("it answers");
        let ApprovalAnswer::ToSign { statement, .. } = told else { panic!("{told:?}") };
        let now = Clock::system().now();
        let (cookie, act) = (self.cookie.as_str(), Act::AnswerHold);
        let Options(options) = self.passkeys.begin_act(cookie, act, &statement, now).expect("options");
        let response = self.authenticator.get(&options).to_string();
        let signed = self.passkeys.finish_act(cookie, act, &statement, &response, now).expect("a signature");
        control::ask_approval(&appliance.data(), order(Some(signed.signature))).expect("it answers")
    }
}

#[test]
fn a_hold_is_lifted_by_a_passkey_that_the_bundle_lists_and_by_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut eve = Eve::enrolled(folder.path());
    let (mut appliance, agent) = held_shop(1);
    let ticket = hold(&agent);
    let told = eve.answers(&appliance, &ticket);
    assert!(matches!(&told, ApprovalAnswer::Invalid(why) if why.contains("by no listed key")), "{told:?}");

    let listed = appliance.folder.path().join("bundle/operators.toml");
    let mut operators = std::fs::OpenOptions::new().append(true).open(listed).expect("operators");
    let groups = "groups = [\"payments-oncall\"]";
    writeln!(operators, "[[operator]]\nname = \"eve\"\nkeys = [{:?}]\n{groups}", eve.line).expect("a line");
    drop(operators);
    load(&appliance);
    let ticket = hold(&agent);
    let told = eve.answers(&appliance, &ticket);
    assert!(matches!(&told, ApprovalAnswer::Recorded { by, complete: true, .. } if by == "eve"), "{told:?}");
    let decided = collect(&agent, &ticket);
    assert!(decided.all_allowed(), "{:?}", kinds(&decided));
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["approval"].as_u64(), Some(1), "{report}");
    let (code, out, talk) = assent(Some(&appliance.config()), &["log", "verify", "--replay", "-o", "json"]);
    assert_eq!(code, 0, "{out}{talk}");
}

#[test]
fn a_backup_keeps_the_passkeys_whether_the_appliance_runs_or_not_and_a_restore_brings_them_back() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop());
    let config = appliance.config();
    let text = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, text + OPERATORS).expect("a configuration");
    let eve = Eve::enrolled(appliance.folder.path());
    let line = eve.line.clone();
    drop(eve);
    let listed = || {
        let (code, out, talk) = assent(Some(&config), &["operator", "list", "-o", "json"]);
        assert_eq!(code, 0, "{talk}");
        let list: serde_json::Value = serde_json::from_str(&out).expect("json");
        list["operators"][0]["keys"][0]["line"].as_str().map(str::to_owned)
    };
    appliance.launch();
    assert_eq!(listed().as_ref(), Some(&line));
    for name in ["running", "stopped"] {
        let to = appliance.folder.path().join(name);
        if name == "stopped" {
            assert!(appliance.stop());
        }
        let made = assent(Some(&config), &["backup", "create", &to.display().to_string()]);
        assert_eq!(made.0, 0, "{made:?}");
        // As the start opens it, and apart, for opening changes it.
        let apart = tempfile::tempdir().expect("a folder");
        let parsed = Config::parse(OPERATORS, &apart.path().join("assent.toml")).expect("a configuration");
        std::fs::create_dir_all(&parsed.appliance.data).expect("a folder");
        std::fs::copy(to.join("data/passkeys.redb"), parsed.appliance.data.join("passkeys.redb"))
            .expect("it is in the backup");
        let kept = Passkeys::open(&parsed, |_| ()).expect(name).expect("operators").list();
        assert!(kept.iter().flat_map(|view| &view.keys).any(|key| key.line == line), "{name}: {kept:?}");
    }
    std::fs::remove_dir_all(appliance.data()).expect("the data is lost");
    let stopped = appliance.folder.path().join("stopped").display().to_string();
    let (code, out, talk) = assent(Some(&config), &["backup", "restore", &stopped]);
    assert_eq!(code, 0, "{out}{talk}");
    appliance.launch();
    assert_eq!(listed(), Some(line), "nobody enrols anew");
    appliance.stop_and_verify_log();
}

#[test]
fn operators_are_invited_listed_and_revoked_and_the_log_says_so() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let config = appliance.config();
    let (code, _, talk) = assent(Some(&config), &["operator", "list"]);
    assert!(code == 1 && talk.contains("[[console.operator]]"), "{code} {talk}");
    assert!(appliance.stop());
    let text = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, text + OPERATORS).expect("a configuration");
    appliance.launch();

    let (code, out, talk) = assent(Some(&config), &["operator", "invite", "eve", "--valid", "5m"]);
    let token = out.trim().strip_prefix("https://localhost:7745/enrol/").unwrap_or_else(|| panic!("{out}"));
    assert!(code == 0 && token.len() == 43 && talk.contains("serves once"), "{talk}");
    let (code, _, talk) = assent(Some(&config), &["operator", "invite", "mallory"]);
    assert!(code == 1 && talk.contains("`mallory` is no operator"), "{code} {talk}");
    let (code, _, talk) = assent(Some(&config), &["operator", "invite", "eve", "--valid", "2d"]);
    assert!(code == 1 && talk.contains("from 1m to 1d"), "{code} {talk}");
    let (code, out, _) = assent(Some(&config), &["operator", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&out).expect("json");
    let eve = serde_json::json!({"name": "eve", "roles": ["approver"], "keys": []});
    assert_eq!((code, &list["operators"][0]), (0, &eve), "{list}");
    let (code, out, _) = assent(Some(&config), &["operator", "list"]);
    assert!(code == 0 && out.contains("not enrolled"), "{out}");
    let (code, _, talk) = assent(Some(&config), &["operator", "revoke", "eve"]);
    assert!(code == 1 && talk.contains("assent operator list"), "{code} {talk}");

    // Neither the link nor its token stands anywhere but on that screen.
    appliance.stop_and_verify_log();
    let (code, out, talk) = assent(Some(&config), &["log", "show", "-o", "jsonl"]);
    let invited: Vec<&str> = out.lines().filter(|line| line.contains("operator-invite")).collect();
    assert!(code == 0 && invited.len() == 1 && invited[0].contains("operator eve"), "{invited:?}{talk}");
    assert!(!out.contains(token) && !appliance.traces().contains(token));
}
