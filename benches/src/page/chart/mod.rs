//! Two kinds of picture: lines over logarithmic axes, and bars that lie along a linear one.

mod bars;
mod lines;

pub(super) use bars::{Bar, Bars, Piece};
pub(super) use lines::{Lines, Point, Series};

/// Width of a picture, in its own units; a phone shows about two thirds of it.
const WIDTH: f64 = 560.0;

/// The least and the most; none of none.
fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |extent, value| {
        let (least, most) = extent.unwrap_or((value, value));
        Some((value.min(least), value.max(most)))
    })
}
