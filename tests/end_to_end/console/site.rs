//! An appliance whose operators have a console, and what they do there.

use appliance::config::Config;
use assent_client::{Intent, Outcome, Ticket};

use super::browser::Tab;
use crate::approvals::{FACTS, load};
use crate::queue::{kinds, open_shop};
use crate::support::agent::Agent;
use crate::support::ports::free_port;
use crate::support::{Appliance, assent};

/// An appliance with a console. Its operators: eve, who may do all, max, who keeps it running, ann and ben, who are security, and
/// vic, who may look.
pub(super) struct Site {
    pub(super) appliance: Appliance,
    pub(super) agent: Agent,
    pub(super) origin: String,
}

impl Site {
    pub(super) fn open() -> Self {
        let (mut appliance, agent) = open_shop("");
        drop(agent);
        assert!(appliance.stop(), "it stops");
        let origin = format!("http://localhost:{}", free_port());
        let listen = origin.replace("http://localhost", "127.0.0.1");
        let console = format!(
            "[console]\nlisten = \"{listen}\"\norigin = \"{origin}\"\n[[console.operator]]\nname = \"eve\"\nroles = [\"viewer\", \"approver\", \"sre\", \"security\"]\n[[console.operator]]\nname = \"max\"\nroles = [\"viewer\", \"sre\"]\n[[console.operator]]\nname = \"ann\"\nroles = [\"security\"]\n[[console.operator]]\nname = \"ben\"\nroles = [\"security\"]\n[[console.operator]]\nname = \"vic\"\nroles = [\"viewer\"]\n"
        );
        let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
        let config = config.replace("[console]\nlisten = \"off\"\n", &console);
        assert!(
            Config::parse(&config, &appliance.config())
                .is_ok_and(|config| config.console.operators.len() == 5)
        );
        std::fs::write(appliance.config(), config).expect("a configuration");
        appliance.launch();
        let agent = Agent::connect_trusting(&appliance);
        Self { appliance, agent, origin }
    }

    pub(super) fn host(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Enrols a passkey by a link from the command line; gives its SSH line.
    pub(super) fn enrol(&self, tab: &Tab, name: &str) -> String {
        let (code, out, talk) = assent(Some(&self.appliance.config()), &["operator", "invite", name]);
        assert_eq!(code, 0, "{talk}");
        tab.goto(out.trim());
        tab.click("#enrol");
        tab.wait("the passkey is enrolled", "!document.getElementById('enrolled').hidden");
        tab.text("#line")
    }

    pub(super) fn log_in(&self, tab: &Tab) {
        tab.goto(&self.at("/login"));
        tab.click("#login");
        tab.wait("the overview", "document.querySelector('main[data-page=overview] .boundary')");
    }

    /// Names these passkeys among those who order re-arm.
    pub(super) fn staff(&mut self, lines: &[String]) {
        assert!(self.appliance.stop(), "it stops");
        let config = std::fs::read_to_string(self.appliance.config()).expect("the configuration");
        let (before, after) = config.split_once("operators = [").expect("operators");
        let (_, after) = after.split_once('\n').expect("a line");
        let config = format!("{before}operators = {lines:?}\n{after}");
        std::fs::write(self.appliance.config(), config).expect("a configuration");
        self.appliance.launch();
        self.agent = Agent::connect_trusting(&self.appliance);
    }

    /// Has the bundle hold cancellations until one of eve's key approves.
    pub(super) fn hold_cancellations(&self, line: &str) {
        let bundle = self.appliance.folder.path().join("bundle");
        let catalog = std::fs::read_to_string(bundle.join("catalog.cedarschema")).expect("the catalog");
        let (before, rest) = catalog.split_once("action cancel_pending_order").expect("the action");
        let rest = rest.replacen("reason: String,", &format!("reason: String,\n      {FACTS}"), 1);
        let held = format!("{before}action cancel_pending_order{rest}");
        let (before, rest) = held.split_once("action transfer_to_human_agents").expect("the action");
        let rest = rest.replacen("summary: String,", &format!("summary: String,\n      {FACTS}"), 1);
        std::fs::write(
            bundle.join("catalog.cedarschema"),
            format!("{before}action transfer_to_human_agents{rest}"),
        )
        .expect("a catalog");
        std::fs::write(
            bundle.join("policies/approvals.cedar"),
            "@id(\"cancellation-is-approved\")\n@approval(\"1 of oncall\")\nforbid (principal, action in [Retail::Action::\"cancel_pending_order\", Retail::Action::\"transfer_to_human_agents\"], resource)\nunless { context.assent.approvals >= 1 };\n",
        )
        .expect("a policy");
        let operators = format!("[[operator]]\nname = \"eve\"\nkeys = [{line:?}]\ngroups = [\"oncall\"]\n");
        std::fs::write(bundle.join("operators.toml"), operators).expect("operators");
        load(&self.appliance);
    }

    pub(super) fn hold(&self, intent: &Intent) -> Ticket {
        let outcomes = self.agent.preauthorize(std::slice::from_ref(intent));
        assert!(matches!(outcomes.at(0), Some(Outcome::AwaitingApproval(_))), "{:?}", kinds(&outcomes));
        let [ticket]: [Ticket; 1] = outcomes.tickets().try_into().expect("one ticket");
        ticket
    }

    /// Clicks the button of an act, gives its reason where one is asked for, and signs what is shown: the statement.
    pub(super) fn act(&self, tab: &Tab, button: &str, reason: Option<&str>, told: &str) -> String {
        tab.click(button);
        if let Some(reason) = reason {
            tab.wait("the reason is asked for", "document.querySelector('#reason[open]')");
            tab.value(&format!("document.getElementById('reason-text').value = {reason:?}"));
            tab.click("#reason-go");
        }
        tab.wait("the statement", "document.querySelector('#statement[open]')");
        let statement = tab.text("#statement-text");
        tab.click("#sign");
        tab.wait(told, &format!("document.getElementById('told').textContent.includes({told:?})"));
        statement
    }

    /// The entries of a kind, as the command line shows them once the appliance stands still.
    pub(super) fn entries(&self, kind: &str) -> Vec<serde_json::Value> {
        let (code, out, talk) =
            assent(Some(&self.appliance.config()), &["log", "show", "--kind", kind, "-o", "jsonl"]);
        assert_eq!(code, 0, "{talk}");
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The leaf of an operator's act, by what they did.
    pub(super) fn leaf_of(&self, act: &str, by: &str) -> serde_json::Value {
        let entries = self.entries("operator");
        let found =
            entries.iter().find(|entry| entry["act"] == act && entry["by"] == serde_json::json!([by]));
        found.unwrap_or_else(|| panic!("no leaf of {act} by {by}: {entries:?}")).clone()
    }

    /// Opens a hold and answers it as a person would.
    pub(super) fn answer(&self, tab: &Tab, ticket: &Ticket, button: &str, told: &str) {
        tab.goto(&self.at(&format!("/holds/{}", ticket.id())));
        let statement = self.act(tab, &format!("button.act.{button}"), None, told);
        assert!(statement.starts_with("assent/approval/v1"), "{statement}");
    }
}
