//! Shape: heads, sizes and names of files, and what every limit must say of itself.

use crate::hold;
use crate::manifest::{dependencies, entries};
use crate::source::{self, Part};
use crate::tree::{File, Tree};

/// Lines that a file may have without a reason.
const MAX_LINES: usize = 400;

/// Longer files, each with the reason why two would be worse.
const LONG: &[(&str, &str)] = &[(
    "tests/end_to_end/tampering/catalogue.rs",
    "every tampering with one log in one list: in two, nobody sees which is missing",
)];

/// Manifests of workspaces of their own: they are built otherwise than the product, and say how themselves.
const APART: &[&str] = &["tests/gate/Cargo.toml", "tests/fuzz/Cargo.toml", "tests/kryoptic/Cargo.toml"];

/// Names that say nothing of what a file holds.
const BANNED: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "manager", "handler", "handlers", "types",
    "prelude", "core", "base", "generic",
];

#[test]
fn every_source_opens_with_what_it_is() {
    let tree = Tree::read();
    let says = |file: &File| file.text.strip_prefix("//! ").is_some_and(|head| head.trim_start().len() > 10);
    let headless = tree.ending(".rs").into_iter().filter(|file| !says(file));
    let breaches: Vec<String> = headless.map(|file| format!("{}:1: no `//!` head", file.path)).collect();
    hold("open the file with what it is, the rule it keeps, and what it does not do", &breaches);
}

#[test]
fn sources_are_ascii() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    for file in tree.ending(".rs") {
        let foreign = file.lines().filter(|(_, text)| !text.is_ascii());
        breaches.extend(
            foreign.map(|(number, text)| format!("{}:{number}: {}", file.path, text.trim().escape_default())),
        );
    }
    hold("write ASCII, and escapes in texts", &breaches);
}

#[test]
fn files_and_folders_are_named_after_the_domain() {
    let tree = Tree::read();
    let stem = |name: &str| name.strip_suffix(".rs").unwrap_or(name).to_owned();
    let says_nothing = |file: &&File| file.path.split('/').any(|name| BANNED.contains(&stem(name).as_str()));
    let breaches: Vec<String> =
        tree.ending(".rs").into_iter().filter(says_nothing).map(|file| file.path.clone()).collect();
    hold("name the file after what it holds, a noun of the domain", &breaches);
}

#[test]
fn files_are_short_or_say_why_not() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    let sources = tree.ending(".rs");
    for file in &sources {
        let (lines, excused) = (file.text.lines().count(), LONG.iter().any(|(path, _)| *path == file.path));
        if lines > MAX_LINES && !excused {
            breaches.push(format!(
                "{}:{}: {lines} lines: split it by what it does",
                file.path,
                MAX_LINES + 1
            ));
        } else if lines <= MAX_LINES && excused {
            breaches.push(format!("{}: {lines} lines: no excuse needed; take it out of LONG", file.path));
        }
    }
    let gone = LONG.iter().filter(|(path, _)| sources.iter().all(|file| file.path != *path));
    breaches.extend(gone.map(|(path, _)| format!("{path}: does not exist; take it out of LONG")));
    hold(
        &format!("a file has at most {MAX_LINES} lines, or a reason in LONG of tests/tidy/shape.rs"),
        &breaches,
    );
}

#[test]
fn function_size_is_measured_by_clippy_in_every_crate() {
    let tree = Tree::read();
    let states = |text: &str, section: &str, key: &str, value: &str| {
        entries(text).iter().any(|e| e.section == section && e.key == key && e.value == value)
    };
    assert!(
        tree.text("clippy.toml").lines().any(|line| line == "too-many-lines-threshold = 70"),
        "clippy.toml"
    );
    assert!(
        states(&tree.text("Cargo.toml"), "workspace.lints.clippy", "too_many_lines", "\"warn\""),
        "Cargo.toml"
    );
    let run = tree.text("tests/run");
    assert!(
        run.lines().any(|line| line.starts_with("cargo clippy --workspace --all-targets")
            && line.ends_with("-D warnings"))
    );
    let members = tree.ending("/Cargo.toml").into_iter().filter(|file| !APART.contains(&file.path.as_str()));
    let asks = |text: &str| {
        states(text, "lints", "workspace", "true")
            || states(text, "lints.clippy", "too_many_lines", "\"warn\"")
    };
    let breaches: Vec<String> =
        members.filter(|file| !asks(&file.text)).map(|file| file.path.clone()).collect();
    hold("take the lints of the workspace", &breaches);
}

#[test]
fn every_limit_says_what_it_limits() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    let walls = ["/src/limits.rs", "/src/limits/mod.rs", "/src/limits/console.rs"];
    for file in walls.into_iter().flat_map(|wall| tree.ending(wall)) {
        let lines = source::lines(file);
        let mut documented = false;
        let mut limits = 0;
        for line in lines.iter().filter(|line| line.part == Part::Product) {
            let stated = line.code.trim();
            let (_, constant) = stated.split_once("const ").unwrap_or_default();
            let name = constant.split(':').next().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('_') && !name.starts_with("fn ") {
                limits += 1;
                if !documented {
                    breaches.push(format!("{}:{}: `{name}` has no doc comment", file.path, line.number));
                }
            }
            documented = line.comment.starts_with("/// ") || (documented && stated.starts_with("#["));
        }
        if limits == 0 {
            breaches.push(format!("{}: states no limit", file.path));
        }
    }
    hold("say above the constant what it limits, with unit and reason", &breaches);
}

#[test]
fn the_workspace_says_what_each_dependency_is_for_and_pins_what_it_must() {
    let tree = Tree::read();
    let text = tree.text("Cargo.toml");
    let entries = entries(&text);
    let stated: Vec<_> = entries.iter().filter(|entry| entry.section == "workspace.dependencies").collect();
    let bare = stated.iter().filter(|entry| !entry.has_comment && !entry.value.contains("path = "));
    let mut breaches: Vec<String> = bare
        .map(|entry| format!("Cargo.toml:{}: say behind `{}` what it is for", entry.line, entry.key))
        .collect();
    for exact in ["redb", "cedar-policy"] {
        let pinned = |value: &str| value.split('"').nth(1).is_some_and(|version| version.starts_with('='));
        if !stated.iter().any(|entry| entry.key == exact && pinned(entry.value)) {
            breaches.push(format!("Cargo.toml: pin {exact} with `=`: it was studied at one version"));
        }
    }
    for file in tree.ending("/Cargo.toml").into_iter().filter(|file| !APART.contains(&file.path.as_str())) {
        let own = dependencies(&file.text).into_iter().filter(|found| !found.from_workspace);
        breaches.extend(
            own.map(|found| format!("{}:{}: take {} from the workspace", file.path, found.line, found.name)),
        );
    }
    hold("every dependency is stated once, with its reason", &breaches);
}
