//! The parent's end of the signer: one child, one question at a time, and a thread that listens.
//!
//! The child is dead to us after the first fault of any kind: no retry, no second chance, no PKCS#11 call on the way out.
//! The listening thread starts the child, because the kernel kills a child when the *thread* that made it ends; it stays
//! until the child's socket does, and reaps it.
//!
//! This file does not verify signatures. (boundaries.md, "The HSM lives in a child process".)

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use assent_proto::codec;

use super::frame::{Answer, FrameError, FrameReader, FrameWriter, Question, Start};
use super::{FaultKind, HsmFault, HsmIdentity, HsmSettings, Pin};

/// This process's own executable, and the same file even after an upgrade has replaced it on disk.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How long a write may wait. One question is out at a time and fits into the socket, so none does.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// The sequence number that is never asked.
const NONE: u64 = 0;

type OnLoss = Box<dyn Fn(HsmFault) + Send + Sync>;

/// A signer that is logged in and ready, until its first fault.
#[derive(Debug)]
pub struct Signer {
    identity: HsmIdentity,
    link: Link,
    sequence: u64,
}

impl Signer {
    /// Starts a child and has it load the module, log in (once) and find the key.
    ///
    /// `on_loss` is called from the listening thread, at most once and without delay, for the first fault which that
    /// thread sees: end of file, a fault, or a frame that nobody asked for. It is called before [`Self::sign`] returns
    /// that fault, and not for what the owner knows first: a failed start, a missed deadline, a kill, a drop.
    ///
    /// # Errors
    /// What went wrong; the child is killed.
    pub fn start(
        settings: &HsmSettings,
        pin: &Pin,
        deadline: Duration,
        on_loss: impl Fn(HsmFault) + Send + Sync + 'static,
    ) -> Result<Self, HsmFault> {
        let mut link = Link::open(settings, Box::new(on_loss))?;
        let sent = link.questions.send(&Question::Start(start_question(settings, pin)?));
        link.questions.wipe();
        sent.map_err(|error| link.write_fault(&error))?;
        match link.wait(deadline)? {
            Heard::Ready(identity) => Ok(Self { identity, link, sequence: NONE }),
            Heard::Signature(_) => {
                Err(HsmFault::new(FaultKind::FrameUnexpected, "a signature before it was ready"))
            }
        }
    }

    /// What signs. The caller compares it with what is pinned.
    #[must_use]
    pub const fn identity(&self) -> &HsmIdentity {
        &self.identity
    }

    /// Has `text` signed. The caller verifies the signature.
    ///
    /// # Errors
    /// The first fault, then and at every later call.
    pub fn sign(&mut self, text: &[u8], deadline: Duration) -> Result<[u8; 64], HsmFault> {
        if let Some(fault) = self.fault() {
            return Err(fault.clone());
        }
        let outcome = self.exchange(text, deadline);
        if let Err(fault) = &outcome {
            self.link.end(fault.clone());
        }
        outcome
    }

    /// The fault that ended it.
    #[must_use]
    pub fn fault(&self) -> Option<&HsmFault> {
        self.link.shared.fault.get()
    }

    /// The child's process id, for traces and drills.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        let child = self.link.shared.child.get()?.try_lock().ok()?;
        Some(child.id())
    }

    /// Kills the child. Nothing waits for it here: the listening thread reaps it.
    pub fn kill(&mut self) {
        self.link.end(HsmFault::new(FaultKind::SignerLost, "killed by the appliance"));
    }

    fn exchange(&mut self, text: &[u8], deadline: Duration) -> Result<[u8; 64], HsmFault> {
        self.sequence += 1;
        let sequence = self.sequence;
        self.link.shared.awaited.store(sequence, Ordering::SeqCst);
        self.link
            .questions
            .send(&Question::Sign { sequence, text })
            .map_err(|error| self.link.write_fault(&error))?;
        match self.link.wait(deadline)? {
            Heard::Signature(signature) => Ok(signature),
            Heard::Ready(_) => Err(HsmFault::new(FaultKind::FrameUnexpected, "ready a second time")),
        }
    }
}

fn start_question<'a>(settings: &'a HsmSettings, pin: &'a Pin) -> Result<Start<'a>, HsmFault> {
    let module = settings.module.to_str().ok_or_else(|| {
        HsmFault::new(FaultKind::ModuleMissing, format!("`{}` is not UTF-8", settings.module.display()))
    })?;
    Ok(Start {
        parent: std::process::id(),
        module,
        slot_label: &settings.slot_label,
        slot_serial: settings.slot_serial.as_deref(),
        key_id: &settings.key_id,
        pin: pin.bytes(),
        allow_simulator: settings.allow_simulator,
    })
}

/// What the listening thread passes on.
enum Heard {
    Ready(HsmIdentity),
    Signature([u8; 64]),
}

/// The socket, the thread that listens at it, and what both know of the child.
struct Link {
    questions: FrameWriter<UnixStream>,
    answers: Receiver<Heard>,
    shared: Arc<Shared>,
}

impl Link {
    fn open(settings: &HsmSettings, on_loss: OnLoss) -> Result<Self, HsmFault> {
        let unstarted = |error: std::io::Error| HsmFault::new(FaultKind::SignerUnstarted, error.to_string());
        let (ours, theirs) = UnixStream::pair().map_err(unstarted)?;
        ours.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(unstarted)?;
        let heard_at = ours.try_clone().map_err(unstarted)?;
        let command = signer_command(settings, theirs);
        let (tell, answers) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let listener = Listener { shared: Arc::clone(&shared), tell, on_loss };
        thread::Builder::new()
            .name("hsm-listener".to_owned())
            .spawn(move || listener.run(command, heard_at))
            .map_err(unstarted)?;
        Ok(Self { questions: FrameWriter::new(ours), answers, shared })
    }

    fn wait(&self, deadline: Duration) -> Result<Heard, HsmFault> {
        match self.answers.recv_timeout(deadline) {
            Ok(heard) => Ok(heard),
            Err(RecvTimeoutError::Timeout) => {
                self.shared.awaited.store(NONE, Ordering::SeqCst);
                let waited = format!("waited {} ms", deadline.as_millis());
                Err(HsmFault::new(FaultKind::DeadlineMissed, waited))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.shared.known_fault()),
        }
    }

    fn write_fault(&self, error: &FrameError) -> HsmFault {
        match error {
            FrameError::TooLong(_) | FrameError::DoesNotFit => {
                HsmFault::new(FaultKind::TextTooLong, error.to_string())
            }
            FrameError::Socket(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                HsmFault::new(FaultKind::DeadlineMissed, "its socket is full")
            }
            FrameError::Gone | FrameError::Socket(_) => self.shared.known_fault(),
        }
    }

    /// Ends it without waiting: the listener sees the end of the socket, kills again and reaps.
    fn end(&self, fault: HsmFault) {
        let _ = self.shared.fault.set(fault);
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.kill();
        let _ = self.questions.sink().shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end(HsmFault::new(FaultKind::SignerLost, "dropped by the appliance"));
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Link").field("shared", &self.shared).finish_non_exhaustive()
    }
}

fn signer_command(settings: &HsmSettings, socket: UnixStream) -> Command {
    let program = settings.signer_program.as_deref().unwrap_or_else(|| Path::new(OWN_PROGRAM));
    let mut command = Command::new(program);
    command
        .arg("signer")
        .env_clear()
        .envs(&settings.environment)
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

/// What the owner and the listener both see.
#[derive(Debug, Default)]
struct Shared {
    /// The sequence number whose answer is due. Taken by whoever comes first, the answer or the deadline.
    awaited: AtomicU64,
    /// The first fault.
    fault: OnceLock<HsmFault>,
    /// The owner has no more use for the child.
    ended: AtomicBool,
    /// Set once it runs. Locked by the listener while it reaps, which is why the owner only tries.
    child: OnceLock<Mutex<Child>>,
}

impl Shared {
    /// Whoever holds the lock is killing it already.
    fn kill(&self) {
        if let Some(Ok(mut child)) = self.child.get().map(Mutex::try_lock) {
            let _ = child.kill();
        }
    }

    fn known_fault(&self) -> HsmFault {
        self.fault.get().cloned().unwrap_or_else(|| HsmFault::new(FaultKind::SignerLost, ""))
    }
}

/// The thread's own part.
struct Listener {
    shared: Arc<Shared>,
    tell: SyncSender<Heard>,
    on_loss: OnLoss,
}

impl Listener {
    fn run(self, mut command: Command, socket: UnixStream) {
        let spawned = command.spawn();
        // The child's end of the socket closes here, or the end of the child would not be the end of the file.
        drop(command);
        match spawned {
            Ok(child) => {
                self.adopt(child);
                let (fault, was_ready) = self.listen(socket);
                self.lose(fault, was_ready);
            }
            Err(error) => self.lose(HsmFault::new(FaultKind::SignerUnstarted, error.to_string()), false),
        }
        let Self { shared, tell, on_loss: _ } = self;
        // Waiters wake before the child is reaped: that may take long when the kernel itself is stuck in the HSM's driver.
        drop(tell);
        reap(&shared);
    }

    fn adopt(&self, child: Child) {
        let _ = self.shared.child.set(Mutex::new(child));
        if self.shared.ended.load(Ordering::SeqCst) {
            self.shared.kill();
        }
    }

    /// Passes answers on until the first fault. The boundary closes before the waiter wakes.
    fn lose(&self, fault: HsmFault, was_ready: bool) {
        let first = self.shared.fault.set(fault.clone()).is_ok();
        if first && was_ready && !self.shared.ended.load(Ordering::SeqCst) {
            (self.on_loss)(fault);
        }
    }

    fn listen(&self, socket: UnixStream) -> (HsmFault, bool) {
        let mut frames = FrameReader::new(socket);
        let mut was_ready = false;
        loop {
            match self.hear(&mut frames, was_ready) {
                Ok(heard) => {
                    was_ready = true;
                    if self.tell.try_send(heard).is_err() {
                        return (unexpected("an answer that nobody takes"), was_ready);
                    }
                }
                Err(fault) => return (fault, was_ready),
            }
        }
    }

    fn hear(&self, frames: &mut FrameReader<UnixStream>, was_ready: bool) -> Result<Heard, HsmFault> {
        let bytes = frames.next().map_err(|error| match error {
            FrameError::Gone => HsmFault::new(FaultKind::SignerLost, "its socket closed"),
            FrameError::Socket(error) => HsmFault::new(FaultKind::SignerLost, error.to_string()),
            FrameError::TooLong(_) | FrameError::DoesNotFit => unexpected(&error.to_string()),
        })?;
        match codec::parse(bytes).map_err(|error| unexpected(&error.to_string()))? {
            Answer::Ready(identity) if !was_ready => Ok(Heard::Ready(identity)),
            Answer::Ready(_) => Err(unexpected("ready a second time")),
            Answer::Fault { kind, detail } => Err(HsmFault::new(kind, detail)),
            Answer::Signature { sequence, signature } => {
                let due = self.shared.awaited.swap(NONE, Ordering::SeqCst);
                if due == NONE || sequence != due {
                    return Err(unexpected(&format!("signature {sequence} when {due} was due")));
                }
                let malformed =
                    |_| HsmFault::new(FaultKind::SignatureMalformed, format!("{} bytes", signature.len()));
                signature.try_into().map(Heard::Signature).map_err(malformed)
            }
        }
    }
}

fn unexpected(what: &str) -> HsmFault {
    HsmFault::new(FaultKind::FrameUnexpected, what)
}

/// Makes sure that it ends, and takes its exit status from the kernel.
fn reap(shared: &Shared) {
    let Some(Ok(mut child)) = shared.child.get().map(Mutex::lock) else { return };
    let _ = child.kill();
    match child.wait() {
        Ok(status) => tracing::debug!(%status, "signer ended"),
        Err(error) => tracing::warn!(%error, "signer could not be reaped"),
    }
}
