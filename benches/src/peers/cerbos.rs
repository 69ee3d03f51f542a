//! Cerbos, when its binary is at hand: what a policy decision point decides a second that neither signs nor keeps a log.
//!
//! It is asked over its HTTP API, in batches, for the intents of the sample that are about orders. It has all that could
//! make it faster: no audit, no telemetry, no metrics, no log of requests, only rules that allow (it denies what no rule
//! allows, so the sample's guards would only cost it time), and only those attributes that the rules read.

use std::collections::HashMap;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use appliance::clock::Stopwatch;
use appliance::sample;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plain::{client, counted_a_second};
use crate::children::{Running, tied};
use crate::sample::allowed_lines;
use crate::scratch;

/// Resources of a batch: 500 is the most that Cerbos can be told to take.
const SIZES: [usize; 4] = [1, 50, 200, 500];
/// Clients that ask at once. On two cores, 2 to 16 of them gave the same at the best size; one at a time needs the more.
const CLIENTS: usize = 8;
/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// What the sample's policies say of an order.
const POLICY: &str = r#"apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: order
  version: default
  rules:
    - name: read-own-order
      actions: [get_order_details]
      effect: EFFECT_ALLOW
      roles: [support]
      condition:
        match:
          expr: R.attr.owner == R.attr.user
    - name: cancel-or-redirect-own-pending-order
      actions: [cancel_pending_order, modify_pending_order_address]
      effect: EFFECT_ALLOW
      roles: [support]
      condition:
        match:
          expr: R.attr.owner == R.attr.user && R.attr.status == "pending"
    - name: repay-own-pending-order
      actions: [modify_pending_order_payment]
      effect: EFFECT_ALLOW
      roles: [support]
      condition:
        match:
          expr: R.attr.owner == R.attr.user && R.attr.status == "pending" && R.attr.payment_owner == R.attr.user
    - name: change-items-of-own-pending-order
      actions: [modify_pending_order_items]
      effect: EFFECT_ALLOW
      roles: [support]
      condition:
        match:
          expr: >-
            R.attr.owner == R.attr.user && R.attr.status == "pending"
            && R.attr.item_ids.isSubset(R.attr.items) && R.attr.payment_owner == R.attr.user
    - name: return-or-exchange-own-delivered-order
      actions: [return_delivered_order_items, exchange_delivered_order_items]
      effect: EFFECT_ALLOW
      roles: [support]
      condition:
        match:
          expr: >-
            R.attr.owner == R.attr.user && R.attr.status == "delivered"
            && R.attr.item_ids.isSubset(R.attr.items) && R.attr.payment_owner == R.attr.user
"#;

/// Cerbos while it runs. It ends with this.
#[derive(Debug)]
pub(crate) struct Cerbos {
    process: Running,
    http: u16,
    /// Its policies, its configuration and what it says.
    folder: tempfile::TempDir,
}

impl Cerbos {
    /// Starts this binary on ports of its own, and waits until it answers.
    pub(crate) fn start(binary: &Path) -> anyhow::Result<Self> {
        let folder = scratch::folder()?;
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies)?;
        std::fs::write(policies.join("order.yaml"), POLICY)?;
        let (http, grpc) = free_ports()?;
        let config = folder.path().join("cerbos.yaml");
        // JSON is YAML too.
        std::fs::write(&config, config_of(http, grpc, &policies).to_string())?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = tied(binary.as_os_str())?;
        command
            .args(["server", "--log-level=error", "--config"])
            .arg(&config)
            .env("CERBOS_NO_TELEMETRY", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut cerbos = Self { process: Running::start(&mut command)?, http, folder };
        cerbos.wait_until_it_answers()?;
        Ok(cerbos)
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let client = client();
        let health = format!("http://127.0.0.1:{}/_cerbos/health", self.http);
        let watch = Stopwatch::start();
        while client.get(&health).call().is_err() {
            if self.process.has_ended()? || watch.elapsed() > START {
                let said = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                anyhow::bail!("Cerbos does not answer: {said}");
            }
            std::thread::sleep(Duration::from_millis(20)); // WAIT: for another process to listen; nothing tells of it
        }
        Ok(())
    }

    /// Decisions to allow a second, at the best size of a batch, and that size. Each size is measured for this long.
    pub(crate) fn decisions_a_second(&self, span: Duration) -> anyhow::Result<(f64, usize)> {
        let url = format!("http://127.0.0.1:{}/api/check/resources", self.http);
        let orders = orders()?;
        let mut best = (0.0, 0);
        for size in SIZES {
            let rate = counted_a_second(&url, CLIENTS, &batches(&orders, size)?, span, |reply| {
                let allowed = allowed_in(reply);
                anyhow::ensure!(allowed == size, "Cerbos allows {allowed} of {size}: {reply:.300}");
                Ok(allowed)
            })?;
            if rate > best.0 {
                best = (rate, size);
            }
        }
        Ok(best)
    }
}

/// What this binary says of its version: its first word that begins with a digit.
pub(crate) fn version(binary: &Path) -> Option<String> {
    let output = Command::new(binary).arg("--version").stdin(Stdio::null()).output().ok()?;
    version_in(&String::from_utf8_lossy(&output.stdout))
}

fn version_in(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    text.split_whitespace().find(is_version).map(str::to_owned)
}

/// Everything off that costs time or leaves this machine, and every limit at its most.
fn config_of(http: u16, grpc: u16, policies: &Path) -> Value {
    json!({
        "server": {
            "httpListenAddr": format!("127.0.0.1:{http}"),
            "grpcListenAddr": format!("127.0.0.1:{grpc}"),
            "metricsEnabled": false,
            "logRequestPayloads": false,
            "requestLimits": { "maxActionsPerResource": 500, "maxResourcesPerRequest": 500 },
        },
        "storage": { "driver": "disk", "disk": { "directory": policies, "watchForChanges": false } },
        "audit": { "enabled": false },
        "telemetry": { "disabled": true },
    })
}

/// Two ports that were free just now; Cerbos cannot be asked which it took.
fn free_ports() -> anyhow::Result<(u16, u16)> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (http, grpc) = (bind()?, bind()?);
    Ok((http.local_addr()?.port(), grpc.local_addr()?.port()))
}

/// One resource of a batch, as Cerbos takes it.
#[derive(Serialize)]
struct Asked {
    actions: [String; 1],
    resource: Value,
}

/// An entity of the sample, as far as it is read here.
#[derive(Deserialize)]
struct Entity {
    uid: Uid,
    attrs: Value,
}

#[derive(Deserialize)]
struct Uid {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

/// The sample's allowed intents that are about orders, with what a caller of Cerbos must look up itself beside them.
fn orders() -> anyhow::Result<Vec<Asked>> {
    let entities = sample::BUNDLE.iter().find(|(path, _)| *path == "entities.json");
    let entities: Vec<Entity> = serde_json::from_str(entities.context("the sample has entities")?.1)?;
    let entities: HashMap<String, &Value> =
        entities.iter().map(|one| (format!("{}::\"{}\"", one.uid.kind, one.uid.id), &one.attrs)).collect();
    let found = |uid: &str| entities.get(uid).copied().with_context(|| format!("there is no {uid}"));
    let mut asked = Vec::new();
    for line in allowed_lines()? {
        let intent: Value = serde_json::from_str(line)?;
        let named = |key| intent.get(key).and_then(Value::as_str);
        let within = |kind, uid: &str| Some(uid.strip_prefix(kind)?.strip_suffix('"')?.to_owned());
        let uid = named("resource").context("a resource")?;
        let Some(order) = within("Retail::Order::\"", uid) else { continue };
        let action =
            within("Retail::Action::\"", named("action").context("an action")?).context("its name")?;
        let record = found(uid)?;
        let context = intent.get("context").context("a context")?;
        let mut attributes = json!({ "owner": id(record, "owner")?, "user": id(context, "user")? });
        if action != "get_order_details" {
            put(&mut attributes, "status", record.get("status"));
        }
        if let Some(items) = context.get("item_ids") {
            put(&mut attributes, "item_ids", Some(items));
            put(&mut attributes, "items", record.get("items"));
        }
        if context.get("payment_method").is_some() {
            let method = found(&format!("Retail::PaymentMethod::\"{}\"", id(context, "payment_method")?))?;
            put(&mut attributes, "payment_owner", Some(&json!(id(method, "owner")?)));
        }
        let resource = json!({ "kind": "order", "id": order, "attr": attributes });
        asked.push(Asked { actions: [action], resource });
    }
    Ok(asked)
}

/// The id of an entity that an attribute names.
fn id<'v>(record: &'v Value, attribute: &str) -> anyhow::Result<&'v str> {
    let named = record.get(attribute).and_then(|value| value.pointer("/__entity/id"));
    named.and_then(Value::as_str).with_context(|| format!("{attribute} names an entity"))
}

fn put(attributes: &mut Value, name: &str, value: Option<&Value>) {
    if let (Some(attributes), Some(value)) = (attributes.as_object_mut(), value) {
        attributes.insert(name.to_owned(), value.clone());
    }
}

/// The requests: each has this many resources, so that what is left over is not asked.
fn batches(orders: &[Asked], size: usize) -> anyhow::Result<Vec<String>> {
    let principal = json!({ "id": sample::AGENT, "roles": ["support"] });
    let body = |resources| serde_json::to_string(&json!({ "principal": principal, "resources": resources }));
    Ok(orders.chunks_exact(size).map(body).collect::<Result<_, _>>()?)
}

/// How many decisions of a reply allow. Its text is searched, not parsed: the peer needs the cores.
fn allowed_in(reply: &str) -> usize {
    reply.matches(r#""EFFECT_ALLOW""#).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_orders_with_what_the_rules_read() {
        let orders = orders().unwrap();
        assert_eq!(orders.len(), 1193);
        for order in &orders {
            let attributes = &order.resource["attr"];
            assert!(POLICY.contains(&order.actions[0]), "{}", order.actions[0]);
            assert_eq!(attributes["owner"], attributes["user"]);
            let status = attributes["status"].as_str();
            let payment = attributes.get("payment_owner");
            match order.actions[0].as_str() {
                "get_order_details" => assert_eq!(status, None),
                "cancel_pending_order" | "modify_pending_order_address" => {
                    assert_eq!(status, Some("pending"))
                }
                "modify_pending_order_payment" | "modify_pending_order_items" => {
                    assert_eq!((status, payment), (Some("pending"), attributes.get("user")));
                }
                _ => assert_eq!((status, payment), (Some("delivered"), attributes.get("user"))),
            }
        }
    }

    #[test]
    fn every_size_fits_and_is_full() {
        let orders = orders().unwrap();
        for size in SIZES {
            let batches = batches(&orders, size).unwrap();
            assert_eq!(batches.len(), orders.len() / size);
            for batch in &batches {
                let batch: Value = serde_json::from_str(batch).unwrap();
                assert_eq!(batch["resources"].as_array().unwrap().len(), size);
            }
        }
    }

    #[test]
    fn version_is_the_first_word_that_is_one() {
        assert_eq!(version_in("0.51.0\nBuild timestamp: 2026-02-04\n").as_deref(), Some("0.51.0"));
        assert_eq!(version_in("no such option"), None);
    }

    #[test]
    fn only_what_is_allowed_counts() {
        let reply = r#"{"results":[{"actions":{"a":"EFFECT_ALLOW"}},{"actions":{"a":"EFFECT_DENY"}}]}"#;
        assert_eq!(allowed_in(reply), 1);
    }
}
