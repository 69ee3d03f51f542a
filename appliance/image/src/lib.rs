//! Images as bytes: what the evaluator reads, to be kept in a file and read where there is no Cedar.
//!
//! The rule it keeps: one image, one encoding. Rows are of fixed width and little-endian, a count is compared with the
//! bytes that are left before memory is set aside for it, and whatever is not exactly a row is refused. Reading tells
//! that the bytes are tables; that the tables are sound, only the evaluator's [`Verified`](assent_evaluator::Verified)
//! tells; who made them, only a signature.
//!
//! The layout is the order of the fields of [`Image`](assent_evaluator::Image) and
//! [`Snapshot`](assent_evaluator::Snapshot): see `tables.rs`.

mod cursor;
mod rows;
mod tables;

pub use cursor::FormatError;
pub use tables::{MAX_IMAGE_BYTES, OwnedImage, OwnedSnapshot, Stored, digest, image_bytes, snapshot_bytes};
