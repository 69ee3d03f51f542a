//! Documents: what they name exists, and so does each of them that a doc comment names.
//!
//! It looks at files only. Whether a heading that a link names exists is left to the reader; whether `FORMAT.md` says what
//! the code says, refusals included, is a test of the formats crate.

use crate::hold;
use crate::source::{self, Line};
use crate::tree::{File, Tree};

/// The code spans of a line: what stands between backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The lines of a document that are text, not a block of code.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    })
}

/// Where the links of a line lead.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

#[test]
fn every_document_and_folder_that_the_readme_names_exists() {
    let tree = Tree::read();
    let readme = tree.ending("README.md").into_iter().find(|file| file.path == "README.md");
    let readme = readme.unwrap_or_else(|| panic!("README.md is missing"));
    let is_path =
        |span: &str| !span.contains([' ', ':', '*', '<']) && (span.contains('/') || span.ends_with(".md"));
    let (mut breaches, mut named) = (Vec::new(), 0);
    for (number, line) in prose(readme) {
        // A bare name lies in a folder that the same line names before it.
        let mut folders = vec![""];
        for span in spans(line).filter(|span| is_path(span)) {
            named += 1;
            if !folders.iter().any(|folder| tree.root.join(folder).join(span).exists()) {
                breaches.push(format!("README.md:{number}: `{span}` does not exist"));
            }
            if span.ends_with('/') {
                folders.push(span);
            }
        }
    }
    assert!(named > 0, "README.md names no file");
    hold("name what exists, or make what is named", &breaches);
}

#[test]
fn links_between_files_lead_somewhere() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    for file in tree.ending(".md") {
        for (number, line) in prose(file) {
            let local = targets(line).filter(|target| !target.contains(':') && !target.starts_with('#'));
            for target in local {
                let path = target.split('#').next().unwrap_or_default();
                if !tree.root.join(file.folder()).join(path).exists() {
                    breaches.push(format!("{}:{number}: {target}", file.path));
                }
            }
        }
    }
    hold("let the link lead to a file that exists", &breaches);
}

/// The documents that the doc comments of a source name, each with the number of its line.
fn cited(file: &File) -> Vec<(usize, String)> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || ['_', '-', '.', '/'].contains(&c);
    let is_document = |word: &&str| {
        let stem = word.strip_suffix(".md").unwrap_or_default();
        // Behind `https:` stands the address of somebody else's.
        !stem.is_empty() && !stem.ends_with('/') && !word.starts_with("//")
    };
    let mut cited = Vec::new();
    for Line { number, comment, .. } in source::lines(file) {
        let Some(text) = comment.strip_prefix("///").or_else(|| comment.strip_prefix("//!")) else {
            continue;
        };
        let words = text.split(|c: char| !is_of_path(c)).map(|word| word.trim_end_matches('.'));
        cited.extend(words.filter(is_document).map(|word| (number, word.to_owned())));
    }
    cited
}

#[test]
fn every_document_that_a_doc_comment_names_exists() {
    let tree = Tree::read();
    let documents = tree.ending(".md");
    // A bare name is that of a document in whatever folder.
    let is_named = |path: &str, name: &str| {
        path == name || (!name.contains('/') && path.rsplit('/').next() == Some(name))
    };
    let (mut breaches, mut named) = (Vec::new(), 0);
    for file in tree.ending(".rs") {
        for (number, name) in cited(file) {
            named += 1;
            if !documents.iter().any(|document| is_named(&document.path, &name)) {
                breaches.push(format!("{}:{number}: `{name}` does not exist", file.path));
            }
        }
    }
    assert!(named > 0, "no doc comment names a document");
    hold("name a document of this repository, by its path from the root, or none", &breaches);
}

/// The programs of the package that are on nobody's path, by where it puts them.
fn out_of_path(manifest: &File) -> Vec<(String, String)> {
    let assets = manifest.lines().filter(|(_, line)| line.contains("\"usr/lib/assent/\", \"755\""));
    let name =
        |line: &str| line.split('"').nth(1).and_then(|built| built.rsplit('/').next()).map(str::to_owned);
    let names = assets.filter_map(|(_, line)| name(line));
    names.map(|name| (format!("/usr/lib/assent/{name}"), name)).collect()
}

#[test]
fn the_runbook_names_what_is_on_no_path_by_where_the_package_puts_it() {
    let tree = Tree::read();
    let named = |path: &str| tree.ending(path).into_iter().find(|file| file.path == path);
    let manifest =
        named("appliance/Cargo.toml").unwrap_or_else(|| panic!("the package's manifest is missing"));
    let runbook = named("appliance/OPERATING.md").unwrap_or_else(|| panic!("the runbook is missing"));
    let programs = out_of_path(manifest);
    assert!(programs.iter().any(|(_, name)| name == "firmware-sim"), "the package has none: {programs:?}");
    let mut breaches = Vec::new();
    for (number, line) in runbook.lines() {
        for (path, name) in &programs {
            let is_bare = |typed: &str| typed.starts_with(&format!("{name} "));
            if spans(line).chain([line]).any(is_bare) {
                breaches.push(format!(
                    "OPERATING.md:{number}: `{name}` is {path} where the package is installed"
                ));
            }
        }
    }
    hold("write where the package puts it", &breaches);
}

#[test]
fn links_and_spans_are_found() {
    let line = "see [a](b.md#c), [d](https://e/f) and `g/h`, `i`";
    assert_eq!(targets(line).collect::<Vec<_>>(), ["b.md#c", "https://e/f"]);
    assert_eq!(spans(line).collect::<Vec<_>>(), ["g/h", "i"]);
}

#[test]
fn documents_are_found_in_doc_comments_and_nowhere_else() {
    let text = "//! `a.md`, and b/c-d.md.\n// e.md\nlet f = \"/// g.md\"; /// (h.md, \"I\"; any `*.md`, https://j/k.md)\n";
    let found = cited(&File { path: "proto/src/sample.rs".to_owned(), text: text.to_owned() });
    let found: Vec<(usize, &str)> = found.iter().map(|(number, name)| (*number, name.as_str())).collect();
    assert_eq!(found, [(1, "a.md"), (1, "b/c-d.md"), (3, "h.md")]);
}
