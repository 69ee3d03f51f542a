//! A manifest, as far as the rules read it: the entries of its sections, and the dependencies among them.
//!
//! It reads lines, since rules speak of comments and line numbers; what spans lines is of no interest to a rule.

/// One `key = value` of a section.
pub(crate) struct Entry<'a> {
    pub(crate) section: &'a str,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    pub(crate) has_comment: bool,
    pub(crate) line: usize,
}

/// A crate that another one names.
pub(crate) struct Dependency<'a> {
    pub(crate) name: &'a str,
    /// For tests, examples and benchmarks only.
    pub(crate) dev: bool,
    pub(crate) from_workspace: bool,
    pub(crate) line: usize,
}

pub(crate) fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut section = "";
    let mut found = Vec::new();
    for (line, raw) in (1..).zip(text.lines()) {
        let (stated, has_comment) = without_comment(raw);
        if let Some(header) = stated.strip_prefix('[').filter(|header| header.ends_with(']')) {
            section = header.trim_matches(['[', ']']);
        } else if let Some((key, value)) = stated.split_once('=').filter(|_| !stated.starts_with(['"', '{']))
        {
            found.push(Entry { section, key: key.trim(), value: value.trim(), has_comment, line });
        }
    }
    found
}

/// The dependencies of a crate, one a line. One with a section of its own comes out as none that the workspace knows.
pub(crate) fn dependencies(text: &str) -> Vec<Dependency<'_>> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of_crate = |entry: &Entry<'_>| entry.section.split('.').any(|part| sections.contains(&part));
    entries(text)
        .into_iter()
        .filter(of_crate)
        .map(|entry| {
            let (name, rest) = entry.key.split_once('.').unwrap_or((entry.key, entry.value));
            let from_workspace = rest == "workspace" || rest.contains("workspace = true");
            let dev = entry.section.contains("dev-dependencies");
            Dependency { name, dev, from_workspace, line: entry.line }
        })
        .collect()
}

/// What a line states, and whether a comment follows it.
fn without_comment(line: &str) -> (&str, bool) {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return (line.get(..at).unwrap_or(line).trim(), true),
            _ => {}
        }
    }
    (line.trim(), false)
}

#[test]
fn dependencies_are_read_in_every_form_that_the_house_uses() {
    let text = "[dependencies]\na.workspace = true # why\nb = { workspace = true, features = [\"x#y\"] }\n[dev-dependencies]\nc = \"1\"\n[lints]\nworkspace = true";
    let found: Vec<(&str, bool, bool, usize)> = dependencies(text)
        .iter()
        .map(|found| (found.name, found.dev, found.from_workspace, found.line))
        .collect();
    assert_eq!(found, [("a", false, true, 2), ("b", false, true, 3), ("c", true, false, 5)]);
}
