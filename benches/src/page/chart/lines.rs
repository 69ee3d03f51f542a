//! Lines over two logarithmic axes.

use std::fmt::Write as _;

use super::super::text::{escaped, number, round_number};
use super::{WIDTH, extent};

/// Heights, and what is left of and right of the lines.
const HEIGHT: f64 = 360.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = HEIGHT - 44.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = WIDTH - 160.0;
/// Labels at the right are at least so far from each other.
const GAP: f64 = 16.0;

/// Points that a line joins.
pub(in crate::page) struct Series {
    pub(in crate::page) name: String,
    /// The name of a colour of the page.
    pub(in crate::page) colour: &'static str,
    pub(in crate::page) points: Vec<Point>,
}

pub(in crate::page) struct Point {
    pub(in crate::page) x: f64,
    pub(in crate::page) y: f64,
    /// What it says, its value with it.
    pub(in crate::page) title: String,
}

/// Lines over two logarithmic axes.
pub(in crate::page) struct Lines<'a> {
    pub(in crate::page) label: &'a str,
    pub(in crate::page) x_axis: &'a str,
    pub(in crate::page) y_axis: &'a str,
    /// Marks of the x axis, in order.
    pub(in crate::page) marks: &'a [f64],
    pub(in crate::page) series: Vec<Series>,
    /// What to compare with, as lines across.
    pub(in crate::page) references: Vec<(String, f64)>,
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
    pub(in crate::page) fn draw(mut self, page: &mut String) {
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
}
