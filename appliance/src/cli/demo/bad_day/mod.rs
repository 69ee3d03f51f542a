//! `assent demo --bad-day`: an HSM that is gone at noon, and what becomes of everybody's work.
//!
//! The retail sample with refunds that people approve and an action for incidents. Load; the HSM goes; 500 intents wait at
//! three priorities; two of three operators sign a warrant of ten uses; a review by who signed it is refused, and by the third
//! taken; the HSM is back, and the queue drains; holds are approved, rejected and left to expire; people were told, though their
//! sink was down for half of it; and the log verifies, every decision made again. Operators act by the commands that they would type.

mod account;
mod agent;
mod shop;
mod sink;

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use assent_client::{Intent, Outcomes, Priority, Ticket};

use self::account::Account;
use self::agent::{Agent, count, leaves};
use self::shop::{Ended, OPERATORS, Shop};
use self::sink::Sink;
use super::PATIENCE;
use crate::cli::scratch::Scratch;
use crate::cli::{Exit, Format, Globals, simulator};
use crate::clock::Stopwatch;
use crate::sample;

/// Intents that wait, at each priority.
const WAITING: [(&str, usize, Option<Priority>); 3] = [
    ("cancel_pending_order", 200, None),
    ("return_delivered_order_items", 200, None),
    ("cancel_pending_order", 100, Some(Priority::Low)),
];
/// Uses of the warrant.
const USES: usize = 10;

/// Runs it.
pub(super) fn run(keep: bool, globals: &Globals) -> anyhow::Result<Exit> {
    simulator::require()?;
    let watch = Stopwatch::start();
    let scratch = Scratch::new("bad-day", keep)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let account = runtime.block_on(play(&scratch))?;
    let elapsed_ms = watch.elapsed().as_millis();
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => writeln!(out, "{}", account.json(elapsed_ms))?,
        Format::Table => write!(out, "{}", account.table(elapsed_ms))?,
    }
    Ok(if account.held() { Exit::Done } else { Exit::Invalid })
}

/// The day, as far as it has come.
struct Day {
    shop: Shop,
    agent: Agent,
    sink: Sink,
    address: SocketAddr,
    account: Account,
    /// What waits, by priority from the highest.
    tickets: Vec<Vec<Ticket>>,
    holds: Vec<Ticket>,
    used: Option<(u64, Vec<Intent>, Outcomes)>,
}

fn say(text: &str) {
    let _ = writeln!(crate::cli::stderr(), "{text}");
}

async fn play(scratch: &Scratch) -> anyhow::Result<Account> {
    let address = Sink::free_address()?;
    say("provisioning: a shop with three operators, and somebody who is told, whose line is down");
    let shop = Shop::open(&scratch.path, address)?;
    let agent = Agent::connect(&shop).await?;
    let (sink, account, tickets, holds) = (Sink::default(), Account::default(), Vec::new(), Vec::new());
    let mut day = Day { shop, agent, sink, address, account, tickets, holds, used: None };
    day.good_times().await?;
    say("noon: the HSM is gone, and the token boundary closes");
    day.shop.break_hsm()?;
    day.wait_in_line().await?;
    day.break_glass().await?;
    say("the line of those who are told is up again");
    day.sink.listen(day.address)?;
    say("the HSM is back; the queue drains");
    day.shop.mend_hsm()?;
    day.drain().await?;
    day.review()?;
    day.answer_holds().await?;
    day.told();
    say("stopping the appliance and verifying its log, every decision made again");
    let Day { mut shop, agent, mut account, used, .. } = day;
    drop(agent);
    shop.stop()?;
    verify(&shop, &mut account, used.map(|(leaf, ..)| leaf))?;
    Ok(account)
}

impl Day {
    /// Work as on any day, and a charter for bad ones.
    async fn good_times(&mut self) -> anyhow::Result<()> {
        let outcomes = self.agent.ask(&self.agent.some(512)).await?;
        self.account.expect("allowed while all is well, of 512", count(&outcomes, "allowed"), 512);
        let lines: Vec<String> = OPERATORS
            .iter()
            .map(|name| std::fs::read_to_string(self.shop.folder.join(format!("{name}.pub"))))
            .collect::<Result<_, _>>()?;
        let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        let charter = format!(
            "name = \"incidents\"\ncategories = [\"incidents\"]\nresources = [\"Retail::User\"]\nclosed = \"1s\"\nwindow = \"1h\"\nuses = {USES}\noperators = {lines:?}\nthreshold = 2\nnot_after = \"90d\"\n"
        );
        std::fs::write(self.shop.folder.join("charter.toml"), charter)?;
        self.shop.must(&[
            "breakglass",
            "charter",
            "create",
            "charter.toml",
            "--key",
            "ann",
            "--key",
            "ben",
        ])?;
        Ok(())
    }

    /// What can wait does.
    async fn wait_in_line(&mut self) -> anyhow::Result<()> {
        let mut queued = 0;
        for (action, wanted, priority) in WAITING {
            let outcomes = self.agent.ask(&self.agent.waiting(action, wanted, priority)).await?;
            queued += count(&outcomes, "queued");
            self.tickets.push(outcomes.tickets());
        }
        let wanted: usize = WAITING.iter().map(|(_, count, _)| count).sum();
        self.account.expect("wait in the queue, durably, at three priorities", queued, wanted);
        let status = self.shop.status().context("the appliance does not answer")?;
        self.account.expect(
            "  of them low, normal, high and critical, as `assent status` says",
            status.queue.queued,
            [100, 200, 200, 0],
        );
        Ok(())
    }

    /// What cannot wait is done under a warrant.
    async fn break_glass(&mut self) -> anyhow::Result<()> {
        let intents = self.agent.block(USES + 1);
        let before = self.agent.ask(&intents).await?;
        self.account.expect("incidents refused without a warrant", count(&before, "unavailable"), USES + 1);
        let uses = USES.to_string();
        let prepare = self.shop.type_in(&[
            "breakglass",
            "warrant",
            "prepare",
            "incidents",
            "--reason",
            "accounts are taken over and the HSM is gone",
            "--uses",
            &uses,
            "--window",
            "15m",
        ])?;
        std::fs::write(self.shop.folder.join("warrant.statement"), &prepare.out)?;
        for name in ["ann", "ben"] {
            self.shop.must(&["breakglass", "warrant", "sign", "warrant.statement", "--key", name])?;
        }
        say("two of three operators signed a warrant of ten uses");
        let one = self.shop.type_in(&[
            "breakglass",
            "warrant",
            "activate",
            "warrant.statement",
            "--signature",
            "warrant.statement.ann.sig",
        ])?;
        self.account.note("a warrant with one signature is refused", short(&one), one.code != 0);
        let leaf = self.activate()?;
        let (ten, _) = intents.split_at(USES);
        let outcomes = self.agent.ask(ten).await?;
        self.account.expect("incidents allowed under the warrant", count(&outcomes, "allowed"), USES);
        let eleventh = self.agent.ask(intents.get(USES..).unwrap_or_default()).await?;
        self.account.expect("the use beyond its count is refused", count(&eleventh, "unavailable"), 1);
        self.executors(leaf, ten, &outcomes)?;
        self.used = Some((leaf, ten.to_vec(), outcomes));
        Ok(())
    }

    /// The boundary must have been closed for a while; until then the appliance says when to try again.
    fn activate(&self) -> anyhow::Result<u64> {
        let watch = Stopwatch::start();
        loop {
            let ended = self.shop.type_in(&[
                "breakglass",
                "warrant",
                "activate",
                "warrant.statement",
                "--signature",
                "warrant.statement.ann.sig",
                "--signature",
                "warrant.statement.ben.sig",
                "--out",
                "warrant.toml",
                "-o",
                "json",
            ])?;
            if ended.code == 0 {
                let active: serde_json::Value = serde_json::from_str(&ended.out)?;
                let leaf = active.get("warrant").and_then(|warrant| warrant.get("leaf"));
                return leaf.and_then(serde_json::Value::as_u64).context("the warrant has no leaf");
            }
            anyhow::ensure!(watch.elapsed() < PATIENCE, "the warrant is not activated: {}", ended.talk);
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Executors, offline, take the tokens with the warrant's file, and not without.
    fn executors(&mut self, leaf: u64, intents: &[Intent], outcomes: &Outcomes) -> anyhow::Result<()> {
        let (mut with, mut without) = (0, 0);
        for (intent, outcome) in intents.iter().zip(outcomes.iter()) {
            let Some(token) = outcome.token() else { continue };
            std::fs::write(self.shop.folder.join("intent.json"), intent.to_json()?)?;
            let (text, audience) = (token.to_string(), sample::AUDIENCE);
            let words = [
                "token",
                "verify",
                "--trust",
                "trust.toml",
                "--audience",
                audience,
                "--intent",
                "intent.json",
                &text,
            ];
            without += usize::from(self.shop.type_in(&words)?.code != 0);
            let words: Vec<&str> = words.iter().chain(&["--warrant", "warrant.toml"]).copied().collect();
            with += usize::from(self.shop.type_in(&words)?.code == 0);
        }
        self.account.expect("tokens taken offline, with the warrant's file", with, USES);
        self.account.expect("  and refused without it", without, USES);
        self.account.note("  the warrant is at leaf", leaf.to_string(), leaf > 0);
        Ok(())
    }

    /// Everything that waited is decided, the highest priority first.
    async fn drain(&mut self) -> anyhow::Result<()> {
        let (mut decided, mut allowed, mut spans) = (0, 0, Vec::new());
        for tickets in std::mem::take(&mut self.tickets) {
            let mut places = Vec::new();
            for ticket in &tickets {
                let outcomes = self.agent.wait(ticket).await?;
                decided += outcomes.len();
                allowed += count(&outcomes, "allowed");
                places.extend(leaves(&outcomes));
            }
            spans.push((places.iter().min().copied(), places.iter().max().copied()));
        }
        self.account.expect("decided of those that waited", decided, 500);
        self.account.expect("  allowed", allowed, 500);
        let in_order =
            spans.windows(2).all(|pair| matches!(pair, [(_, Some(last)), (Some(first), _)] if last < first));
        self.account.note("  in the log by priority, the highest first", format!("{spans:?}"), in_order);
        Ok(())
    }

    /// Each use is looked at, by somebody who did not sign the warrant.
    fn review(&mut self) -> anyhow::Result<()> {
        let Some((_, _, outcomes)) = &self.used else { return Ok(()) };
        let (mut refused, mut taken) = (0, 0);
        for leaf in leaves(outcomes) {
            let leaf = leaf.to_string();
            let words = |key| {
                [
                    "breakglass",
                    "review",
                    "close",
                    &leaf,
                    "--finding",
                    "justified",
                    "--text",
                    "the account was taken over",
                    "--key",
                    key,
                ]
            };
            refused += usize::from(self.shop.type_in(&words("ann"))?.code != 0);
            taken += usize::from(self.shop.type_in(&words("cleo"))?.code == 0);
        }
        self.account.expect("reviews refused from a signer of the warrant", refused, USES);
        self.account.expect("reviews taken from another operator", taken, USES);
        Ok(())
    }

    /// Refunds over the limit: one is approved, one rejected, one nobody answers.
    async fn answer_holds(&mut self) -> anyhow::Result<()> {
        say("three refunds over the limit wait for an approval");
        let small = self.agent.ask(&[self.agent.refund(500)?]).await?;
        self.account.expect("a small refund is allowed at once", count(&small, "allowed"), 1);
        for cents in [20_000, 30_000, 40_000] {
            self.holds.extend(self.agent.ask(&[self.agent.refund(cents)?]).await?.tickets());
        }
        self.account.expect("refunds over the limit await approval", self.holds.len(), 3);
        let ids: Vec<String> = self.holds.iter().map(|hold| hold.id().to_string()).collect();
        let [approved, rejected, _] = ids.as_slice() else { return Ok(()) };
        let stranger = self.shop.type_in(&["approval", "approve", approved, "--key", "cleo"])?;
        self.account.note("an operator of another group is refused", short(&stranger), stranger.code != 0);
        self.shop.must(&["approval", "approve", approved, "--key", "ann"])?;
        self.shop.must(&["approval", "reject", rejected, "--key", "ben"])?;
        let mut kinds = Vec::new();
        for hold in &self.holds {
            let outcomes = self.agent.wait(hold).await?;
            kinds.extend(outcomes.iter().map(|outcome| outcome.kind()));
        }
        self.account.expect("approved, rejected, unanswered", kinds, vec!["allowed", "denied", "expired"]);
        Ok(())
    }

    /// Who was told what.
    fn told(&mut self) {
        let watch = Stopwatch::start();
        let sink = self.sink.clone();
        let wanted = [
            ("trip", "begun", 1),
            ("trip", "ended", 1),
            ("warrant_activated", "begun", 1),
            ("warrant_used", "begun", USES),
            ("hold_waiting", "begun", 1),
            ("hold_waiting", "ended", 1),
        ];
        while watch.elapsed() < PATIENCE
            && wanted.iter().any(|(kind, phase, count)| sink.count(kind, phase) < *count)
        {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let [trips, ends, warrants, uses, holds, answered] =
            wanted.map(|(kind, phase, _)| sink.count(kind, phase));
        self.account.expect("told of the trip, though the line was down: once", (trips, ends), (1, 1));
        self.account.expect("told of the warrant, and of each of its uses", (warrants, uses), (1, USES));
        self.account.note(
            "told of holds, and of the end of each",
            format!("{holds} and {answered}"),
            holds > 0 && holds == answered,
        );
    }
}

/// The log, as an auditor verifies it.
fn verify(shop: &Shop, account: &mut Account, warrant: Option<u64>) -> anyhow::Result<()> {
    let report = shop.told(&["log", "verify", "--replay"])?;
    let at = |path: &str| report.pointer(path).cloned().unwrap_or_default();
    account.note("the log verifies", format!("{} entries", at("/entries")), at("/verified") == true);
    account.note(
        "  decisions that come out otherwise when made again",
        at("/replayed/differ").to_string(),
        at("/replayed/differ") == 0,
    );
    let gaps = at("/gaps").as_array().map_or(0, Vec::len);
    account.expect("  outages that it lists", gaps, 1);
    let warrants = at("/warrants");
    let of = warrants.as_array().and_then(|all| all.first()).cloned().unwrap_or_default();
    let uses = of.get("uses").and_then(|uses| uses.as_array()).cloned().unwrap_or_default();
    account.note(
        "  the warrant that it lists",
        format!(
            "{} at leaf {}",
            of.get("charter_name").unwrap_or_default(),
            of.get("index").unwrap_or_default()
        ),
        of.get("index").and_then(serde_json::Value::as_u64) == warrant && warrant.is_some(),
    );
    account.expect("  its uses", uses.len(), USES);
    let reviewed = uses.iter().filter(|one| one.pointer("/review/by").is_some_and(|by| by == "cleo"));
    account.expect("  with a review", reviewed.count(), USES);
    Ok(())
}

/// The first line of what a command said.
fn short(ended: &Ended) -> String {
    let line = ended.talk.lines().find(|line| line.starts_with("error")).unwrap_or_default();
    line.chars().take(100).collect()
}
