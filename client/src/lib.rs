//! What agents and executors of Assent link.
//!
//! An **agent** asks leave for many intents at once and gets a token for each that is allowed:
//!
//! ```no_run
//! use assent_client::{Client, Config, Intent, Outcome, Uid, Wallet};
//!
//! # async fn agent() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(&Config::from_env()?).await?;
//! let cancel = Intent::new(
//!     r#"Retail::Action::"cancel_pending_order""#.parse()?,
//!     Uid::new("Retail::Order", "#W1"),
//!     "store-api",
//! )
//! .with("reason", "ordered by mistake");
//! let outcomes = client.preauthorize(&[cancel.clone()]).await?;
//! for outcome in outcomes.iter() {
//!     match outcome {
//!         Outcome::Allowed(token) => println!("{token}"),
//!         Outcome::Denied(why) => println!("denied by {:?}", why.policies),
//!         Outcome::Queued(waits) => println!("decided by {}, or expired", waits.until()),
//!         Outcome::AwaitingApproval(waits) => println!("waits for operators until {}", waits.until()),
//!         Outcome::Held(_) => println!("operators must approve it"),
//!         Outcome::Unavailable(why) => println!("ask again later: {}", why.refusal),
//!         Outcome::Invalid(why) => println!("cannot be asked like this: {}", why.refusal),
//!         Outcome::Expired(_) => println!("nobody decided it in time"),
//!         Outcome::Cancelled(_) => println!("withdrawn"),
//!     }
//! }
//! let wallet = Wallet::from(outcomes);
//! let token = wallet.find(&cancel, assent_client::clock::now());
//! # Ok(()) }
//! ```
//!
//! An **executor**, in another process or on another machine, offline, admits the act:
//!
//! ```no_run
//! use assent_client::{Guard, Intent, Trust, clock};
//!
//! # fn executor(token: &[u8], intent: &Intent) -> Result<(), Box<dyn std::error::Error>> {
//! # fn cancel_order() -> Result<(), std::io::Error> { Ok(()) }
//! let trust = Trust::parse(&std::fs::read_to_string("trust.toml")?, clock::now())?;
//! let guard = Guard::new(trust, "store-api");
//! guard.admit(token, intent, clock::now())?.run(|| cancel_order())?; // verifies, spends one use, then acts
//! # Ok(()) }
//! ```
//!
//! The appliance says unasked how its token boundary stands. An agent that **listens** asks for nothing in vain, drops what
//! was revoked, and can tell the executor:
//!
//! ```no_run
//! use assent_client::{Client, Guard, Hearing, Wallet, clock};
//!
//! # async fn listen(client: &Client, wallet: &mut Wallet, guard: &Guard) {
//! let mut notices = client.notices();
//! while notices.changed().await {
//!     if let Some(standing) = notices.standing() {
//!         wallet.heed(&standing); // nothing revoked is handed out, nothing asked for while the boundary is closed
//!         guard.heed(&standing); // nothing revoked is admitted
//!     }
//!     if let Some(checkpoint) = notices.checkpoint() {
//!         let _ = guard.remember(&checkpoint, clock::now()); // its tokens cost no signature check
//!     }
//!     if let Hearing::Silent { since } = notices.hearing() {
//!         println!("nothing heard since {since}");
//!     }
//! }
//! # }
//! ```
//!
//! The one rule: whatever is in doubt gives no leave. Features: `network` (default) asks an appliance over QUIC; `durable`
//! remembers spent uses on disk; `break-glass` verifies warrants, under which there is leave when nothing else can give it.

#![forbid(unsafe_code)]

pub mod batch;
mod calendar;
pub mod clock;
#[cfg(feature = "network")]
pub mod connection;
mod encoding;
pub mod extension;
pub mod guard;
pub mod intent;
pub mod json;
pub mod limits;
pub mod notice;
pub mod outcome;
mod quote;
pub mod spent;
pub mod token;
pub mod trust;
pub mod uid;
pub mod value;
pub mod wallet;
#[cfg(feature = "break-glass")]
pub mod warrant;

pub use assent_proto as proto;
pub use assent_proto::number::Timestamp;
pub use assent_proto::refusal::{Refusal, Retry};
pub use assent_proto::wire::{Ticket as TicketId, TraceContext};

pub use crate::batch::{Batch, BatchError, BatchId, Outcomes, ReplyError, Ticket, TicketError};
pub use crate::calendar::parse_rfc3339;
#[cfg(feature = "network")]
pub use crate::connection::{Client, ClientError, Collected, Config, ConfigError, Hearing, Notices};
pub use crate::extension::{Datetime, Decimal, Ip};
pub use crate::guard::{Acceptance, AdmitError, Admitted, Guard, VerifyError};
pub use crate::intent::{EncodedIntent, Intent, IntentError, OnUnavailable, Priority};
pub use crate::json::JsonError;
pub use crate::notice::{Closure, Fork, SignedCheckpoint, Standing};
pub use crate::outcome::{Outcome, Reason, Waits};
pub use crate::spent::{SpendError, Spent};
pub use crate::token::{Token, TokenError};
pub use crate::trust::{Trust, TrustError, TrustedKey};
pub use crate::uid::{Uid, UidError};
pub use crate::value::Value;
pub use crate::wallet::Wallet;
#[cfg(feature = "break-glass")]
pub use crate::warrant::{AcceptError, Warrant, WarrantError};

/// What the first page of the repository shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
