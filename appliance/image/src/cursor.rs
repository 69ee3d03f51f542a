//! The cursor over bytes, and what a row is.
//!
//! The rule it keeps: nothing is read beyond the end, nothing is set aside before it is known to be there, and nothing
//! may be left over.

/// Why bytes are not an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// They do not begin as an image of this version does.
    #[error("not an image of a version that is known here; compile the bundle again")]
    Header,
    /// They are more than an image may be.
    #[error("{size} bytes pass the limit of {limit} for an image")]
    TooLarge {
        /// How many there are.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// They end too early, or a count says more than is there.
    #[error("the image ends within its {table}")]
    Short {
        /// The table.
        table: &'static str,
    },
    /// A row is not one that can be written.
    #[error("row {row} of the image's {table} is not one")]
    Row {
        /// The table.
        table: &'static str,
        /// The row's place.
        row: usize,
    },
    /// Something follows the last table.
    #[error("{bytes} bytes follow the end of the image")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// A row of fixed width.
pub(crate) trait Row: Sized {
    /// Bytes of each.
    const BYTES: usize;

    /// Appends it.
    fn write(&self, to: &mut Vec<u8>);

    /// Reads it from exactly so many bytes, if they are what [`Self::write`] writes.
    fn read(from: &[u8]) -> Option<Self>;
}

/// Appends a table: its count, and its rows.
pub(crate) fn write_table<T: Row>(rows: &[T], to: &mut Vec<u8>) {
    write_length(rows.len(), to);
    for row in rows {
        row.write(to);
    }
}

/// Appends text: its length in bytes, and the bytes.
pub(crate) fn write_text(text: &str, to: &mut Vec<u8>) {
    write_length(text.len(), to);
    to.extend_from_slice(text.as_bytes());
}

/// A table has fewer rows than this can say: they would not fit into memory first.
fn write_length(length: usize, to: &mut Vec<u8>) {
    to.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Cursor<'b> {
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    /// Behind the header.
    pub(crate) fn new(bytes: &'b [u8], header: &[u8]) -> Result<Self, FormatError> {
        bytes.strip_prefix(header).map(|rest| Self { rest }).ok_or(FormatError::Header)
    }

    fn take(&mut self, bytes: usize, table: &'static str) -> Result<&'b [u8], FormatError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(FormatError::Short { table })?;
        self.rest = rest;
        Ok(taken)
    }

    fn length(&mut self, table: &'static str) -> Result<usize, FormatError> {
        let bytes = self.take(4, table)?.first_chunk().ok_or(FormatError::Short { table })?;
        usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| FormatError::Short { table })
    }

    /// The rows of a table.
    pub(crate) fn table<T: Row>(&mut self, table: &'static str) -> Result<Vec<T>, FormatError> {
        let count = self.length(table)?;
        let bytes = self.take(count.saturating_mul(T::BYTES), table)?;
        let rows = bytes.chunks_exact(T::BYTES).enumerate();
        rows.map(|(row, bytes)| T::read(bytes).ok_or(FormatError::Row { table, row })).collect()
    }

    /// Text.
    pub(crate) fn text(&mut self, table: &'static str) -> Result<String, FormatError> {
        let length = self.length(table)?;
        let bytes = self.take(length, table)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|error| FormatError::Row { table, row: error.valid_up_to() })?;
        Ok(text.to_owned())
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), FormatError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(FormatError::Trailing { bytes }),
        }
    }
}
