//! What pages have in common: texts that stay texts, and colours for light and dark.

/// Colours, type and tables of every page.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --open: #2e7d32; --closed: #c62828; --allowed: #2e7d32; --refused: #ef6c00;
        --held: #1565c0; --ink: #1b1b1b; --soft: #666; --line: #ccc; --paper: #fff; --shade: #f3f3f3; }
@media (prefers-color-scheme: dark) { :root { --open: #66bb6a; --closed: #ef5350; --allowed: #66bb6a; --refused: #ffa726;
        --held: #64b5f6; --ink: #eee; --soft: #aaa; --line: #444; --paper: #161616; --shade: #222; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: var(--ink);
       background: var(--paper); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .6rem .15rem 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
.held { color: var(--open); } .failed { color: var(--closed); font-weight: 700; }
p.soft, figcaption { color: var(--soft); margin: .2rem 0; } figure { margin: .4rem 0; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
ul { margin: .3rem 0; padding-left: 1.2rem; } details summary { cursor: pointer; color: var(--soft); }
";

/// The text, as text of a page or value of an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        assert_eq!(escaped("<a href=\"x\">&amp;</a>"), "&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;");
    }
}
