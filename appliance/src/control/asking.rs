//! Asking: how a command of this machine reaches the appliance whose data folder it may read.

use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assent_proto::entry::DrillStage;
use serde::de::DeserializeOwned;

use super::{ControlError, Marked, Question, SOCKET, Story, WORD};
use crate::archive::{ArchiveAnswer, ArchiveOrder};
use crate::backup::BackupAnswer;
use crate::break_glass::{BreakGlassAnswer, BreakGlassOrder};
use crate::escalation::{EscalationAnswer, EscalationOrder};
use crate::limits::MAX_CONTROL_BYTES;
use crate::operators::SignatureFile;
use crate::passkeys::{OperatorAnswer, OperatorOrder};
use crate::policy::loader::Answer;
use crate::queue::approving::{ApprovalAnswer, ApprovalOrder};
use crate::queue::desk::{QueueAnswer, QueueOrder};
use crate::serving::status::Status;
use crate::token::rearm::Ordered;
use crate::token::{ErasureAnswer, ErasureOrder, KeyAnswer, KeyOrder};

/// Asks the appliance whose data folder this is how it is.
///
/// # Errors
/// [`ControlError`].
pub fn ask_status(data: &Path) -> Result<Status, ControlError> {
    ask(data, &Question::Status)
}

/// Which version the appliance of this data folder is of, also where its status is not understood.
///
/// # Errors
/// [`ControlError`].
pub fn ask_version(data: &Path) -> Result<String, ControlError> {
    /// What a status of any version says.
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: String,
    }
    let Versioned { version } = ask(data, &Question::Status)?;
    Ok(version)
}

/// Has the appliance whose data folder this is load a bundle.
///
/// # Errors
/// [`ControlError`].
pub fn ask_load(
    data: &Path,
    folder: Option<PathBuf>,
    downgrade: bool,
    signatures: Vec<SignatureFile>,
) -> Result<Answer, ControlError> {
    ask(data, &Question::Load { folder, downgrade, signatures })
}

/// Orders re-arm of the appliance whose data folder this is; without signatures, asks what is to be signed.
///
/// # Errors
/// [`ControlError`].
pub fn ask_rearm(data: &Path, revoke: bool, signatures: Vec<SignatureFile>) -> Result<Ordered, ControlError> {
    ask(data, &Question::Rearm { revoke, signatures })
}

/// Asks the appliance whose data folder this is when its boundary closed and opened.
///
/// # Errors
/// [`ControlError`].
pub fn ask_story(data: &Path) -> Result<Story, ControlError> {
    ask(data, &Question::Story)
}

/// Has the log of the appliance whose data folder this is say that a drill began or ended. False where drills are not to be
/// had there.
///
/// # Errors
/// [`ControlError`].
pub fn mark_drill(data: &Path, name: &str, stage: DrillStage) -> Result<bool, ControlError> {
    let marked: Marked = ask(data, &Question::Drill { name: name.to_owned(), stage })?;
    Ok(marked.marked)
}

/// Has the appliance whose data folder this is carry out an order about keys.
///
/// # Errors
/// [`ControlError`].
pub fn ask_keys(data: &Path, keys: KeyOrder) -> Result<KeyAnswer, ControlError> {
    ask(data, &Question::Keys { keys })
}

/// Has the appliance whose data folder this is erase what a principal asked.
///
/// # Errors
/// [`ControlError`].
pub fn ask_erasure(data: &Path, erase: ErasureOrder) -> Result<ErasureAnswer, ControlError> {
    ask(data, &Question::Erase { erase })
}

/// Has the appliance whose data folder this is move old volumes of its log to an archive.
///
/// # Errors
/// [`ControlError`].
pub fn ask_archive(data: &Path, archive: ArchiveOrder) -> Result<ArchiveAnswer, ControlError> {
    ask(data, &Question::Archive { archive })
}

/// Has the appliance whose data folder this is make a copy of its log.
///
/// # Errors
/// [`ControlError`].
pub fn ask_backup(data: &Path) -> Result<BackupAnswer, ControlError> {
    ask(data, &Question::Backup)
}

/// Has the appliance whose data folder this is list, test or retry escalations.
///
/// # Errors
/// [`ControlError`].
pub fn ask_escalation(data: &Path, escalation: EscalationOrder) -> Result<EscalationAnswer, ControlError> {
    ask(data, &Question::Escalation { escalation })
}

/// Has the appliance whose data folder this is list, show or withdraw what waits.
///
/// # Errors
/// [`ControlError`].
pub fn ask_queue(data: &Path, queue: QueueOrder) -> Result<QueueAnswer, ControlError> {
    ask(data, &Question::Queue { queue })
}

/// Has the appliance whose data folder this is list, show or answer what awaits approval.
///
/// # Errors
/// [`ControlError`].
pub fn ask_approval(data: &Path, approval: ApprovalOrder) -> Result<ApprovalAnswer, ControlError> {
    ask(data, &Question::Approval { approval })
}

/// Has the appliance whose data folder this is do something about charters, warrants or reviews.
///
/// # Errors
/// [`ControlError`].
pub fn ask_break_glass(data: &Path, break_glass: BreakGlassOrder) -> Result<BreakGlassAnswer, ControlError> {
    ask(data, &Question::BreakGlass { break_glass })
}

/// Has the appliance whose data folder this is invite an operator, list passkeys, or revoke some.
///
/// # Errors
/// [`ControlError`].
pub fn ask_operators(data: &Path, operators: OperatorOrder) -> Result<OperatorAnswer, ControlError> {
    ask(data, &Question::Operators { operators })
}

fn ask<T: DeserializeOwned>(data: &Path, question: &Question) -> Result<T, ControlError> {
    let reply = exchange(&data.join(SOCKET), question, question.deadline())?;
    serde_json::from_str(&reply).map_err(ControlError::Answer)
}

/// One line there, and one back. What fails before the question is whole is told apart from what fails behind it: an appliance
/// that has the question may act on it, whether it answers or not.
fn exchange(path: &Path, question: &Question, within: Duration) -> Result<String, ControlError> {
    let stream = put(path, question, within).map_err(|source| {
        let is_there = ![ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&source.kind());
        let path = path.to_owned();
        if is_there {
            ControlError::Unreached { path, source }
        } else {
            ControlError::Silent { path, source }
        }
    })?;
    let unanswered = |source: io::Error| {
        // What a socket says whose time is over is another word for it.
        let is_late = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&source.kind());
        let source = if is_late { ErrorKind::TimedOut.into() } else { source };
        ControlError::Unanswered { path: path.to_owned(), within, order: question.is_order(), source }
    };
    let mut reply = String::new();
    let read = io::BufReader::new(stream.take(MAX_CONTROL_BYTES)).read_line(&mut reply);
    match read.map_err(unanswered)? {
        0 => Err(unanswered(ErrorKind::UnexpectedEof.into())),
        _ => Ok(reply),
    }
}

/// Puts the question; gives where its answer is to be read.
fn put(path: &Path, question: &Question, within: Duration) -> io::Result<UnixStream> {
    let word = std::fs::read_to_string(path.with_file_name(WORD))?;
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(within))?;
    let mut line = format!("{word} {}", serde_json::to_string(question)?).into_bytes();
    line.push(b'\n');
    if line.len() as u64 > MAX_CONTROL_BYTES {
        return Err(ErrorKind::FileTooLarge.into());
    }
    stream.write_all(&line)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A data folder with a word, and its socket's place.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(WORD), "word").unwrap();
        let path = folder.path().join(SOCKET);
        (folder, path)
    }

    fn refused(path: &Path, question: &Question) -> ControlError {
        exchange(path, question, Duration::from_millis(20)).expect_err("nobody answers")
    }

    #[test]
    fn where_nobody_listens_nobody_has_the_order() {
        let (_folder, path) = place();
        assert!(matches!(refused(&path, &Question::Backup), ControlError::Silent { .. }));
        drop(UnixListener::bind(&path).unwrap());
        let told = refused(&path, &Question::Backup);
        assert!(matches!(told, ControlError::Silent { .. }), "{told:?}");
        assert!(told.to_string().ends_with("start one with `assent serve`"), "{told}");
    }

    #[test]
    fn an_order_that_was_taken_and_is_late_is_not_one_that_nobody_took() {
        let (_folder, path) = place();
        let _listener = UnixListener::bind(&path).unwrap();
        let erase = ErasureOrder { principal: "spiffe://shop.test/a".to_owned(), reason: "asked".to_owned() };
        let told = refused(&path, &Question::Erase { erase });
        assert!(matches!(told, ControlError::Unanswered { order: true, .. }), "{told:?}");
        let told = told.to_string();
        assert!(
            told.contains("took the order, and has not answered within") && told.contains("do not"),
            "{told}"
        );
        let told = refused(&path, &Question::Status).to_string();
        assert!(told.contains("has not answered within") && !told.contains("order"), "{told}");
    }

    #[test]
    fn an_appliance_that_hangs_up_may_have_done_what_it_was_told() {
        let (_folder, path) = place();
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (stream, _) = listener.accept().unwrap();
                io::BufReader::new(stream).read_line(&mut String::new()).unwrap();
            });
            let told = exchange(&path, &Question::Backup, Duration::from_secs(10)).unwrap_err();
            assert!(matches!(told, ControlError::Unanswered { order: true, .. }), "{told:?}");
            assert!(told.to_string().contains("took the order, and hung up"), "{told}");
        });
    }
}
