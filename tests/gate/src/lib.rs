//! The gate: what runs for every intent and token, built alone, without a standard library or an allocator, so that a
//! look at the library's symbols shows whether any of it can panic or allocate.
//!
//! Every exported function calls into the product with bytes that the compiler cannot know. What a build exports, its
//! features say; `check.rs` builds and looks. The library is linked into nothing and never runs.
//!
//! Another part comes as one file here, one feature in Cargo.toml and its name in `check.rs`.

#![no_std]

#[cfg(feature = "control-allocates")]
mod control_allocates;
#[cfg(feature = "control-panics")]
mod control_panics;
#[cfg(feature = "evaluator")]
mod evaluator;
#[cfg(feature = "proto")]
mod proto;
#[cfg(feature = "signature")]
mod signature;

/// Where a panic would go. The linker keeps it in every library; only calls to it are of interest.
#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The bytes at `data`, for the exports.
///
/// # Safety
/// `data` points to `length` bytes that live as long as `'a` and do not change.
#[cfg(any(feature = "evaluator", feature = "proto", feature = "signature"))]
unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: what the caller promises is what is asked for.
    unsafe { core::slice::from_raw_parts(data, length) }
}
