//! Control: setting, clearing and showing faults at run time.
//!
//! One process that has loaded the module serves the 0600 socket `faults.sock` in the simulator's folder: a line in, a line out.
//! When none does, whoever asks edits the file itself, and the next process that loads the module meets the fault. So an
//! operator need not know whether the module is loaded.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

use crate::configuration::{ConfigurationError, choose_pace};
use crate::faults::line::{LineError, parse};
use crate::faults::met::Faults;
use crate::faults::record::{self, Entry};
use crate::faults::status::status;
use crate::faults::strikes;
use crate::limits::{MAX_COMMAND_BYTES, MAX_FAULTS};

/// The socket's name in the simulator's folder.
pub const SOCKET: &str = "faults.sock";

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a process is asked whose end is on its way, and how long after it the next one is.
const ATTEMPTS: u32 = 2000;
const BEFORE_NEXT: Duration = Duration::from_millis(1);

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The folder, its files or its socket.
    #[error("cannot use `{0}`")]
    Folder(PathBuf, #[source] io::Error),
    /// Somebody serves the socket and does not answer: stopped, or at its end. Whether it did as it was told is not known.
    #[error("the process that has loaded the module does not answer")]
    NoAnswer(#[source] io::Error),
    /// The line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The settings file.
    #[error(transparent)]
    Pace(ConfigurationError),
    /// Neither inject, clear, status nor profile.
    #[error("`{0}` is no command; one of inject, clear, status, profile")]
    UnknownCommand(String),
    /// `clear` with something that is no number of a fault.
    #[error("no fault `{0}` is set")]
    NotSet(String),
    /// Too many at once.
    #[error("{MAX_FAULTS} faults are set; clear some first")]
    TooMany,
    /// Too long a line.
    #[error("a command has at most {MAX_COMMAND_BYTES} bytes")]
    TooLong,
    /// What the serving process said to it.
    #[error("{0}")]
    Refused(String),
}

/// Runs one command on the simulator in `folder`: `inject LINE`, `clear [ID]`, `status` or `profile NAME`. The answer is the new
/// fault's number, the number of faults cleared, a JSON object, or the pace that holds from the next load on.
///
/// A process that ends while it is asked, killed as a rule, is asked no more: the next one is, or the folder is edited.
///
/// # Errors
/// When the folder cannot be used, the command is none, or who serves the socket does not answer.
pub fn ask(folder: &Path, command: &str) -> Result<String, ControlError> {
    if command.len() >= MAX_COMMAND_BYTES {
        return Err(ControlError::TooLong);
    }
    let last_id = || record::read(folder).map(|record| record.last_id).unwrap_or(0);
    let before = last_id();
    for _ in 0..ATTEMPTS {
        let stream = match UnixStream::connect(folder.join(SOCKET)) {
            Ok(stream) => stream,
            Err(error) if is_unserved(&error) => return perform(folder, None, command),
            Err(error) => return Err(ControlError::Folder(folder.join(SOCKET), error)),
        };
        match exchange(stream, command) {
            Ok(answer) if !answer.is_empty() => return understood(&answer),
            Err(error) if !is_end(&error) => return Err(ControlError::NoAnswer(error)),
            // A fault may have been set before the end came, and is not to be set twice.
            Ok(_) | Err(_) if last_id() != before => break,
            Ok(_) | Err(_) => sleep(BEFORE_NEXT),
        }
    }
    Err(ControlError::NoAnswer(io::ErrorKind::TimedOut.into()))
}

fn understood(answer: &str) -> Result<String, ControlError> {
    match answer.split_once(' ').unwrap_or((answer, "")) {
        ("ok", answer) => Ok(answer.to_owned()),
        (_, reason) => Err(ControlError::Refused(reason.to_owned())),
    }
}

/// Whoever served the socket is no more.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Nobody listens there; or the path is too long for a socket, so nobody can.
fn is_unserved(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput
    )
}

fn exchange(mut stream: UnixStream, command: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

/// Tells who serves the socket, if somebody does, that the file changed.
pub(crate) fn tell_to_reload(folder: &Path) {
    if let Ok(stream) = UnixStream::connect(folder.join(SOCKET)) {
        // Nobody waits for it: who does not answer sees the file when it starts anew.
        drop(exchange(stream, "reload"));
    }
}

/// Does what a command says: with `faults` in the serving process, without in a process that found none.
fn perform(folder: &Path, faults: Option<&Faults>, command: &str) -> Result<String, ControlError> {
    let unusable = |error| ControlError::Folder(folder.to_owned(), error);
    let (verb, rest) = command.trim().split_once(char::is_whitespace).unwrap_or((command.trim(), ""));
    let done = match verb {
        "inject" => {
            parse(rest)?;
            let line = rest.split_whitespace().collect::<Vec<_>>().join(" ");
            let id = record::edit(folder, |record| inject(folder, record, line)).map_err(unusable)?;
            id?.to_string()
        }
        "clear" => record::edit(folder, |record| clear(record, rest.trim())).map_err(unusable)??.to_string(),
        "status" => status(folder, faults).map_err(unusable)?,
        "profile" => choose_pace(folder, rest.trim()).map_err(ControlError::Pace)?,
        "reload" => String::new(),
        other => return Err(ControlError::UnknownCommand(other.to_owned())),
    };
    if let Some(faults) = faults {
        faults.reload();
    }
    Ok(done)
}

fn inject(folder: &Path, record: &mut record::Record, fault: String) -> Result<u64, ControlError> {
    if record.faults.len() >= MAX_FAULTS {
        return Err(ControlError::TooMany);
    }
    // A number whose line in the file of strikes is a fault's that is still set or shown is left out.
    let taken: Vec<u64> =
        record.faults.iter().map(|entry| entry.id).chain(record.history.iter().map(|past| past.id)).collect();
    let is_free = |id: &u64| taken.iter().all(|other| strikes::line_of(*other) != strikes::line_of(*id));
    let id = (record.last_id.saturating_add(1)..).find(is_free).unwrap_or(u64::MAX);
    strikes::begin(folder, id).map_err(|error| ControlError::Folder(folder.to_owned(), error))?;
    record.last_id = id;
    record.faults.push(Entry { id, fault, until_ms: None });
    Ok(id)
}

fn clear(record: &mut record::Record, id: &str) -> Result<usize, ControlError> {
    let cleared = record.retire(|entry| id.is_empty() || entry.id.to_string() == id);
    if cleared == 0 && !id.is_empty() {
        return Err(ControlError::NotSet(id.to_owned()));
    }
    Ok(cleared)
}

/// The thread that serves the socket.
#[derive(Debug)]
pub(crate) struct Server {
    socket: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    faults: Arc<Faults>,
}

impl Server {
    /// Serves the socket of `folder`, unless another process does.
    pub(crate) fn start(folder: &Path, faults: Arc<Faults>) -> io::Result<Option<Self>> {
        let socket = folder.join(SOCKET);
        // Nothing is edited; the lock keeps two processes from replacing each other's socket.
        let Some(listener) = record::edit(folder, |_| listen(&socket))?? else { return Ok(None) };
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, theirs, folder) = (Arc::clone(&stop), Arc::clone(&faults), folder.to_owned());
        faults.serve(true);
        let thread = Builder::new().name("firmware-sim".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                // Who goes away in the middle of a command gets no answer; the next one does.
                drop(stream.and_then(|stream| answer(&stream, &folder, &theirs)));
            }
        });
        match thread {
            Ok(thread) => Ok(Some(Self { socket, stop, thread, faults })),
            Err(error) => {
                faults.serve(false);
                Err(error)
            }
        }
    }

    /// Ends the thread. It is woken through the socket; when that is gone it is left asleep, and harms nobody.
    pub(crate) fn stop(self) {
        self.faults.serve(false);
        self.stop.store(true, Ordering::Release);
        if UnixStream::connect(&self.socket).is_ok() {
            drop(self.thread.join());
            drop(fs::remove_file(&self.socket));
        }
    }
}

fn listen(socket: &Path) -> io::Result<Option<UnixListener>> {
    match UnixStream::connect(socket) {
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(socket)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(Some(listener))
}

fn answer(mut stream: &UnixStream, folder: &Path, faults: &Faults) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_COMMAND_BYTES as u64)).read_line(&mut line)?;
    let answer = match perform(folder, Some(faults), &line) {
        Ok(answer) => format!("ok {answer}\n"),
        Err(error) => format!("refused {error}\n"),
    };
    stream.write_all(answer.as_bytes())
}
