//! Positive control: a box of unknown fate, which is a call to the allocator.

extern crate alloc;

use alloc::alloc::{GlobalAlloc, Layout};
use alloc::boxed::Box;

struct None;

// SAFETY: it gives out no memory at all.
unsafe impl GlobalAlloc for None {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: None = None;

/// Moves `value` to the heap.
#[unsafe(no_mangle)]
pub extern "C" fn gate_control_allocates(value: u64) -> *mut u64 {
    Box::into_raw(Box::new(value))
}
