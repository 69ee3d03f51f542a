//! Work in parallel, results in order: rounds are examined by as many threads as there are, and taken one after the other.
//!
//! The rule it keeps: what is in the air is bounded, whatever the reader, the threads and the taker do. The caller's thread
//! reads and takes; with one thread it does the work too. A thread that panics takes the caller with it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Items in the air for each thread: one that is worked on, and one that waits, twice.
const AHEAD: usize = 4;

/// Does `work` on each item, on so many threads, and gives the results to `take` in the order of the items.
///
/// # Errors
/// The first item that cannot be read; what came before it was taken.
pub(super) fn in_order<I: Send, T: Send, E>(
    threads: usize,
    mut items: impl Iterator<Item = Result<I, E>>,
    work: impl Fn(I) -> T + Sync,
    mut take: impl FnMut(T),
) -> Result<(), E> {
    if threads < 2 {
        return alone(&mut items, &work, &mut take);
    }
    let (jobs, inbox) = sync_channel(threads * AHEAD);
    let (outbox, results) = sync_channel(threads * AHEAD);
    let inbox = Mutex::new(inbox);
    std::thread::scope(|scope| {
        let spawned = (0..threads).filter(|_| {
            let (inbox, outbox, work) = (&inbox, outbox.clone(), &work);
            let thread = std::thread::Builder::new().name("verifier".to_owned());
            thread.spawn_scoped(scope, move || serve(inbox, &outbox, work)).is_ok()
        });
        // Where the system gives no thread at all, the caller's own does the work.
        if spawned.count() == 0 {
            drop(jobs);
            return alone(&mut items, &work, &mut take);
        }
        drop(outbox);
        coordinate(threads * AHEAD, &mut items, jobs, &results, &mut take)
    })
}

/// The caller's thread does it all.
fn alone<I, T, E>(
    items: &mut impl Iterator<Item = Result<I, E>>,
    work: &impl Fn(I) -> T,
    take: &mut impl FnMut(T),
) -> Result<(), E> {
    items.try_for_each(|item| {
        take(work(item?));
        Ok(())
    })
}

/// One thread: takes an item, gives its result, until there are no more.
fn serve<I, T>(
    inbox: &Mutex<Receiver<(u64, I)>>,
    outbox: &SyncSender<(u64, std::thread::Result<T>)>,
    work: &impl Fn(I) -> T,
) {
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, item)) = job else { return };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(item)));
        if outbox.send((number, outcome)).is_err() {
            return;
        }
    }
}

fn coordinate<I, T, E>(
    ahead: usize,
    items: &mut impl Iterator<Item = Result<I, E>>,
    jobs: SyncSender<(u64, I)>,
    results: &Receiver<(u64, std::thread::Result<T>)>,
    take: &mut impl FnMut(T),
) -> Result<(), E> {
    let (mut sent, mut taken, mut early) = (0_u64, 0_u64, BTreeMap::new());
    let (mut jobs, mut failed) = (Some(jobs), None);
    loop {
        while jobs.is_some() && sent - taken < ahead as u64 {
            match items.next() {
                Some(Ok(item)) => {
                    // There is room for all that may be in the air, so this waits for nobody.
                    let _ = jobs.as_ref().map(|jobs| jobs.send((sent, item)));
                    sent += 1;
                }
                Some(Err(error)) => (failed, jobs) = (Some(error), None),
                None => jobs = None,
            }
        }
        if taken == sent {
            return failed.map_or(Ok(()), Err);
        }
        let result = results.recv();
        assert!(result.is_ok(), "threads end when there are no more jobs, and not before");
        let Ok((number, outcome)) = result else { return failed.map_or(Ok(()), Err) };
        early.insert(number, outcome.unwrap_or_else(|panic| resume_unwind(panic)));
        while let Some(next) = early.remove(&taken) {
            take(next);
            taken += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: u32) -> impl Iterator<Item = Result<u32, &'static str>> {
        (0..count).map(Ok)
    }

    #[test]
    fn results_come_in_order_whichever_thread_is_first() {
        for threads in [0, 1, 2, 5] {
            let mut taken = Vec::new();
            let slow_first = |item: u32| {
                // Every third takes long, so that others overtake it.
                let rounds = if item.is_multiple_of(3) { 20_000 } else { 10 };
                (0..rounds).fold(item, |sum, _| std::hint::black_box(sum))
            };
            in_order(threads, items(500), slow_first, |item| taken.push(item)).unwrap();
            assert_eq!(taken, (0..500).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn what_came_before_an_unreadable_item_is_taken() {
        for threads in [1, 3] {
            let mut taken = 0;
            let broken = items(10).chain([Err("broken")]).chain(items(10));
            let outcome = in_order(threads, broken, |item| item, |_| taken += 1);
            assert_eq!((outcome, taken), (Err("broken"), 10));
        }
    }

    #[test]
    fn a_panic_of_a_thread_is_the_callers() {
        let fall = |item: u32| if item == 7 { panic!("fell") } else { item };
        let fallen = catch_unwind(|| in_order(3, items(100), fall, |_| ()));
        assert!(fallen.is_err());
    }
}
