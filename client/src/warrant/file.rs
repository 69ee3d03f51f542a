//! The warrant file: TOML, schema `assent.v1.warrant`. An origin and two proofs, each with its leaf; nothing else.

use std::fmt::Write as _;

use serde::Deserialize;

use super::WarrantError;
use crate::limits::MAX_WARRANT_FILE_BYTES;
use crate::quote::quoted;

/// What a warrant file says that it is.
pub const SCHEMA: &str = "assent.v1.warrant";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    schema: String,
    pub(super) origin: String,
    pub(super) charter: String,
    pub(super) warrant: String,
}

impl File {
    pub(super) fn parse(text: &str) -> Result<Self, WarrantError> {
        if text.len() > MAX_WARRANT_FILE_BYTES {
            return Err(WarrantError::TooLong { bytes: text.len() });
        }
        let file: Self = toml::from_str(text).map_err(|error| WarrantError::Toml(error.to_string()))?;
        if file.schema == SCHEMA { Ok(file) } else { Err(WarrantError::Schema(quoted(&file.schema))) }
    }
}

pub(super) fn render(origin: &str, charter: &str, warrant: &str) -> String {
    let mut text = format!(
        "# A break-glass warrant: for executors that are offline. It is no secret, and is believed for its signatures only.\n\
         schema = \"{SCHEMA}\"\n"
    );
    for (key, value) in [("origin", origin), ("charter", charter), ("warrant", warrant)] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {}", toml::Value::from(value));
    }
    text
}
