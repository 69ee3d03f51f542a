//! Listening: the task that reads an appliance's notices, for as long as its client lives.
//!
//! One connection at a time is read, and one stream of it, so notices keep their order. What is malformed ends the stream and
//! is counted; what does not verify is counted and dropped, for an appliance may know keys that we do not yet. When
//! nothing is heard for too long, that is said.

use std::sync::Arc;

use assent_proto::codec::CodecError;
use assent_proto::note::VerifierKey;
use assent_proto::refusal::Refusal;
use assent_proto::verify::{CheckpointCache, verify_checkpoint};
use assent_proto::wire::{Arrived, KeyInUse, Notice, NoticeReader};
use quinn::{Connection, RecvStream, VarInt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::error::ClientError;
use super::heard::Heard;
use super::notices::Notices;
use super::pause::Pauses;
use super::shared::Shared;
use crate::clock;
use crate::limits::{MAX_NOTICE_CHUNK_BYTES, REFUSED_PAUSE};
use crate::trust::Trust;

/// The task, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    heard: watch::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Listening {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let (tell, heard) = watch::channel(Heard::nothing(clock::now()));
        let runtime = shared.runtime.clone();
        let task = runtime.spawn(async move {
            let beats = Notify::new();
            let mut ear = Ear { shared: &shared, tell: &tell, beats: &beats, cache: CheckpointCache::new() };
            tokio::join!(ear.listen(), tell_of_silence(&shared, &tell, &beats));
        });
        Self { heard, task }
    }

    pub(super) fn notices(&self) -> Notices {
        Notices::new(self.heard.clone())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says so when nothing was heard for as long as the configuration allows.
async fn tell_of_silence(shared: &Shared, tell: &watch::Sender<Heard>, beats: &Notify) {
    loop {
        if timeout(shared.config.silence, beats.notified()).await.is_err() {
            tell.send_if_modified(Heard::fall_silent);
            beats.notified().await;
        }
    }
}

struct Ear<'e> {
    shared: &'e Shared,
    tell: &'e watch::Sender<Heard>,
    beats: &'e Notify,
    cache: CheckpointCache,
}

impl Ear<'_> {
    async fn listen(&mut self) {
        let mut pauses = Pauses::new();
        loop {
            // Taken before the connection is: what forgets it afterwards is not missed.
            let forgotten = self.shared.forgotten.notified();
            let ended = match self.shared.connected().await {
                Ok(connection) => tokio::select! {
                    ended = self.hear(&connection) => ended,
                    () = forgotten => Ok(()),
                },
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => pauses = Pauses::new(),
                Err(error) if error.is_passing() => {}
                // It does not want us, nor will it soon.
                Err(_) => sleep(REFUSED_PAUSE).await,
            }
            sleep(pauses.next()).await;
        }
    }

    /// Hears a connection to its end; gives why it ended where nothing was said on it.
    async fn hear(&mut self, connection: &Connection) -> Result<(), ClientError> {
        // Until here the appliance had no leave to open a stream: who does not listen is not told.
        connection.set_max_concurrent_uni_streams(VarInt::from_u32(1));
        let mut heard = false;
        loop {
            match connection.accept_uni().await {
                Ok(stream) => heard |= self.read(stream).await,
                Err(_) if heard => return Ok(()),
                Err(end) => return Err(ClientError::of_connection(&self.shared.config.addr, end)),
            }
        }
    }

    async fn read(&mut self, mut stream: RecvStream) -> bool {
        let (mut reader, mut kept, mut heard) = (NoticeReader::new(), Vec::new(), false);
        while let Ok(Some(chunk)) = stream.read_chunk(MAX_NOTICE_CHUNK_BYTES, true).await {
            kept.extend_from_slice(&chunk.bytes);
            if self.take_all(&mut reader, &mut kept).is_err() {
                self.tell.send_if_modified(Heard::disbelieve);
                let _ = stream.stop(VarInt::from_u32(u32::from(Refusal::FrameInvalid.number())));
                return false;
            }
            heard = true;
        }
        heard
    }

    /// Takes the whole notices, and leaves the beginning of the next.
    fn take_all(&mut self, reader: &mut NoticeReader, kept: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut rest = kept.as_slice();
        while let Some(arrived) = reader.read(&mut rest)? {
            let now = clock::now();
            self.beats.notify_one();
            self.tell.send_if_modified(|heard| heard.beat(now));
            if let Arrived::Notice(notice) = arrived {
                self.take(notice);
            }
        }
        let taken = kept.len() - rest.len();
        kept.drain(..taken);
        Ok(())
    }

    fn take(&mut self, notice: Notice<'_>) {
        let tell = |news: &mut dyn FnMut(&mut Heard) -> bool| self.tell.send_if_modified(news);
        let trust = self.shared.config.trust.as_ref();
        match (notice, trust) {
            (Notice::Standing(said), trust) if trust.is_none_or(|trust| holds_origin(trust, said.origin)) => {
                tell(&mut |heard| heard.take_standing(said.into()));
            }
            // Verified before those who read what was heard are kept waiting.
            (Notice::Checkpoint(said), Some(trust)) => {
                match verify_checkpoint(&said, trust.keys(), clock::now(), &mut self.cache) {
                    Ok(key) => tell(&mut |heard| heard.take_checkpoint(key.name(), said)),
                    Err(_) => tell(&mut Heard::disbelieve),
                };
            }
            (Notice::Key(KeyInUse { vkey, .. }), Some(trust)) => {
                let unknown = VerifierKey::parse(vkey).map(|key| {
                    let known = trust.keys().iter().any(|trusted| trusted.key == key);
                    (!known).then(|| vkey.to_owned())
                });
                match unknown {
                    Ok(unknown) => tell(&mut |heard| heard.take_key(unknown.clone())),
                    Err(_) => tell(&mut Heard::disbelieve),
                };
            }
            // Who trusts nobody cannot tell whose these are.
            (Notice::Checkpoint(_) | Notice::Key(_), None) => {}
            (Notice::Standing(_), _) => drop(tell(&mut Heard::disbelieve)),
        }
    }
}

fn holds_origin(trust: &Trust, origin: &str) -> bool {
    trust.keys().iter().any(|trusted| trusted.key.name() == origin)
}
