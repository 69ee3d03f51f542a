//! The control socket: how commands on this machine ask a running appliance.
//!
//! A Unix socket in the data folder, for its owner only. One line of JSON asks, one line answers. It shows; it does not
//! allow anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::limits::{CONTROL_DEADLINE, MAX_CONTROL_BYTES};
use crate::serving::status::{Status, StatusSource};

/// The socket's name in the data folder.
pub const SOCKET: &str = "control.sock";

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// How the appliance is.
    Status,
}

/// Why a running appliance could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("no appliance answers at {}; start one with `assent serve`", path.display())]
    Silent {
        /// Where it was looked for.
        path: PathBuf,
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

/// Makes the socket. One that a killed process left behind is replaced: the log's lock has shown that no other runs.
///
/// # Errors
/// [`ControlError::Listen`].
pub fn listen(data: &Path) -> Result<UnixListener, ControlError> {
    let path = data.join(SOCKET);
    let failed = |source| ControlError::Listen { path: path.clone(), source };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, owner_only).map_err(failed)?;
    Ok(listener)
}

/// Answers whoever asks, until the task is dropped.
pub async fn serve(listener: UnixListener, status: Arc<StatusSource>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others give some back.
            tokio::time::sleep(CONTROL_DEADLINE).await;
            continue;
        };
        let status = Arc::clone(&status);
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CONTROL_DEADLINE, answer(stream, &status)).await;
        });
    }
}

async fn answer(mut stream: UnixStream, status: &StatusSource) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_CONTROL_BYTES)).read_line(&mut line).await?;
    let Ok(question) = serde_json::from_str::<Question>(&line) else {
        return write.write_all(b"{\"error\":\"not a question\"}\n").await;
    };
    let Question::Status = question;
    let mut reply = serde_json::to_vec(&status.read())?;
    reply.push(b'\n');
    write.write_all(&reply).await
}

/// Asks the appliance whose data folder this is.
///
/// # Errors
/// [`ControlError`].
pub fn ask_status(data: &Path) -> Result<Status, ControlError> {
    let path = data.join(SOCKET);
    let reply = exchange(&path).map_err(|source| ControlError::Silent { path, source })?;
    serde_json::from_str(&reply).map_err(ControlError::Answer)
}

fn exchange(path: &Path) -> std::io::Result<String> {
    use std::io::{BufRead as _, Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(CONTROL_DEADLINE))?;
    let mut question = serde_json::to_vec(&Question::Status)?;
    question.push(b'\n');
    stream.write_all(&question)?;
    let mut reply = String::new();
    std::io::BufReader::new(stream.take(MAX_CONTROL_BYTES)).read_line(&mut reply)?;
    Ok(reply)
}
