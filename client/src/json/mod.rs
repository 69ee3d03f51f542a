//! The JSON of intents, for files, command lines and HTTP; the wire has its own encoding.
//!
//! The one rule: what is not understood is refused. Unknown fields, repeated keys, floats, null in a context and escapes that
//! Cedar does not know are errors that name the field and the line. Context values are those of Cedar's entity JSON, with
//! explicit `__entity` and `__extn`.

mod read;
mod write;

use crate::intent::Intent;
use crate::quote::quoted;

/// Why a text is no intent, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct JsonError {
    /// Counted from 1; in JSON Lines the line of the file.
    pub line: usize,
    /// Counted from 1, in bytes.
    pub column: usize,
    /// What is wrong, beginning with the field.
    pub message: String,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let message = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
        Self { line, column, message: message.to_owned() }
    }
}

impl Intent {
    /// Reads an intent from its JSON.
    ///
    /// ```
    /// use assent_client::Intent;
    ///
    /// let intent = Intent::from_json(r##"{
    ///     "action": "Retail::Action::\"cancel_pending_order\"",
    ///     "resource": "Retail::Order::\"#W1\"",
    ///     "context": {"total": {"__extn": {"fn": "decimal", "arg": "12.50"}}},
    ///     "audience": "store-api",
    ///     "window": "5m"
    /// }"##)?;
    /// assert_eq!(intent.resource.id, "#W1");
    ///
    /// let error = Intent::from_json(r#"{"audience": "store-api", "colour": "red"}"#).unwrap_err();
    /// assert_eq!(error.to_string(), "line 1, column 34: `colour` is no field of an intent");
    /// # Ok::<(), assent_client::JsonError>(())
    /// ```
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        serde_json::from_str(text).map_err(JsonError::from)
    }

    /// Writes it as JSON, on one line.
    ///
    /// # Errors
    /// [`JsonError`] for a datetime that Cedar has no text for.
    pub fn to_json(&self) -> Result<String, JsonError> {
        serde_json::to_string(self).map_err(JsonError::from)
    }
}

/// Reads JSON Lines: an intent a line; empty lines are passed over.
pub fn parse_lines(text: &str) -> impl Iterator<Item = Result<Intent, JsonError>> {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered.map(|(before, line)| {
        Intent::from_json(line).map_err(|error| JsonError { line: before + 1, ..error })
    })
}

/// The text of a key that is none of ours.
fn unknown(key: &str) -> String {
    format!("`{}` is no field of an intent", quoted(key))
}
