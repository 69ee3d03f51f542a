//! Bad bundles: each folder of `tests/bundles/bad/` is broken in one way, and its report says which, where and what to do.
//!
//! `expected.txt` holds what the report must hold, a text a line. A line that begins with `# budget:` is the budget to compile
//! within; `# says:` begins what to do, where the message itself says so; one that reads `no line` says that the fault has none.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what stands beside the tests may fail as loudly as a test"
)]

use assent_compiler::{Bundle, Sources};
use assent_evaluator::DEFAULT_BUDGET;
use std::path::{Path, PathBuf};

fn folders() -> Vec<PathBuf> {
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/bundles/bad");
    let mut folders: Vec<_> = std::fs::read_dir(bad).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// What is expected of a folder.
struct Expected {
    budget: u64,
    has_line: bool,
    /// What the message itself says is to be done.
    says: Option<String>,
    texts: Vec<String>,
}

impl Expected {
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("expected.txt")).expect("expected.txt");
        let budget = text.lines().find_map(|line| line.strip_prefix("# budget: "));
        let says = text.lines().find_map(|line| line.strip_prefix("# says: ")).map(str::to_owned);
        let texts = text.lines().filter(|line| !line.starts_with('#') && *line != "no line");
        Self {
            budget: budget.map_or(DEFAULT_BUDGET, |budget| budget.parse().unwrap()),
            has_line: !text.lines().any(|line| line == "no line"),
            says,
            texts: texts.map(str::to_owned).collect(),
        }
    }

    /// Whether a text names a file and a line in it: `policies/orders.cedar:12`.
    fn names_a_line(&self) -> bool {
        let is_place = |word: &str| {
            word.split_once(':').is_some_and(|(file, line)| {
                file.contains('.') && line.starts_with(|first: char| first.is_ascii_digit())
            })
        };
        self.texts.iter().any(|text| text.split(' ').any(is_place))
    }
}

fn report(folder: &Path, budget: u64) -> Option<String> {
    let compiled = Sources::from_folder(folder).and_then(|sources| Bundle::compile_within(sources, budget));
    let agents = compiled.and_then(|bundle| bundle.agent_type().map(drop));
    agents.err().map(|error| error.report())
}

#[test]
fn every_bad_bundle_is_rejected_with_place_cause_and_advice() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let expected = Expected::read(&folder);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let Some(report) = report(&folder, expected.budget) else {
            wrong.push(format!("{name}: accepted"));
            continue;
        };
        let missing = expected.texts.iter().filter(|text| !report.contains(text.as_str()));
        let missing: Vec<_> = missing.cloned().collect();
        if !missing.is_empty() {
            wrong.push(format!("{name}: the report lacks {missing:?}:\n{report}"));
        }
        let is_told = match &expected.says {
            Some(says) => report.contains(says),
            None => report.contains("next: ") || report.contains("help: "),
        };
        if !is_told {
            wrong.push(format!("{name}: the report does not say what to do:\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn there_are_many_and_each_expects_a_line_where_its_fault_has_one() {
    let folders = folders();
    assert!(folders.len() >= 25, "{}", folders.len());
    for folder in &folders {
        let expected = Expected::read(folder);
        assert!(expected.texts.len() >= 2, "{}: expects too little", folder.display());
        assert_eq!(expected.has_line, expected.names_a_line(), "{}", folder.display());
    }
    let without = folders.iter().filter(|folder| !Expected::read(folder).has_line).count();
    assert_eq!(without, 4, "only a file that is not there, or in the wrong place, has no line");
}

#[test]
fn reports_are_the_same_every_time_and_tell_a_fault_once() {
    for folder in folders() {
        let budget = Expected::read(&folder).budget;
        let (first, second) = (report(&folder, budget), report(&folder, budget));
        assert_eq!(first, second, "{}", folder.display());
        let drawings = first.unwrap().matches("\u{d7} ").count();
        assert!(drawings <= 2, "{}: {drawings} faults told for one", folder.display());
    }
}
