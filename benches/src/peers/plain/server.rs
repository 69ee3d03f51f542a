//! The straightforward peer itself: axum in front, cedar-policy decides, one `C_Sign` and one commit for each approval.
//!
//! It is what a competent engineer writes in an afternoon of well-kept parts. Nothing in it is slower than it must be:
//! everything is parsed once at start, signing and committing overlap between requests, and connections are kept. It keeps
//! one rule of ours: no token leaves before its row is durable.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use appliance::clock::Clock;
use appliance::sample;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request, Schema,
};
use serde::{Deserialize, Serialize};

use crate::parts::sign::Signer;

/// The trust domain of the sample's agent.
const DOMAIN: &str = "spiffe://assent.test/agent";
/// How long an approval is valid, in seconds: the sample's catalog mostly says five minutes.
const WINDOW_S: u64 = 300;
/// What was approved: the claims' text, a line feed and the signature, by number.
const APPROVALS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("approvals");

/// An intent, as the sample's lines have it.
#[derive(Deserialize)]
pub(super) struct Intent {
    action: String,
    resource: String,
    context: serde_json::Value,
    audience: String,
}

/// What the agent hears.
#[derive(Serialize)]
struct Reply {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// What is signed.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'a str,
    aud: &'a str,
    action: &'a str,
    resource: &'a str,
    context: &'a serde_json::Value,
    iat: u64,
    exp: u64,
    jti: &'a str,
}

/// The sample's rules, ready to be asked.
pub(super) struct Rules {
    authorizer: Authorizer,
    schema: Schema,
    policies: PolicySet,
    entities: Entities,
    principal: EntityUid,
}

impl Rules {
    /// Reads the sample's bundle.
    pub(super) fn of_the_sample() -> anyhow::Result<Self> {
        let file = |name: &str| {
            let found = sample::BUNDLE.iter().find(|(path, _)| *path == name).map(|(_, text)| *text);
            found.with_context(|| format!("the sample has {name}"))
        };
        let (schema, _) = Schema::from_cedarschema_str(file("catalog.cedarschema")?)?;
        let entities = Entities::from_json_str(file("entities.json")?, Some(&schema))?;
        let policies = sample::BUNDLE.iter().filter(|(path, _)| path.starts_with("policies/"));
        let policies: String = policies.map(|(_, text)| *text).collect();
        let agent = EntityId::new(format!("{DOMAIN}/{}", sample::AGENT));
        let kind: EntityTypeName = "Retail::Agent".parse()?;
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: policies.parse()?,
            principal: EntityUid::from_type_name_and_id(kind, agent),
            schema,
            entities,
        })
    }

    /// Whether an intent is allowed. An error is one that does not fit the schema, which is not allowed either.
    pub(super) fn allow(&self, intent: &Intent) -> anyhow::Result<bool> {
        let action: EntityUid = intent.action.parse()?;
        let context = Context::from_json_value(intent.context.clone(), Some((&self.schema, &action)))?;
        let resource = intent.resource.parse()?;
        let request = Request::new(self.principal.clone(), action, resource, context, Some(&self.schema))?;
        let answer = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        Ok(answer.decision() == Decision::Allow)
    }
}

/// All that a request needs.
struct Server {
    rules: Rules,
    clock: Clock,
    signers: Vec<Mutex<Signer>>,
    /// Whose turn it is to sign.
    turn: AtomicUsize,
    approvals: redb::Database,
}

impl Server {
    /// Signs an approval and makes it durable; the token is the text and the signature in hexadecimal.
    fn approve(&self, intent: &Intent) -> anyhow::Result<String> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let now = self.clock.now().0 / 1000;
        let claims = Claims {
            iss: "plain",
            sub: self.rules.principal.id().unescaped(),
            aud: &intent.audience,
            action: &intent.action,
            resource: &intent.resource,
            context: &intent.context,
            iat: now,
            exp: now + WINDOW_S,
            jti: &hex(&nonce),
        };
        let text = serde_json::to_vec(&claims)?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.signers.len().max(1);
        let signer = self.signers.get(turn).context("a session")?;
        let signature = signer.lock().unwrap_or_else(PoisonError::into_inner).sign(&text)?;
        self.note(&[text.as_slice(), b"\n", &signature].concat())?;
        Ok(format!("{}.{}", hex(&text), hex(&signature)))
    }

    /// Makes one row durable, in two phases as the appliance does.
    fn note(&self, row: &[u8]) -> anyhow::Result<()> {
        let mut write = self.approvals.begin_write()?;
        write.set_two_phase_commit(true);
        {
            let mut table = write.open_table(APPROVALS)?;
            let next = redb::ReadableTable::last(&table)?.map_or(0, |(number, _)| number.value() + 1);
            table.insert(next, row)?;
        }
        Ok(write.commit()?)
    }

    /// Decides and, if it is allowed, approves.
    fn answer(&self, intent: &Intent) -> anyhow::Result<Reply> {
        if !self.rules.allow(intent).unwrap_or(false) {
            return Ok(Reply { decision: "deny", token: None });
        }
        Ok(Reply { decision: "allow", token: Some(self.approve(intent)?) })
    }
}

/// Serves until standard input ends, and prints the address where it listens as a line.
///
/// A module reads its environment through the C library, so this needs a process of its own.
pub(crate) fn serve(module: &Path, pin_file: &Path, folder: &Path) -> anyhow::Result<()> {
    // As many sessions as processors: so many may sign at the same time.
    let sessions = std::thread::available_parallelism().map_or(1, usize::from);
    let signers = Signer::sessions(module, pin_file, sessions)?;
    let server = Arc::new(Server {
        rules: Rules::of_the_sample()?,
        clock: Clock::system(),
        signers: signers.into_iter().map(Mutex::new).collect(),
        turn: AtomicUsize::new(0),
        approvals: redb::Database::create(folder.join("approvals.redb"))?,
    });
    let routes = axum::Router::new().route("/v1/authorize", post(authorize)).with_state(server);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    println!("{}", listener.local_addr()?);
    // Replies are small and somebody waits for each.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    runtime.spawn(async { axum::serve(listener, routes).await });
    // Whoever started this process holds the other end, and it closes when they end, however they do.
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    runtime.shutdown_background();
    Ok(())
}

/// Signing and committing block, so they have threads that may.
async fn authorize(
    State(server): State<Arc<Server>>,
    Json(intent): Json<Intent>,
) -> Result<Json<Reply>, (StatusCode, String)> {
    let answer = tokio::task::spawn_blocking(move || server.answer(&intent)).await;
    let answer = answer.map_err(|error| anyhow!(error)).flatten();
    answer.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    bytes.iter().flat_map(digits).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides_the_sample_as_the_store_expects() {
        let rules = Rules::of_the_sample().unwrap();
        let mut allowed = 0;
        for (line, expected) in sample::INTENTS.lines().zip(sample::EXPECTED.lines()) {
            let intent: Intent = serde_json::from_str(line).unwrap();
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            let decided = rules.allow(&intent);
            assert_eq!(decided.as_ref().is_ok_and(|allow| *allow), expected["decision"] == "allow", "{line}");
            // The schema refuses just what the catalog does not know.
            assert_eq!(decided.is_err(), expected["refusal"] == "INTENT_UNCLASSIFIED", "{line}");
            allowed += usize::from(decided.unwrap_or(false));
        }
        assert_eq!(allowed, 1436);
    }

    #[test]
    fn hexadecimal_has_two_digits_a_byte() {
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
