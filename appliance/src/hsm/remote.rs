//! The parent's end of the signer: one child, one question at a time, and a thread that watches.
//!
//! The child is dead to us after the first fault of any kind: no retry, no second chance, no PKCS#11 call on the way out.
//! Whoever asks reads the answer itself, which saves a wake-up; the watching thread hears of the end of the socket, of bytes
//! that nobody asked for, and of an answer that is not there in time. It also starts the child, because the kernel kills a
//! child when the *thread* that made it ends, and reaps it.
//!
//! This file does not verify signatures. (`appliance/DESIGN.md`, "Boundaries".)

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::frame::{Answer, FrameWriter, Question, Start};
use super::module::DataObjects;
use super::watch::{OnLoss, Quiet, Shared, Watcher, frame_fault, may_start, read, unexpected};
use super::{Confinement, FaultKind, HsmFault, HsmIdentity, HsmSettings, Pin};

/// This process's own executable, and the same file even after an upgrade has replaced it on disk.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How much longer than the watching thread the owner waits: it is the second pair of eyes.
const OWN_GRACE: Duration = Duration::from_millis(2);
/// How long a write may wait. One question is out at a time and fits into the socket, so none does.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// What an HSM that need not keep data objects says to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InHsm<T> {
    /// It keeps them.
    Kept(T),
    /// It does not. This is what it said.
    Refused(String),
}

/// A signer that is logged in and ready, until its first fault.
#[derive(Debug)]
pub struct Signer {
    identity: HsmIdentity,
    link: Link,
    sequence: u64,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an answer that is not due is a fault, whatever it says")]
impl Signer {
    /// Starts a child and has it load the module, log in (once) and find the key.
    ///
    /// `on_loss` is called at most once, without delay and before the child is killed, when the child ends, says that it is
    /// faulty, says what nobody asked, or does not answer in time: by the watching thread or, when it waits at that moment, by
    /// the one in [`Self::sign`], which returns the same fault. It is not called for what only the owner can know: a failed start, a
    /// text that is too long, a kill, a drop.
    ///
    /// # Errors
    /// What went wrong; the child is killed.
    pub fn start(
        settings: &HsmSettings,
        pin: &Pin,
        deadline: Duration,
        on_loss: impl Fn(HsmFault) + Send + Sync + 'static,
    ) -> Result<Self, HsmFault> {
        let mut link = Link::open(settings, OnLoss(Box::new(on_loss)))?;
        let question = Question::Start(start_question(settings, pin)?);
        let answered = link.ask(&question, deadline, |answer| match answer {
            Answer::Ready(identity) => Ok(identity),
            answer => Err(answer.undue()),
        });
        link.questions.wipe();
        let identity = answered?;
        tell_confinement(settings, identity.confinement);
        link.shared.serve()?;
        Ok(Self { identity, link, sequence: 0 })
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
        self.sequence += 1;
        let asked = self.sequence;
        self.link.ask(&Question::Sign { sequence: asked, text }, deadline, |answer| match answer {
            Answer::Signature { sequence, signature } if sequence == asked => {
                let length = signature.len();
                let malformed = |_| HsmFault::new(FaultKind::SignatureMalformed, format!("{length} bytes"));
                signature.try_into().map_err(malformed)
            }
            Answer::Signature { sequence, .. } => {
                Err(unexpected(&format!("signature {sequence} when {asked} was due")))
            }
            answer => Err(answer.undue()),
        })
    }

    /// What the HSM keeps in data objects of this label. The caller decides what of it is to be believed.
    ///
    /// # Errors
    /// The first fault, then and at every later call. That it keeps no such objects is none.
    pub fn fence(&mut self, label: &str, deadline: Duration) -> Result<InHsm<DataObjects>, HsmFault> {
        if let Some(fault) = self.fault() {
            return Err(fault.clone());
        }
        self.link.ask(&Question::Fence { label }, deadline, |answer| match answer {
            Answer::Fence { count, notes } => {
                let values = notes.into_iter().map(<[u8]>::to_vec).collect();
                Ok(InHsm::Kept(DataObjects { count: usize::try_from(count).unwrap_or(usize::MAX), values }))
            }
            Answer::FenceRefused { why } => Ok(InHsm::Refused(why.to_owned())),
            answer => Err(answer.undue()),
        })
    }

    /// Has the HSM keep `note` in a data object of this label, in place of what it kept.
    ///
    /// # Errors
    /// As [`Self::fence`].
    pub fn keep_fence(
        &mut self,
        label: &str,
        note: &[u8],
        deadline: Duration,
    ) -> Result<InHsm<()>, HsmFault> {
        if let Some(fault) = self.fault() {
            return Err(fault.clone());
        }
        self.link.ask(&Question::KeepFence { label, note }, deadline, |answer| match answer {
            Answer::FenceKept => Ok(InHsm::Kept(())),
            Answer::FenceRefused { why } => Ok(InHsm::Refused(why.to_owned())),
            answer => Err(answer.undue()),
        })
    }

    /// The fault that ended it.
    #[must_use]
    pub fn fault(&self) -> Option<&HsmFault> {
        self.link.shared.fault.get()
    }

    /// The child's process id while it serves, for traces and drills.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.fault().is_none().then_some(self.link.process)
    }

    /// Kills the child. Nothing waits for it here: the watching thread reaps it.
    pub fn kill(&mut self) {
        self.link.shared.retire(HsmFault::new(FaultKind::SignerLost, "killed by the appliance"));
    }
}

/// Where nothing is to be kept from it, nothing is amiss.
fn tell_confinement(settings: &HsmSettings, confinement: Confinement) {
    if settings.protected.is_empty() || confinement == Confinement::Full {
        tracing::debug!(?confinement, "signer is ready");
    } else {
        tracing::warn!(
            ?confinement,
            "the module can reach files of the appliance; a kernel with Landlock would keep it out"
        );
    }
}

fn start_question<'a>(settings: &'a HsmSettings, pin: &'a Pin) -> Result<Start<'a>, HsmFault> {
    let text = |path: &'a Path, otherwise| {
        let not_text = || HsmFault::new(otherwise, format!("`{}` is not UTF-8", path.display()));
        path.to_str().ok_or_else(not_text)
    };
    let protected = settings.protected.iter().map(|path| text(path, FaultKind::SignerUnstarted));
    Ok(Start {
        parent: std::process::id(),
        module: text(&settings.module, FaultKind::ModuleMissing)?,
        slot_label: &settings.slot_label,
        slot_serial: settings.slot_serial.as_deref(),
        key_id: &settings.key_id,
        pin: pin.bytes(),
        allow_simulator: settings.allow_simulator,
        protected: protected.collect::<Result<_, _>>()?,
    })
}

fn unwatched(errno: rustix::io::Errno) -> HsmFault {
    HsmFault::new(FaultKind::SignerLost, errno.to_string())
}

/// The owner's half: it asks, and waits for the answer.
#[derive(Debug)]
struct Link {
    questions: FrameWriter<UnixStream>,
    shared: Arc<Shared>,
    process: u32,
}

impl Link {
    fn open(settings: &HsmSettings, on_loss: OnLoss) -> Result<Self, HsmFault> {
        may_start()?;
        let unstarted = |error: io::Error| HsmFault::new(FaultKind::SignerUnstarted, error.to_string());
        let (ours, theirs) = UnixStream::pair().map_err(unstarted)?;
        ours.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(unstarted)?;
        let shared = Arc::new(Shared::new(&ours, on_loss).map_err(unstarted)?);
        let command = signer_command(settings, theirs);
        let watcher = Watcher { shared: Arc::clone(&shared) };
        thread::Builder::new()
            .name("hsm-watcher".to_owned())
            .spawn(move || watcher.run(command))
            .map_err(unstarted)?;
        let process = shared.begun.wait().ok_or_else(|| shared.known_fault())?;
        Ok(Self { questions: FrameWriter::new(ours), shared, process })
    }

    /// Sends a question and reads its answer. Any fault ends the child.
    fn ask<T>(
        &mut self,
        question: &Question<'_>,
        deadline: Duration,
        understand: impl FnOnce(Answer<'_>) -> Result<T, HsmFault>,
    ) -> Result<T, HsmFault> {
        let mut answers = self.shared.answers();
        let answered = self.shared.watch(Quiet::AnswerDue).and_then(|()| {
            self.shared.alarm.set(deadline).map_err(unwatched)?;
            self.questions.send(question).map_err(|error| frame_fault(&error))?;
            // The watching thread has the same deadline, and is the first to act on it.
            answers.source_mut().wait_at_most(deadline, OWN_GRACE);
            let answer = understand(read(&mut answers)?)?;
            let in_time = self.shared.alarm.stop().map_err(unwatched)?;
            in_time.then_some(answer).ok_or_else(|| HsmFault::new(FaultKind::DeadlineMissed, "it came late"))
        });
        let watched = answered.and_then(|answer| self.shared.watch(Quiet::NothingDue).map(|()| answer));
        // The fault is noted before the watcher may look for last words that were just read.
        let outcome = watched.map_err(|fault| self.shared.end(fault));
        drop(answers);
        outcome
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.retire(HsmFault::new(FaultKind::SignerLost, "dropped by the appliance"));
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
        .stderr(Stdio::inherit())
        // A Ctrl-C is for the appliance, which first finishes what it has taken in.
        .process_group(0);
    command
}
