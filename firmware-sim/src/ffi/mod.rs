//! The C ABI: pointers in, CK_RV out.
//!
//! The only unsafe code. It checks what can be checked (null, lengths, counts), copies in what the core keeps, copies out what
//! the core gives, and decides nothing else. It trusts what PKCS#11 makes the caller promise: that a pointer which is not null
//! is good for the length that comes with it. No panic crosses it. Pointers need not be aligned.
#![expect(unsafe_code, reason = "PKCS#11 is a C ABI: the caller's pointers are read and written here")]

mod general;
mod keys;
mod objects;
mod pointers;
mod real;
mod sessions;
mod signing;
mod slots;
mod table;
mod watched;

pub(crate) use real::Real;
