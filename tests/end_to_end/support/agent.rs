//! An agent, as a test sees it.

use std::path::PathBuf;

use appliance::sample;
use assent_client::batch::{Batch, Outcomes};
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_client::trust::Trust;
use assent_client::{Client, ClientError, Config};
use assent_proto::number::Timestamp;
use assent_proto::wire::BatchId;
use tokio::runtime::Runtime;

use super::{Appliance, assent, eventually};

/// The intents of the retail sample, each to be done once; the catalog would grant some of them more uses.
pub(crate) fn retail() -> Vec<Intent> {
    let once = |intent: Result<Intent, _>| intent.map(|intent| Intent { uses: Some(1), ..intent });
    assent_client::json::parse_lines(sample::INTENTS)
        .map(once)
        .collect::<Result<_, _>>()
        .expect("the sample parses")
}

/// What the store's rules say of each: decision and refusal.
pub(crate) fn labels() -> Vec<(String, Option<String>)> {
    let label = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).expect("a label parses");
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        (text("decision").expect("a decision"), text("refusal"))
    };
    sample::EXPECTED.lines().map(label).collect()
}

/// An intent of the sample that the store allows.
pub(crate) fn allowed() -> Intent {
    let position = labels().iter().position(|(decision, _)| decision == "allow").expect("one is allowed");
    retail().swap_remove(position)
}

/// A new batch id.
pub(crate) fn batch_id() -> BatchId {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("random bytes");
    BatchId::new(now(), random)
}

/// The time.
pub(crate) fn now() -> Timestamp {
    appliance::clock::Clock::system().now()
}

/// Decision and refusal of an outcome, as the labels write them.
pub(crate) fn label_of(outcome: &Outcome<'_>) -> (String, Option<String>) {
    let decision = if outcome.token().is_some() { "allow" } else { "deny" };
    (decision.to_owned(), outcome.reason().map(|reason| reason.refusal.name().to_owned()))
}

/// Where an agent's credentials are, and whom it trusts.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Credentials {
    /// Those of the sample's agent.
    pub(crate) fn of_sample(appliance: &Appliance) -> Self {
        let folder = appliance.folder.path();
        Self {
            ca: folder.join("tls/ca.pem"),
            certificate: folder.join("agents/retail-support.pem"),
            key: folder.join("agents/retail-support.key"),
        }
    }
}

/// A connected agent with a runtime of its own.
pub(crate) struct Agent {
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
    pub(crate) trust: Trust,
}

impl Agent {
    /// Connects the sample's agent.
    pub(crate) fn connect(appliance: &Appliance) -> Self {
        Self::connect_with(appliance, &Credentials::of_sample(appliance)).expect("the agent connects")
    }

    /// Connects the sample's agent with a trust file, as one that listens to notices would.
    pub(crate) fn connect_trusting(appliance: &Appliance) -> Self {
        let credentials = Credentials::of_sample(appliance);
        Self::connect_as(appliance, &credentials, |config| config.trusting(trust(appliance)))
            .expect("the agent connects")
    }

    /// Enrols another agent with the appliance's own command, and connects it.
    pub(crate) fn enrolled(appliance: &Appliance, name: &str) -> Self {
        let (config, folder) = (appliance.config(), appliance.folder.path());
        let agents = folder.join("agents");
        let out = agents.display().to_string();
        let (code, _, talk) = assent(Some(&config), &["agent", "enroll", name, "--out", &out]);
        assert_eq!(code, 0, "{talk}");
        let credentials = Credentials {
            ca: folder.join("tls/ca.pem"),
            certificate: agents.join(format!("{name}.pem")),
            key: agents.join(format!("{name}.key")),
        };
        eventually("the register is read", || {
            let agent = Self::connect_with(appliance, &credentials).ok()?;
            agent.runtime.block_on(agent.client.preauthorize(&[allowed()])).is_ok().then_some(agent)
        })
    }

    /// Connects with any credentials.
    pub(crate) fn connect_with(
        appliance: &Appliance,
        credentials: &Credentials,
    ) -> Result<Self, ClientError> {
        Self::connect_as(appliance, credentials, |config| config)
    }

    fn connect_as(
        appliance: &Appliance,
        credentials: &Credentials,
        adapt: impl FnOnce(Config) -> Config,
    ) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let address = appliance.status().expect("the appliance answers").listen;
        let config = Config::new(&address, &credentials.ca, &credentials.certificate, &credentials.key);
        let config =
            Config { server_name: "localhost".to_owned(), ..config.expect("credentials can be read") };
        let client = runtime.block_on(Client::connect(&adapt(config)))?;
        Ok(Self { runtime, client, trust: trust(appliance) })
    }

    /// Pre-authorizes, and verifies the answer under the trust file.
    pub(crate) fn preauthorize(&self, intents: &[Intent]) -> Outcomes {
        let batch = Batch::new(batch_id(), intents).expect("a batch");
        let reply = self.reply(&batch);
        batch.open(&reply, Some(&self.trust), now()).expect("a reply that verifies")
    }

    /// The reply frame to a batch, whatever it says.
    pub(crate) fn reply(&self, batch: &Batch) -> Vec<u8> {
        self.runtime.block_on(self.client.reply(batch)).expect("an answer")
    }
}

/// Has the appliance's bundle know these agents too, who may do what the sample's may; an appliance that stands still reads it when
/// it starts. Whoever the bundle does not know hears `INTENT_INVALID`, and nothing is evaluated for them.
pub(crate) fn make_known(appliance: &Appliance, names: &[String]) {
    let file = appliance.folder.path().join("bundle/entities.json");
    let text = std::fs::read_to_string(&file).expect("the entities");
    let mut entities: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let known = format!("/agent/{}", sample::AGENT);
    let is_agent =
        |entity: &&serde_json::Value| entity["uid"]["id"].as_str().is_some_and(|id| id.ends_with(&known));
    let agent = entities.iter().find(is_agent).expect("the bundle knows the sample's agent").clone();
    for name in names {
        let mut another = agent.clone();
        let id = agent["uid"]["id"].as_str().expect("an id").replace(sample::AGENT, name);
        another["uid"]["id"] = id.into();
        entities.push(another);
    }
    std::fs::write(&file, serde_json::to_string(&entities).expect("JSON")).expect("the entities");
}

/// What an executor of this appliance holds.
pub(crate) fn trust(appliance: &Appliance) -> Trust {
    let text = std::fs::read_to_string(appliance.folder.path().join("trust.toml")).expect("the trust file");
    Trust::parse(&text, now()).expect("the trust file parses")
}

/// So many intents that the store allows, over and over.
pub(crate) fn allowed_batch(count: usize) -> Vec<Intent> {
    let allowed =
        |(intent, (decision, _)): (Intent, (String, Option<String>))| (decision == "allow").then_some(intent);
    let intents: Vec<Intent> = retail().into_iter().zip(labels()).filter_map(allowed).collect();
    intents.iter().cycle().take(count).cloned().collect()
}
