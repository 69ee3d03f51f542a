//! The control socket: how commands on this machine ask a running appliance.
//!
//! A Unix socket in the data folder, for its owner only. One line of JSON asks, one line answers. Who asks, the system
//! tells and nobody claims; that it may read the data folder, a word from a file there shows. [`Question`] lists what can be
//! asked: how the appliance is, and what operators order. Orders go to the desks of their rooms and are decided there, a bundle
//! on the same path as every other. Nothing here allows an intent.

mod asking;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use assent_proto::entry::DrillStage;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::archive::{self, ArchiveOrder};
use crate::backup::BackupDesk;
use crate::break_glass::BreakGlassOrder;
use crate::escalation::EscalationOrder;
use crate::identity::write_durably;
use crate::limits::{
    CONTROL_DEADLINE, ESCALATION_TEST_DEADLINE, KEYS_DEADLINE, LOAD_DEADLINE, MAX_CONTROL_BYTES,
    MAX_DRILL_NAME_BYTES,
};
use crate::operators::SignatureFile;
use crate::passkeys::{OperatorAnswer, OperatorOrder, Passkeys};
use crate::policy::By;
use crate::policy::loader::{LoaderHandle, Order};
use crate::queue::approving::{ApprovalDesk, ApprovalOrder};
use crate::queue::desk::QueueOrder;
use crate::server::record::{Record, Released};
use crate::serving::status::StatusSource;
use crate::token::rearm::Orders;
use crate::token::{ErasureOrder, KeyOrder, Operation, Transition};

pub use asking::{
    ask_approval, ask_archive, ask_backup, ask_break_glass, ask_erasure, ask_escalation, ask_keys, ask_load,
    ask_operators, ask_queue, ask_rearm, ask_status, ask_story, ask_version, mark_drill,
};

/// The socket's name in the data folder.
pub const SOCKET: &str = "control.sock";
/// The name of the file, beside it, with the word that every question begins with.
pub const WORD: &str = "control.word";

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// How the appliance is.
    Status,
    /// Load a bundle.
    Load {
        /// From which folder on the appliance's machine; from its source where none is named.
        folder: Option<PathBuf>,
        /// Whether it may be older than the one in force.
        downgrade: bool,
        /// Signatures beside those in the folder.
        signatures: Vec<SignatureFile>,
    },
    /// Order re-arm; without signatures, tell what is to be signed.
    Rearm {
        /// Whether executors are to refuse tokens that were decided before.
        revoke: bool,
        /// Operators' signatures.
        signatures: Vec<SignatureFile>,
    },
    /// When the token boundary closed and opened, and when tokens left the socket.
    Story,
    /// Write into the log that a drill began or ended. Only where the HSM is a simulator.
    Drill {
        /// Which.
        name: String,
        /// Where it is.
        stage: DrillStage,
    },
    /// Announce, rotate to, or retire a key.
    Keys {
        /// Which of them, with which key.
        keys: KeyOrder,
    },
    /// Move old volumes of the log to an archive.
    Archive {
        /// Which, and where to.
        archive: ArchiveOrder,
    },
    /// Make a copy of the log for a backup.
    Backup,
    /// Erase what a principal asked.
    Erase {
        /// Whose, and why.
        erase: ErasureOrder,
    },
    /// List what waits, show a ticket, or withdraw it.
    Queue {
        /// Which of them.
        queue: QueueOrder,
    },
    /// List what awaits approval, show a hold, or answer it.
    Approval {
        /// Which of them.
        approval: ApprovalOrder,
    },
    /// Make, list or revoke a charter; prepare, activate or end a warrant; review a use.
    BreakGlass {
        /// Which of them.
        break_glass: BreakGlassOrder,
    },
    /// List what people are to know, try how they are told, or try again.
    Escalation {
        /// Which of them.
        escalation: EscalationOrder,
    },
    /// Invite an operator to enrol a passkey, list passkeys, or revoke some.
    Operators {
        /// Which of them.
        operators: OperatorOrder,
    },
}

/// When the token boundary closed and opened, and when tokens left the socket: what a drill holds against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// The last transitions, oldest first.
    pub transitions: Vec<Transition>,
    /// The socket's own record.
    pub released: Vec<Released>,
}

/// What became of a drill's mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// Whether the log will have it.
    pub marked: bool,
}

impl Question {
    /// How long an exchange over it may take.
    const fn deadline(&self) -> Duration {
        match self {
            Self::Status | Self::Rearm { .. } | Self::Story | Self::Drill { .. } => CONTROL_DEADLINE,
            Self::Load { .. } | Self::Archive { .. } | Self::Erase { .. } | Self::Backup => LOAD_DEADLINE,
            Self::Keys { .. } => KEYS_DEADLINE,
            Self::Escalation { escalation: EscalationOrder::Test { .. } } => ESCALATION_TEST_DEADLINE,
            Self::Escalation { .. } => CONTROL_DEADLINE,
            // A disk that is slow is waited for.
            Self::Operators { .. } => KEYS_DEADLINE,
            Self::Queue { .. } | Self::Approval { .. } | Self::BreakGlass { .. } => KEYS_DEADLINE,
        }
    }

    /// Whether it may change something.
    const fn is_order(&self) -> bool {
        !matches!(self, Self::Status | Self::Story)
    }
}

/// Who answers.
#[derive(Debug)]
pub struct Desk {
    /// How the appliance is.
    pub status: Arc<StatusSource>,
    /// What loads bundles.
    pub loader: LoaderHandle,
    /// What takes answers to holds.
    pub approvals: ApprovalDesk,
    /// What copies the log.
    pub backup: BackupDesk,
    /// What takes operators' orders.
    pub orders: Orders,
    /// Who operators at the console are; none where the configuration names nobody.
    pub passkeys: Option<Arc<Passkeys>>,
    /// What left the socket.
    pub record: Arc<Record>,
    /// What every question must begin with.
    pub word: String,
    /// Whether drills may be marked: the HSM may be a simulator.
    pub drills: bool,
}

impl Desk {
    fn story(&self) -> Story {
        let transitions = self.status.sealer.boundary().transitions();
        Story { transitions, released: self.record.read() }
    }

    /// Carries out an order about passkeys, on a thread that may wait for the disk; none: the appliance is stopping.
    async fn operators(&self, order: OperatorOrder, by: String) -> Option<OperatorAnswer> {
        let Some(passkeys) = self.passkeys.clone() else {
            let why =
                "no operators are named; add sections [[console.operator]] to the configuration, and restart";
            return Some(OperatorAnswer::Refused(why.to_owned()));
        };
        let now = self.status.clock.now();
        tokio::task::spawn_blocking(move || passkeys.carry_out(order, &by, now)).await.ok()
    }

    fn mark(&self, name: String, stage: DrillStage) -> Marked {
        let marked = self.drills && name.len() <= MAX_DRILL_NAME_BYTES;
        if marked {
            self.status.escalation.mark_drill(stage == DrillStage::Begun);
            self.status.sealer.record(Operation::Drill { name, stage });
        }
        Marked { marked }
    }
}

/// Why a running appliance could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens: nobody has the log open, unless another process has it.
    #[error("no appliance answers at {}; start one with `assent serve`", path.display())]
    Silent {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It was not asked: whether one runs, this does not tell.
    #[error("the appliance cannot be asked at {}; ask as the user that it runs as", path.display())]
    Unreached {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It has the question and gave no answer; an order may be carried out all the same.
    #[error("the appliance at {} {}", path.display(), without_answer(*order, *within, source))]
    Unanswered {
        /// Where it was asked.
        path: PathBuf,
        /// How long an answer was waited for.
        within: Duration,
        /// Whether it was told to do something.
        order: bool,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The answer is none that this version understands.
    #[error("the appliance's answer is not understood; is it of another version?")]
    Answer(#[source] serde_json::Error),
    /// The socket cannot be made.
    #[error("cannot listen at {}", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// What became of a question that has no answer, and what to do.
fn without_answer(order: bool, within: Duration, source: &std::io::Error) -> String {
    let late = format!("has not answered within {} s", within.as_secs());
    match (order, source.kind() == std::io::ErrorKind::TimedOut) {
        (true, is_late) => {
            let how = if is_late { late.as_str() } else { "hung up without an answer" };
            format!(
                "took the order, and {how}; it may still carry it out: do not give it again before you have looked at \
                 `assent status` and at what the order was to change"
            )
        }
        (false, true) => format!("{late}; it is busy, or its disk hangs: ask again in a moment"),
        (false, false) => "hung up without an answer; it is stopping: ask again in a moment".to_owned(),
    }
}

/// Makes the socket. One that a killed process left behind is replaced: the log's lock has shown that no other runs.
///
/// # Errors
/// [`ControlError::Listen`].
pub fn listen(data: &Path) -> Result<(UnixListener, String), ControlError> {
    let path = data.join(SOCKET);
    let failed = |source| ControlError::Listen { path: path.clone(), source };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let word = new_word().map_err(failed)?;
    write_durably(&data.join(WORD), word.as_bytes(), 0o600).map_err(failed)?;
    let listener = UnixListener::bind(&path).map_err(failed)?;
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, owner_only).map_err(failed)?;
    Ok((listener, word))
}

/// What every question begins with. The signer runs as the same user as the appliance and can reach its socket, but it
/// cannot open a file in the data folder.
fn new_word() -> std::io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    Ok(crate::log::hex::hex(&random))
}

/// Answers whoever asks, until the task is dropped.
pub async fn serve(listener: UnixListener, desk: Arc<Desk>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others give some back.
            tokio::time::sleep(CONTROL_DEADLINE).await;
            continue;
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move { answer(stream, &desk).await });
    }
}

async fn answer(mut stream: UnixStream, desk: &Desk) -> std::io::Result<()> {
    let by = operator(stream.peer_cred()?.uid());
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(MAX_CONTROL_BYTES));
    tokio::time::timeout(CONTROL_DEADLINE, read.read_line(&mut line)).await??;
    // One that does not know the word is told no more than one that asks nonsense.
    let question =
        line.split_once(' ').filter(|(word, _)| *word == desk.word).map_or("", |(_, question)| question);
    let reply = match serde_json::from_str::<Question>(question) {
        Ok(Question::Status) => serde_json::to_vec(&desk.status.read())?,
        Ok(Question::Load { folder, downgrade, signatures }) => {
            match desk.loader.load(Order { folder, downgrade, signatures, by }).await {
                Some(answer) => serde_json::to_vec(&answer)?,
                None => return Ok(()),
            }
        }
        Ok(Question::Rearm { revoke, signatures }) => {
            serde_json::to_vec(&desk.orders.order(revoke, &signatures))?
        }
        Ok(Question::Story) => serde_json::to_vec(&desk.story())?,
        Ok(Question::Drill { name, stage }) => serde_json::to_vec(&desk.mark(name, stage))?,
        Ok(Question::Keys { keys }) => match desk.status.sealer.order_keys(keys, by.to_string()).await {
            Some(answer) => serde_json::to_vec(&answer)?,
            None => return Ok(()),
        },
        Ok(Question::Archive { archive }) => {
            match archive::carry_out(&desk.status.sealer, archive, by.to_string()).await {
                Some(answer) => serde_json::to_vec(&answer)?,
                None => return Ok(()),
            }
        }
        Ok(Question::Backup) => match desk.backup.copy(by.to_string()).await {
            Some(answer) => serde_json::to_vec(&answer)?,
            None => return Ok(()),
        },
        Ok(Question::Erase { erase }) => match desk.status.sealer.erase(erase, by.to_string()).await {
            Some(answer) => serde_json::to_vec(&answer)?,
            None => return Ok(()),
        },
        Ok(Question::Queue { queue }) => match desk.status.queue.carry_out(queue, by.to_string()).await {
            Some(answer) => serde_json::to_vec(&answer)?,
            None => return Ok(()),
        },
        Ok(Question::Approval { approval }) => match desk.approvals.carry_out(approval).await {
            Some(answer) => serde_json::to_vec(&answer)?,
            None => return Ok(()),
        },
        Ok(Question::BreakGlass { break_glass: order }) => {
            match desk.status.break_glass.carry_out(order, by.to_string()).await {
                Some(answer) => serde_json::to_vec(&answer)?,
                None => return Ok(()),
            }
        }
        Ok(Question::Escalation { escalation }) => match desk.status.escalation.carry_out(escalation).await {
            Some(answer) => serde_json::to_vec(&answer)?,
            None => return Ok(()),
        },
        Ok(Question::Operators { operators }) => match desk.operators(operators, by.to_string()).await {
            Some(answer) => serde_json::to_vec(&answer)?,
            None => return Ok(()),
        },
        Err(_) => b"{\"error\":\"not a question\"}".to_vec(),
    };
    let line = [reply.as_slice(), b"\n"].concat();
    tokio::time::timeout(CONTROL_DEADLINE, write.write_all(&line)).await?
}

/// Characters of a user's name that log and status repeat.
const MAX_USER_CHARS: usize = 64;

/// The user of that number, by the name that the machine's own list has for it.
fn operator(uid: u32) -> By {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.chars().take(MAX_USER_CHARS).collect())
    });
    By::Operator { name, uid }
}
