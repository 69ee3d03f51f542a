//! Texts and numbers of the page, and how it looks.

/// Colours, type and tables; the colours `--one` to `--three` are those of what is drawn.
pub(super) const STYLE: &str = r#"
:root { color-scheme: light dark; --held: #2e7d32; --missed: #c62828; --one: #1565c0; --two: #ef6c00; --three: #6a1b9a;
        --peer: #74808c; --ink: #1b1b1b; --soft: #666; --line: #ddd; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --held: #66bb6a; --missed: #ef5350; --one: #64b5f6; --two: #ffa726;
        --three: #ce93d8; --peer: #9aa5b1; --ink: #eee; --soft: #aaa; --line: #3a3a3a; --paper: #161616; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: var(--ink);
       background: var(--paper); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 0 0 .3rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); } th.group { padding-top: .8rem; }
td.number, th.number { text-align: right; white-space: nowrap; }
.held { color: var(--held); } .missed { color: var(--missed); } td.soft { color: var(--soft); } td.held, td.missed { font-weight: 700; }
p.soft, figcaption { color: var(--soft); margin: .2rem 0; } figcaption span { white-space: nowrap; }
.plots { columns: 27rem 2; column-gap: 2rem; margin: 2rem 0; }
figure { margin: 0 0 2rem; break-inside: avoid; } figure table { font-size: .85rem; margin-top: .4rem; }
figure td { white-space: nowrap; }
.wide { overflow-x: auto; }
svg { display: block; width: 100%; height: auto; } svg text { font: 13px system-ui, sans-serif; fill: var(--ink);
       paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
svg text.soft { fill: var(--soft); } svg.margin { width: 9rem; min-width: 7rem; }
details { margin: 2rem 0; } summary { cursor: pointer; color: var(--soft); }
@media (max-width: 44rem) {
  .targets thead { display: none; }
  .targets tr { display: flex; flex-wrap: wrap; border-bottom: 1px solid var(--line); padding: .3rem 0; }
  .targets td { border: 0; padding: 0 .8rem 0 0; } .targets td:first-child, .targets td.bar { flex-basis: 100%; }
  .targets td.span::before { content: "("; } .targets td.span::after { content: ")"; } .targets td.span { color: var(--soft); }
  body { padding: 0 .6rem; } figure svg text { font-size: 15px; }
}
"#;

/// The text, as text of a page or value of an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A figure with three digits, or all before the point, in groups.
pub(crate) fn number(figure: f64) -> String {
    let decimals = match figure.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.099_95 => 3,
        size if size >= 0.009_995 => 4,
        _ => 5,
    };
    grouped(&format!("{figure:.decimals$}"))
}

/// The same, without zeros at its end: for bounds and for the marks of an axis.
pub(super) fn round_number(figure: f64) -> String {
    let text = number(figure);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn grouped(text: &str) -> String {
    let (whole, rest) = text.find('.').map_or((text, ""), |point| text.split_at(point));
    let mut grouped = String::with_capacity(text.len() + whole.len() / 3);
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if left % 3 == 0 && grouped.ends_with(|before: char| before.is_ascii_digit()) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        assert_eq!(escaped("<a href=\"x\">&amp;</a>"), "&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;");
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        let texts =
            [1_234_567.8, 12_345.0, 999.96, 123.4, 60.0, 1.5, 0.25, 1.0 / 15.0, 0.0, -1234.0].map(number);
        let read = ["1,234,568", "12,345", "1,000", "123", "60.0", "1.50", "0.250", "0.0667", "0", "-1,234"];
        assert_eq!(texts, read);
        assert_eq!([100.0, 60.0, 1.5, 0.4, 0.0].map(round_number), ["100", "60", "1.5", "0.4", "0"]);
    }
}
