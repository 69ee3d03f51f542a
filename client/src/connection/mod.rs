//! The connection to an appliance: QUIC, TLS 1.3, certificates on both sides, one stream a batch.
//!
//! The one rule: a batch that got no answer is asked again under the same id, so a lost answer costs nothing and decides
//! nothing twice. Asking again is bounded by a deadline, with pauses that grow. An answer is never asked for
//! again, unless it says that the appliance is stopping. No 0-RTT and no session resumption: the appliance looks at the certificate each time.

mod addresses;
mod config;
mod error;
mod heard;
mod listening;
mod notices;
mod pause;
mod shared;
mod tls;
mod waiting;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use assent_proto::limits::MAX_REPLY_BYTES;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Reply, TraceContext};
use quinn::{Connection, ReadError, ReadToEndError, WriteError};
use tokio::time::{sleep, timeout};

pub use self::config::{Config, ConfigError};
pub use self::error::ClientError;
use self::listening::Listening;
pub use self::notices::{Hearing, Notices};
use self::pause::Pauses;
use self::shared::Shared;
pub use self::waiting::Collected;
use crate::batch::{Batch, BatchId, Outcomes};
use crate::clock;
use crate::intent::Intent;
#[cfg(feature = "break-glass")]
use crate::warrant::{AcceptError, Warrant};

/// A connection to an appliance, made anew when it breaks. Share it by reference; each batch has its own stream.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    listening: OnceLock<Listening>,
}

impl Client {
    /// Connects. Certificates that do not read, an appliance that does not answer, and one whose certificate we do not take are
    /// told here; one that does not know us often only when it is first asked, as TLS 1.3 has it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(config: &Config) -> Result<Self, ClientError> {
        let shared = Arc::new(Shared::begin(config)?);
        shared.connected().await?;
        Ok(Self { shared, listening: OnceLock::new() })
    }

    /// What the appliance says unasked: that its token boundary trips or re-arms, what is revoked, its newest checkpoint.
    ///
    /// The first call begins to listen; who never calls it is never told, and costs the appliance nothing. Hearing
    /// outlives connections, and ends with this client.
    #[must_use]
    pub fn notices(&self) -> Notices {
        self.listening.get_or_init(|| Listening::start(Arc::clone(&self.shared))).notices()
    }

    /// Refuses to go on with a log that was seen to fork.
    fn check_fork(&self) -> Result<(), ClientError> {
        match self.listening.get().and_then(|listening| listening.notices().fork()) {
            Some(fork) => Err(ClientError::Forked(Box::new(fork))),
            None => Ok(()),
        }
    }

    /// Asks leave for all of `intents` at once: one frame, one answer, a token for each that is allowed.
    ///
    /// When the configuration holds a trust, an answer that does not verify against it is refused.
    ///
    /// # Errors
    /// [`ClientError`]: then nothing is known of the decision. Asking again like this decides anew, and what was decided may be in
    /// the log unheard. Who wants it makes a [`Batch::new`] and asks with [`Client::ask`] for a clone of it: after an error that
    /// [can be repeated](ClientError::can_be_repeated) the same batch fetches the answer.
    pub async fn preauthorize<'i>(
        &self,
        intents: impl IntoIterator<Item = &'i Intent, IntoIter: ExactSizeIterator>,
    ) -> Result<Outcomes, ClientError> {
        let batch = Batch::new(new_batch_id()?, intents).map_err(ClientError::Batch)?;
        self.ask(batch).await
    }

    /// As [`Client::preauthorize`], in a trace of the agent's (W3C Trace Context): the appliance's span of the batch is a child of that span.
    ///
    /// # Errors
    /// As [`Client::preauthorize`].
    pub async fn preauthorize_traced<'i>(
        &self,
        intents: impl IntoIterator<Item = &'i Intent, IntoIter: ExactSizeIterator>,
        trace: TraceContext,
    ) -> Result<Outcomes, ClientError> {
        let batch = Batch::new(new_batch_id()?, intents).map_err(ClientError::Batch)?;
        self.ask(batch.traced(trace)).await
    }

    /// From here on takes answers that this warrant's key sealed, too, for what is allowed under it. Who has no trust takes them all
    /// the same, and needs none.
    ///
    /// # Errors
    /// [`AcceptError`]: then nothing has changed.
    #[cfg(feature = "break-glass")]
    pub fn accept_warrant(&self, warrant: Warrant) -> Result<(), AcceptError> {
        self.shared.accept(warrant, clock::now())
    }

    /// Asks leave for a batch of one's own making, such as [`Wallet::refresh`](crate::Wallet::refresh) gives. Who keeps a
    /// clone of it can ask again after an error, and hears what was decided then.
    ///
    /// # Errors
    /// As [`Client::preauthorize`].
    pub async fn ask(&self, batch: Batch) -> Result<Outcomes, ClientError> {
        self.check_fork()?;
        let reply = self.reply(&batch).await?;
        let outcomes = self.shared.open(batch, &reply).map_err(ClientError::Reply)?;
        // What was heard while the answer was under way counts too.
        self.check_fork().map(|()| outcomes)
    }

    /// The answer to a batch, opened by nobody: for those who store it, or measure.
    ///
    /// # Errors
    /// As [`Client::preauthorize`].
    pub async fn reply(&self, batch: &Batch) -> Result<Vec<u8>, ClientError> {
        self.reply_to(batch.trace(), batch.frame(), self.shared.config.deadline).await
    }

    /// The answer to a frame, asked for until there is one.
    async fn reply_to(
        &self,
        trace: Option<&TraceContext>,
        frame: &[u8],
        deadline: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let mut last = None;
        match timeout(deadline, self.ask_until_answered(trace, frame, &mut last)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::Deadline { deadline, last: last.map(Box::new) }),
        }
    }

    async fn ask_until_answered(
        &self,
        trace: Option<&TraceContext>,
        frame: &[u8],
        last: &mut Option<ClientError>,
    ) -> Result<Vec<u8>, ClientError> {
        let mut pauses = Pauses::new();
        loop {
            match self.ask_once(trace, frame).await {
                Err(error) if error.is_passing() => *last = Some(error),
                answered => return answered,
            }
            sleep(pauses.next()).await;
        }
    }

    async fn ask_once(&self, trace: Option<&TraceContext>, frame: &[u8]) -> Result<Vec<u8>, ClientError> {
        let addr = &self.shared.config.addr;
        let connection = self.shared.connected().await?;
        let outcome = match exchange(addr, &connection, trace, frame).await {
            Ok(reply) if says_shutting_down(&reply) => {
                Err(Broken::Connection(ClientError::ShuttingDown { addr: addr.clone() }))
            }
            outcome => outcome,
        };
        match (outcome, connection.close_reason()) {
            (Ok(reply), _) => Ok(reply),
            // Whatever broke the exchange, the reason of the connection's end says more, when it has ended.
            (Err(_), Some(reason)) => Err(ClientError::of_connection(addr, reason)),
            // Notices and other batches go on: they may be about to be told why.
            (Err(Broken::Stream(error)), None) => Err(error),
            (Err(Broken::Connection(error)), None) => {
                self.shared.forget(&connection).await;
                Err(error)
            }
        }
    }

    /// Says goodbye, and waits until the appliance has heard it.
    pub async fn close(self) {
        // Whoever still listened would connect anew.
        drop(self.listening);
        self.shared.sockets.close().await;
    }
}

/// What broke an exchange.
enum Broken {
    /// Its stream ended so; the connection is none the worse for it.
    Stream(ClientError),
    /// The connection is of no use any more, whether it has ended or not.
    Connection(ClientError),
}

/// One stream: the trace context out where there is one, the frame, its end, the reply in.
async fn exchange(
    addr: &str,
    connection: &Connection,
    trace: Option<&TraceContext>,
    frame: &[u8],
) -> Result<Vec<u8>, Broken> {
    let lost = |error: &dyn std::fmt::Display| Broken::Connection(ClientError::Lost(error.to_string()));
    let (mut send, mut receive) = connection.open_bi().await.map_err(|error| lost(&error))?;
    let written = async {
        if let Some(trace) = trace {
            send.write_all(&trace.encoded()).await?;
        }
        send.write_all(frame).await
    };
    match written.await {
        Ok(()) => send.finish().map_err(|error| lost(&error))?,
        // It has heard enough to refuse; the reply says why.
        Err(WriteError::Stopped(_)) => {}
        Err(error) => return Err(lost(&error)),
    }
    receive.read_to_end(MAX_REPLY_BYTES).await.map_err(|error| match error {
        ReadToEndError::TooLong => Broken::Stream(ClientError::ReplyTooLong),
        ReadToEndError::Read(ReadError::Reset(code)) => {
            let error = ClientError::of_reset(addr, code);
            let is_stopping = matches!(error, ClientError::ShuttingDown { .. });
            if is_stopping { Broken::Connection(error) } else { Broken::Stream(error) }
        }
        ReadToEndError::Read(error) => lost(&error),
    })
}

/// A refusal of the frame that decides nothing and will not last.
fn says_shutting_down(reply: &[u8]) -> bool {
    matches!(Reply::parse(reply), Ok(Reply::Refused(Refusal::ShuttingDown)))
}

/// A batch id of this moment, for a batch of one's own making.
///
/// # Errors
/// [`ClientError::Random`] when the system gives no random bytes.
pub fn new_batch_id() -> Result<BatchId, ClientError> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| ClientError::Random)?;
    Ok(BatchId::new(clock::now(), random))
}
