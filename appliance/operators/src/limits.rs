//! The limits of operators' keys and signatures.

/// Operators' keys in one list: people who are asked, not a directory.
pub const MAX_OPERATORS: usize = 64;
/// Bytes of a file with operators' keys.
pub const MAX_OPERATORS_BYTES: u64 = 64 * 1024;
/// Signatures that are looked at over one statement: each may cost a verification.
pub const MAX_SIGNATURES: usize = 64;
/// Bytes of one operator's signature.
pub const MAX_SIGNATURE_BYTES: usize = 4 * 1024;
/// Bytes of what a browser says of an assertion: the challenge, the origin, and a few words. With the rest of it in base64 it fits a signature.
pub const MAX_CLIENT_DATA_BYTES: usize = 1024;
/// Bytes of the origin of a site: a scheme, a host name of at most 253, a port.
pub const MAX_ORIGIN_BYTES: usize = 280;

const _: () = assert!(
    (MAX_CLIENT_DATA_BYTES + MAX_ORIGIN_BYTES + 1024) / 3 * 4 < MAX_SIGNATURE_BYTES,
    "a passkey's signature, with key, namespace and armour, is no longer than a signature may be"
);
