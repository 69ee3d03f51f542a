//! Two kinds of picture: lines over logarithmic axes, and bars that lie along a linear one.

use std::fmt::Write as _;

use super::text::{escaped, number, round_number};

/// Width of a picture, in its own units; a phone shows about two thirds of it.
const WIDTH: f64 = 560.0;

/// Of lines: heights, and what is left of and right of them.
const HEIGHT: f64 = 360.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = HEIGHT - 44.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = WIDTH - 160.0;
/// Labels at the right are at least so far from each other.
const GAP: f64 = 16.0;

/// Of bars: the height of a row and of the bar in it, where bars begin, and what is left for the value behind the longest.
const ROW: f64 = 28.0;
const BAR: f64 = 18.0;
const BARS_LEFT: f64 = 150.0;
const BARS_RIGHT: f64 = WIDTH - 84.0;

/// Points that a line joins.
pub(super) struct Series {
    pub(super) name: String,
    /// The name of a colour of the page.
    pub(super) colour: &'static str,
    pub(super) points: Vec<Point>,
}

pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    /// What it says, its value with it.
    pub(super) title: String,
}

/// Lines over two logarithmic axes.
pub(super) struct Lines<'a> {
    pub(super) label: &'a str,
    pub(super) x_axis: &'a str,
    pub(super) y_axis: &'a str,
    /// Marks of the x axis, in order.
    pub(super) marks: &'a [f64],
    pub(super) series: Vec<Series>,
    /// What to compare with, as lines across.
    pub(super) references: Vec<(String, f64)>,
}

/// A logarithmic axis: powers of ten, and where they are drawn.
struct Axis {
    from: f64,
    to: f64,
    begins: f64,
    ends: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        self.begins + (value.log10() - self.from) / (self.to - self.from) * (self.ends - self.begins)
    }
}

impl Lines<'_> {
    /// Draws them; nothing where no series has a point. A logarithm has no place for zero: such a figure is not drawn.
    pub(super) fn draw(mut self, page: &mut String) {
        let drawable = |value: f64| value.is_finite() && value > 0.0;
        for series in &mut self.series {
            series.points.retain(|point| drawable(point.x) && drawable(point.y));
        }
        self.series.retain(|series| !series.points.is_empty());
        self.references.retain(|(_, value)| drawable(*value));
        let Some((x, y)) = self.axes() else { return };
        let _ = writeln!(
            page,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escaped(self.label)
        );
        self.grid(page, &x, &y);
        let mut labels = Vec::new();
        for (name, value) in &self.references {
            let at = y.place(*value);
            let text = format!("{name} {}", number(*value));
            let _ = writeln!(
                page,
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"var(--soft)\" \
                 stroke-dasharray=\"5 4\"><title>{}</title></line>",
                escaped(&text)
            );
            labels.push(Label { at, wanted: at, colour: "soft", text });
        }
        for series in &self.series {
            draw_series(page, series, &x, &y);
            if let Some(last) = series.points.last() {
                let at = y.place(last.y);
                let text = format!("{} {}", series.name, number(last.y));
                labels.push(Label { at, wanted: at, colour: series.colour, text });
            }
        }
        draw_labels(page, labels);
        page.push_str("</svg>\n");
    }

    fn axes(&self) -> Option<(Axis, Axis)> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let xs = points.clone().map(|point| point.x).chain(self.marks.iter().copied());
        let references = self.references.iter().map(|(_, value)| *value);
        let (left, right) = extent(xs.map(f64::log10))?;
        // References alone are nothing to look at.
        points.clone().next()?;
        let (low, high) = extent(points.map(|point| point.y).chain(references).map(f64::log10))?;
        let (low, high) = (low.floor(), high.ceil());
        let x = Axis { from: left, to: right.max(left + 1.0), begins: LEFT + 10.0, ends: RIGHT - 10.0 };
        Some((x, Axis { from: low, to: high.max(low + 1.0), begins: BOTTOM, ends: TOP }))
    }

    fn grid(&self, page: &mut String, x: &Axis, y: &Axis) {
        for power in
            std::iter::successors(Some(y.from), |power| Some(power + 1.0).filter(|next| *next <= y.to))
        {
            let value = 10_f64.powf(power);
            let at = y.place(value);
            let _ = writeln!(
                page,
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"var(--line)\"/>\
                 <text class=\"soft\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                round_number(value)
            );
        }
        for mark in self.marks {
            let at = x.place(*mark);
            let _ = writeln!(
                page,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{BOTTOM}\" y2=\"{:.1}\" stroke=\"var(--soft)\"/>\
                 <text class=\"soft\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                BOTTOM + 4.0,
                BOTTOM + 19.0,
                round_number(*mark)
            );
        }
        let _ = writeln!(
            page,
            "<text class=\"soft\" x=\"4\" y=\"14\">{}</text><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{}</text>",
            escaped(self.y_axis),
            f64::midpoint(LEFT, RIGHT),
            HEIGHT - 6.0,
            escaped(self.x_axis)
        );
    }
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |extent, value| {
        let (least, most) = extent.unwrap_or((value, value));
        Some((value.min(least), value.max(most)))
    })
}

fn draw_series(page: &mut String, series: &Series, x: &Axis, y: &Axis) {
    let colour = series.colour;
    let places: Vec<String> = series
        .points
        .iter()
        .map(|point| format!("{:.1},{:.1}", x.place(point.x), y.place(point.y)))
        .collect();
    let _ = writeln!(
        page,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"var(--{colour})\" stroke-width=\"2\"/>",
        places.join(" ")
    );
    for point in &series.points {
        let _ = writeln!(
            page,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\" fill=\"var(--{colour})\"><title>{}</title></circle>",
            x.place(point.x),
            y.place(point.y),
            escaped(&point.title)
        );
    }
}

/// What stands at the right of a line: where, and where it would stand if it were alone.
struct Label {
    at: f64,
    wanted: f64,
    colour: &'static str,
    text: String,
}

/// Labels, moved apart where they would cover each other, each with a thin line to where it belongs.
fn draw_labels(page: &mut String, mut labels: Vec<Label>) {
    labels.sort_by(|one, other| one.wanted.total_cmp(&other.wanted));
    let mut least = TOP;
    for label in &mut labels {
        label.at = label.wanted.max(least);
        least = label.at + GAP;
    }
    let mut most = BOTTOM;
    for label in labels.iter_mut().rev() {
        label.at = label.at.min(most);
        most = label.at - GAP;
    }
    for Label { at, wanted, colour, text } in &labels {
        let _ = writeln!(
            page,
            "<polyline points=\"{RIGHT},{wanted:.1} {:.1},{at:.1} {:.1},{at:.1}\" fill=\"none\" stroke=\"var(--{colour})\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" style=\"fill: var(--{colour})\">{}</text>",
            RIGHT + 8.0,
            RIGHT + 12.0,
            RIGHT + 15.0,
            at + 4.0,
            escaped(text)
        );
    }
}

/// A bar: pieces one behind the other, each with its colour and what it says.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) pieces: Vec<Piece>,
}

pub(super) struct Piece {
    pub(super) name: String,
    pub(super) length: f64,
    /// The name of a colour of the page.
    pub(super) colour: &'static str,
}

impl Bar {
    /// A bar of one piece.
    pub(super) fn plain(name: &str, length: f64, colour: &'static str) -> Self {
        Self { name: name.to_owned(), pieces: vec![Piece { name: name.to_owned(), length, colour }] }
    }

    fn length(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }
}

/// Draws bars along one axis from zero; nothing where there are none.
pub(super) fn draw_bars(page: &mut String, label: &str, unit: &str, bars: &[Bar]) {
    let Some((_, most)) =
        extent(bars.iter().map(Bar::length)).filter(|(_, most)| most.is_finite() && *most > 0.0)
    else {
        return;
    };
    let scale = (BARS_RIGHT - BARS_LEFT) / most;
    let rows: f64 = bars.iter().map(|_| ROW).sum();
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
        rows + 26.0,
        escaped(label)
    );
    let step = step(most);
    for mark in
        std::iter::successors(Some(0.0), |mark| Some(mark + step).filter(|next| *next <= most * 1.001))
    {
        let at = mark.mul_add(scale, BARS_LEFT);
        let _ = writeln!(
            page,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{:.0}\" stroke=\"var(--line)\"/>\
             <text class=\"soft\" x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            rows + 4.0,
            rows + 19.0,
            round_number(mark)
        );
    }
    let _ = writeln!(
        page,
        "<text class=\"soft\" x=\"{WIDTH}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
        rows + 19.0,
        escaped(unit)
    );
    let mut top = 0.0;
    for bar in bars {
        draw_bar(page, bar, (top, scale), unit);
        top += ROW;
    }
    page.push_str("</svg>\n");
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

    fn lines(values: &[f64]) -> String {
        let point = |y: &f64| Point { x: 1.0, y: *y, title: format!("it says {y}") };
        let series = vec![Series {
            name: "one".to_owned(),
            colour: "one",
            points: values.iter().map(point).collect(),
        }];
        let mut page = String::new();
        let marks = [1.0, 10.0];
        Lines {
            label: "",
            x_axis: "",
            y_axis: "",
            marks: &marks,
            series,
            references: vec![("r".to_owned(), 5.0)],
        }
        .draw(&mut page);
        page
    }

    #[test]
    fn what_has_no_logarithm_is_not_drawn() {
        assert_eq!(lines(&[]), "");
        assert_eq!(lines(&[0.0, f64::NAN, f64::INFINITY]), "");
        let page = lines(&[100.0, 0.0]);
        assert_eq!(page.matches("<circle").count(), 1);
        assert!(page.contains("it says 100") && !page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn labels_stand_apart_and_within() {
        let label = |wanted| Label { at: wanted, wanted, colour: "one", text: String::new() };
        let mut page = String::new();
        draw_labels(&mut page, vec![label(BOTTOM), label(BOTTOM - 1.0), label(100.0), label(101.0)]);
        let mut places: Vec<f64> = page
            .split("<text ")
            .skip(1)
            .map(|text| text.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= GAP - 0.11), "{places:?}");
        assert!(*places.last().unwrap() <= BOTTOM + 4.0);
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
