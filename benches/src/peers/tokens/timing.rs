//! How long verifications take, each of which must succeed.

use std::cell::RefCell;

use crate::measure::{nanoseconds, nanoseconds_in_turn};

/// How long a verification takes, in nanoseconds; each time it must succeed.
pub(super) fn checked<T, E: Into<anyhow::Error>>(
    what: &'static str,
    mut verification: impl FnMut() -> Result<T, E>,
) -> anyhow::Result<f64> {
    let failed = RefCell::new(None);
    let mut once = || noted(&failed, what, verification());
    // A first one by itself: what never succeeds need not be timed.
    let time = once().map(|_| nanoseconds(once)).unwrap_or_default();
    failed.into_inner().map_or(Ok(time), Err)
}

/// The same of two, timed in turn.
pub(super) fn in_turn<T, U, E: Into<anyhow::Error>, F: Into<anyhow::Error>>(
    (what, mut verification): (&'static str, impl FnMut() -> Result<T, E>),
    (other_what, mut other): (&'static str, impl FnMut() -> Result<U, F>),
) -> anyhow::Result<(f64, f64)> {
    let failed = RefCell::new(None);
    let mut once = || noted(&failed, what, verification());
    let mut other_once = || noted(&failed, other_what, other());
    let both = once().is_some() && other_once().is_some();
    let times = if both { nanoseconds_in_turn(once, other_once) } else { Default::default() };
    failed.into_inner().map_or(Ok(times), Err)
}

/// What succeeded; why it did not is kept.
fn noted<T, E: Into<anyhow::Error>>(
    failed: &RefCell<Option<anyhow::Error>>,
    what: &'static str,
    outcome: Result<T, E>,
) -> Option<T> {
    let failure = |why: E| failed.replace(Some(why.into().context(format!("{what} does not verify"))));
    outcome.map_err(failure).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_verify_is_an_error_and_no_figure() {
        let mut asked = 0;
        let failed = checked("it", || {
            asked += 1;
            Err::<(), _>(anyhow::anyhow!("no"))
        });
        assert_eq!((asked, failed.unwrap_err().to_string().as_str()), (1, "it does not verify"));
        let mut left = 3;
        let failed = checked("it", || {
            left -= i32::from(left > 0);
            if left > 0 { Ok(()) } else { Err(anyhow::anyhow!("no")) }
        });
        assert!(failed.is_err());
    }
}
