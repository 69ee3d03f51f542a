//! What people would use instead.

pub(crate) mod cerbos;
pub(crate) mod plain;
pub(crate) mod tokens;
