//! The agent of a bad day: it asks, it waits with its tickets, and it believes no refusal to be another.

use anyhow::Context as _;
use assent_client::{Client, Config, Intent, OnUnavailable, Outcomes, Priority, Ticket, Uid};

use super::shop::Shop;
use crate::sample;

/// A connected agent.
pub(super) struct Agent {
    client: Client,
    /// What the store allows and what may wait, by action.
    allowed: Vec<Intent>,
}

/// What the store's rules say of an intent.
#[derive(serde::Deserialize)]
struct Expected {
    decision: String,
}

impl Agent {
    pub(super) async fn connect(shop: &Shop) -> anyhow::Result<Self> {
        let files = &shop.agent;
        let mut config = Config::new(&shop.address, &files.ca, &files.certificate, &files.key)?;
        config.server_name = "localhost".to_owned();
        let client = Client::connect(&config).await.context("the agent cannot connect")?;
        let intents = assent_client::json::parse_lines(sample::INTENTS).collect::<Result<Vec<_>, _>>()?;
        let expected =
            sample::EXPECTED.lines().map(serde_json::from_str).collect::<Result<Vec<Expected>, _>>()?;
        let both = intents.into_iter().zip(expected);
        let allowed = both.filter(|(_, expected)| expected.decision == "allow").map(|(intent, _)| intent);
        Ok(Self { client, allowed: allowed.collect() })
    }

    /// So many intents of these actions that the store allows, to wait at a priority.
    pub(super) fn waiting(&self, action: &str, count: usize, priority: Option<Priority>) -> Vec<Intent> {
        let of_action: Vec<&Intent> =
            self.allowed.iter().filter(|intent| intent.action.id == action).collect();
        let wait = |intent: &&Intent| Intent {
            priority,
            on_unavailable: OnUnavailable::Queue,
            uses: Some(1),
            ..(*intent).clone()
        };
        of_action.iter().cycle().take(count).map(wait).collect()
    }

    /// Blocks the user of an order, under a warrant where nothing can be signed.
    pub(super) fn block(&self, count: usize) -> Vec<Intent> {
        let users = self.allowed.iter().filter_map(|intent| match intent.context.get("user") {
            Some(assent_client::Value::Entity(user)) => Some(user.clone()),
            Some(_) | None => None,
        });
        let block = |user: Uid| Intent {
            on_unavailable: OnUnavailable::Warrant,
            ..Intent::new(Uid::new("Retail::Action", "block_user"), user, sample::AUDIENCE)
                .with("reason", "somebody else uses the account")
        };
        users.take(count).map(block).collect()
    }

    /// A refund of an order, in cents.
    pub(super) fn refund(&self, cents: i64) -> anyhow::Result<Intent> {
        let order = self.allowed.iter().find(|intent| intent.action.id == "cancel_pending_order");
        let order = order.context("the sample cancels nothing")?;
        let user = order.context.get("user").context("the order has no user")?.clone();
        let action = Uid::new("Retail::Action", "refund_payment");
        let refund = Intent::new(action, order.resource.clone(), sample::AUDIENCE)
            .with("amount", cents)
            .with("user", user);
        Ok(Intent { on_unavailable: OnUnavailable::Queue, ..refund })
    }

    pub(super) async fn ask(&self, intents: &[Intent]) -> anyhow::Result<Outcomes> {
        Ok(self.client.preauthorize(intents).await?)
    }

    /// Waits until a ticket is decided.
    pub(super) async fn wait(&self, ticket: &Ticket) -> anyhow::Result<Outcomes> {
        Ok(self.client.wait(ticket).await?)
    }

    /// As many intents of the sample that the store allows.
    pub(super) fn some(&self, count: usize) -> Vec<Intent> {
        self.allowed.iter().take(count).cloned().collect()
    }
}

/// How many of them came out so.
pub(super) fn count(outcomes: &Outcomes, kind: &str) -> usize {
    outcomes.iter().filter(|outcome| outcome.kind() == kind).count()
}

/// Where in the log each allow lies.
pub(super) fn leaves(outcomes: &Outcomes) -> impl Iterator<Item = u64> + '_ {
    outcomes.tokens().map(|(_, token)| token.index().0)
}
