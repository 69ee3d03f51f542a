//! Bars that lie along a linear axis.

use std::fmt::Write as _;

use super::super::text::{escaped, number, round_number};
use super::{WIDTH, extent};

/// The height of a row and of the bar in it, what is left above the first for a bound's words, where bars begin, and what is left for the
/// value behind the longest.
const ROW: f64 = 28.0;
const BAR: f64 = 18.0;
const HEAD: f64 = 22.0;
const BARS_LEFT: f64 = 150.0;
const BARS_RIGHT: f64 = WIDTH - 84.0;

/// A bar: pieces one behind the other, each with its colour and what it says.
pub(in crate::page) struct Bar {
    pub(in crate::page) name: String,
    pub(in crate::page) pieces: Vec<Piece>,
}

pub(in crate::page) struct Piece {
    pub(in crate::page) name: String,
    pub(in crate::page) length: f64,
    /// The name of a colour of the page.
    pub(in crate::page) colour: &'static str,
}

impl Bar {
    /// A bar of one piece.
    pub(in crate::page) fn plain(name: &str, length: f64, colour: &'static str) -> Self {
        Self { name: name.to_owned(), pieces: vec![Piece { name: name.to_owned(), length, colour }] }
    }

    fn length(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }
}

/// Bars along one axis from zero.
pub(in crate::page) struct Bars<'a> {
    pub(in crate::page) label: &'a str,
    pub(in crate::page) unit: &'a str,
    pub(in crate::page) bars: Vec<Bar>,
    /// What is asked, as a line across them: in words, and how far along.
    pub(in crate::page) bound: Option<(String, f64)>,
}

impl Bars<'_> {
    /// Draws them; nothing where there are none.
    pub(in crate::page) fn draw(&self, page: &mut String) {
        let Some((_, most)) = extent(self.bars.iter().map(Bar::length)) else { return };
        let most = self.bound.iter().map(|(_, bound)| *bound).fold(most, f64::max);
        if !most.is_finite() || most <= 0.0 {
            return;
        }
        let scale = (BARS_RIGHT - BARS_LEFT) / most;
        let begin = if self.bound.is_some() { HEAD } else { 0.0 };
        let end = self.bars.iter().fold(begin, |end, _| end + ROW);
        let _ = writeln!(
            page,
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
            end + 26.0,
            escaped(self.label)
        );
        self.marks(page, most, (begin, end));
        // Before the bars, so that it does not strike out a value that stands there.
        if let Some((text, bound)) = &self.bound {
            let at = bound.mul_add(scale, BARS_LEFT);
            let text = escaped(text);
            let _ = writeln!(
                page,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{begin}\" y2=\"{:.0}\" stroke=\"var(--ink)\" stroke-dasharray=\"5 4\">\
                 <title>{text}</title></line><text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{text}</text>",
                end + 4.0,
                HEAD - 6.0
            );
        }
        let mut top = begin;
        for bar in &self.bars {
            draw_bar(page, bar, (top, scale), self.unit);
            top += ROW;
        }
        page.push_str("</svg>\n");
    }

    /// The axis, and its unit.
    fn marks(&self, page: &mut String, most: f64, (begin, end): (f64, f64)) {
        let (step, scale) = (step(most), (BARS_RIGHT - BARS_LEFT) / most);
        for mark in
            std::iter::successors(Some(0.0), |mark| Some(mark + step).filter(|next| *next <= most * 1.001))
        {
            let at = mark.mul_add(scale, BARS_LEFT);
            let _ = writeln!(
                page,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{begin}\" y2=\"{:.0}\" stroke=\"var(--line)\"/>\
                 <text class=\"soft\" x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
                end + 4.0,
                end + 19.0,
                round_number(mark)
            );
        }
        let _ = writeln!(
            page,
            "<text class=\"soft\" x=\"{WIDTH}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            end + 19.0,
            escaped(self.unit)
        );
    }
}

fn draw_bar(page: &mut String, bar: &Bar, (top, scale): (f64, f64), unit: &str) {
    let text_y = top + ROW / 2.0 + 4.5;
    let mut x = BARS_LEFT;
    for piece in &bar.pieces {
        let _ = writeln!(
            page,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"var(--{})\"><title>{}: {} {}</title></rect>",
            top + (ROW - BAR) / 2.0,
            (piece.length * scale).max(1.0),
            piece.colour,
            escaped(&piece.name),
            number(piece.length),
            escaped(unit)
        );
        x += piece.length * scale;
    }
    let _ = writeln!(
        page,
        "<text x=\"{:.0}\" y=\"{text_y:.1}\" text-anchor=\"end\">{}</text><text x=\"{:.1}\" y=\"{text_y:.1}\">{} {}</text>",
        BARS_LEFT - 8.0,
        escaped(&bar.name),
        x + 6.0,
        number(bar.length()),
        escaped(unit)
    );
}

/// From mark to mark of an axis that ends there: 1, 2 or 5 times a power of ten, so that there are three to seven of them.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 3.0).log10().floor());
    match most / 3.0 / power {
        part if part < 2.0 => power,
        part if part < 5.0 => power * 2.0,
        _ => power * 5.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lengths: &[f64], bound: f64) -> String {
        let mut page = String::new();
        let bars = lengths.iter().map(|length| Bar::plain("it", *length, "one")).collect();
        Bars { label: "", unit: "MB", bars, bound: Some(("at most".to_owned(), bound)) }.draw(&mut page);
        page
    }

    #[test]
    fn bounds_are_drawn_beside_bars_only_and_lie_within() {
        assert_eq!(drawn(&[], 5.0), "");
        for bound in [1.0, 5.0, 900.0] {
            let page = drawn(&[100.0, 3.0], bound);
            assert_eq!(page.matches("<rect").count(), 2);
            let (_, line) =
                page.split_once("<line x1=\"").filter(|_| page.contains("<title>at most</title>")).unwrap();
            assert!(!line.is_empty() && !page.contains("NaN"), "{page}");
            let bound_at = page.split("stroke-dasharray").next().unwrap().rsplit("x1=\"").next().unwrap();
            let bound_at: f64 = bound_at.split('"').next().unwrap().parse().unwrap();
            assert!((BARS_LEFT..=BARS_RIGHT + 0.1).contains(&bound_at), "{bound_at}");
        }
    }

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(
            [1.0, 3.0, 7.0, 100.0, 5400.0].map(|most| (step(most) * 1e6).round() / 1e6),
            [0.2, 1.0, 2.0, 20.0, 1000.0]
        );
        for most in (1..=1000).map(f64::from) {
            assert!((3.0..=7.0).contains(&(most / step(most)).floor()), "{most}");
        }
    }
}
