//! An allocator that counts, for the programs that test how often something allocates: whoever includes this file runs on it.
//!
//! Everything is handed to the system's allocator as it came. Two counts are kept: of each thread, so that a harness may do as it
//! likes beside what is measured, and of all threads together.

#![expect(unsafe_code, reason = "a global allocator cannot be written without")]
#![allow(dead_code, reason = "who includes this file wants one count or the other")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

static OF_ALL_THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OF_THIS_THREAD: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has allocated.
pub(crate) fn of_this_thread() -> u64 {
    OF_THIS_THREAD.with(Cell::get)
}

/// How often all threads of the process have.
pub(crate) fn of_all_threads() -> u64 {
    OF_ALL_THREADS.load(Ordering::Relaxed)
}

/// How often this thread allocates in `work`.
pub(crate) fn within(work: impl FnOnce()) -> u64 {
    let before = of_this_thread();
    work();
    of_this_thread() - before
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    OF_ALL_THREADS.fetch_add(1, Ordering::Relaxed);
    OF_THIS_THREAD.with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
