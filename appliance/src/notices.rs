//! Notices: what every agent hears unasked, for as long as it is connected. The bytes and the rules: `FORMAT.md` section 16.
//!
//! Each agent has one stream and the newest of each kind, never a queue: what it was too slow to hear is gone. The rooms
//! that make news hold watch channels and wait for nobody; a write that finds no room ends its stream at a deadline, and
//! nothing but that. Nothing here decides, and no notice gives leave.

use std::convert::Infallible;
use std::time::Duration;

use assent_proto::refusal::Refusal;
use assent_proto::wire::{self, Closure, KeyInUse, Notice, begin_notices};
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Stopwatch};
use crate::hsm::FaultClass;
use crate::limits::{NOTICE_DEADLINE, NOTICE_HEARTBEAT, NOTICE_INTERVAL};
use crate::log::SignedCheckpoint;
use crate::token::{SealerHandle, Standing};

/// Above the replies, so that a trip does not wait behind them.
const PRIORITY: i32 = 1;

/// Where news comes from, and whose it is.
#[derive(Clone, Debug)]
pub struct Notices {
    standing: watch::Receiver<Standing>,
    checkpoints: watch::Receiver<Option<SignedCheckpoint>>,
    sealer: SealerHandle,
    origin: String,
    /// The key that was told last; empty before any was.
    told: String,
    clock: Clock,
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Its agent does not read.
    Stalled,
    /// Its agent wants no more, or is gone; or we are stopping.
    Over,
}

/// What is to be said next.
enum News {
    Standing,
    Checkpoint,
}

impl Notices {
    /// The news of this sealer, whose log has that origin.
    #[must_use]
    pub fn new(sealer: SealerHandle, origin: String, clock: Clock) -> Self {
        let (standing, checkpoints) = (sealer.boundary().subscribe(), sealer.checkpoints());
        Self { standing, checkpoints, sealer, origin, told: String::new(), clock }
    }

    /// Tells an agent, until its connection ends or it stops the stream. An agent that gives no leave for a stream is told
    /// nothing.
    pub async fn tell(&self, connection: &Connection) {
        // Each stream begins with the newest of everything, so nothing of the last one is owed.
        while let Ok(mut stream) = connection.open_uni().await {
            let _ = stream.set_priority(PRIORITY);
            let Err(ending) = self.clone().speak(&mut stream).await;
            let _ = stream.reset(VarInt::from_u32(u32::from(Refusal::ShuttingDown.number())));
            if ending == Ending::Over {
                return;
            }
            tracing::debug!(peer = %connection.remote_address(), "agent does not read its notices");
        }
    }

    async fn speak(mut self, stream: &mut SendStream) -> Result<Infallible, Ending> {
        let mut bytes = Vec::with_capacity(512);
        begin_notices(&mut bytes);
        self.append_standing(&mut bytes);
        self.append_checkpoint(&mut bytes);
        let mut checkpoint_said = Stopwatch::start();
        loop {
            write(stream, &bytes).await?;
            bytes.clear();
            match self.news(checkpoint_said).await? {
                News::Standing => self.append_standing(&mut bytes),
                News::Checkpoint => {
                    checkpoint_said = Stopwatch::start();
                    self.append_checkpoint(&mut bytes);
                }
            }
        }
    }

    /// Waits for what is to be said next; after a second of silence it is how the boundary stands.
    async fn news(&mut self, checkpoint_said: Stopwatch) -> Result<News, Ending> {
        let early = NOTICE_INTERVAL.saturating_sub(checkpoint_said.elapsed());
        let (standing, checkpoints) = (&mut self.standing, &mut self.checkpoints);
        let checkpoint = async {
            sleep(early).await;
            checkpoints.changed().await
        };
        // In this order: a trip is told before the checkpoint that came before it.
        let (changed, news) = tokio::select! {
            biased;
            changed = standing.changed() => (changed, News::Standing),
            changed = checkpoint => (changed, News::Checkpoint),
            () = sleep(NOTICE_HEARTBEAT) => (Ok(()), News::Standing),
        };
        changed.map(|()| news).map_err(|_| Ending::Over)
    }

    fn append_standing(&mut self, bytes: &mut Vec<u8>) {
        let Standing { epoch, open, class, lowest_epoch } = *self.standing.borrow_and_update();
        let closed = (!open).then_some(match class {
            FaultClass::Availability => Closure::Availability,
            FaultClass::Integrity => Closure::Integrity,
        });
        let (time, origin) = (self.clock.now(), &*self.origin);
        append(&Notice::Standing(wire::Standing { time, origin, epoch, closed, lowest_epoch }), bytes);
    }

    /// The key that signs, at first, and again when another has taken over: the ring tells, for the checkpoint at which it did
    /// is told under the key that handed over.
    fn append_key(&mut self, bytes: &mut Vec<u8>) {
        let keys = self.sealer.keys();
        let vkey = &*keys.signing().vkey;
        if self.told != vkey {
            append(&Notice::Key(KeyInUse { time: self.clock.now(), vkey }), bytes);
            vkey.clone_into(&mut self.told);
        }
    }

    fn append_checkpoint(&mut self, bytes: &mut Vec<u8>) {
        let signed = *self.checkpoints.borrow_and_update();
        self.append_key(bytes);
        if let Some(signed) = signed {
            // Where a key handed over, the signature of the next one is told with its own first checkpoint.
            let SignedCheckpoint { size, root, key_id, signature, successor: _ } = signed;
            let time = self.clock.now();
            append(
                &Notice::Checkpoint(wire::SignedCheckpoint { time, size, root, key_id, signature }),
                bytes,
            );
        }
    }
}

/// Our own fault where it fails: then this notice is not told, which is what silence is for.
fn append(notice: &Notice<'_>, bytes: &mut Vec<u8>) {
    if let Err(error) = notice.append(bytes) {
        tracing::error!(error = &error as &dyn std::error::Error, "a notice cannot be written");
    }
}

async fn write(stream: &mut SendStream, bytes: &[u8]) -> Result<(), Ending> {
    match timeout(NOTICE_DEADLINE, stream.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ending::Over),
        Err(_) => Err(Ending::Stalled),
    }
}

const _: () = assert!(
    NOTICE_INTERVAL.as_millis() < NOTICE_HEARTBEAT.as_millis() && !Duration::is_zero(&NOTICE_INTERVAL),
    "checkpoints have their turn between heartbeats"
);
