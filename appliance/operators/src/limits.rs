//! The limits of operators' keys and signatures.

/// Operators' keys in one list: people who are asked, not a directory.
pub const MAX_OPERATORS: usize = 64;
/// Bytes of a file with operators' keys.
pub const MAX_OPERATORS_BYTES: u64 = 64 * 1024;
/// Signatures that are looked at over one statement: each may cost a verification.
pub const MAX_SIGNATURES: usize = 64;
/// Bytes of one operator's signature.
pub const MAX_SIGNATURE_BYTES: usize = 4 * 1024;
