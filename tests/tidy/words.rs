//! Words: what does not land, what a test does not do, and what this house calls otherwise.

use crate::hold;
use crate::source::{self, Line, Part};
use crate::tree::{File, Tree};

/// What marks unfinished work, in code or comment. An example in a comment may have `todo!` for a value that nobody sees.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX"];
const UNFINISHED_CODE: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// What other houses say, and the word that stands for it here. In quotes it is somebody else's, and may be named.
const FOREIGN: &[(&str, &str)] = &[
    ("audit path", "inclusion proof"),
    ("signed root", "checkpoint"),
    ("chaos", "drill"),
    ("ruleset", "bundle"),
    ("circuit breaker", "boundary"),
    ("circuit-breaker", "boundary"),
    ("token bucket", "quota"),
    ("pkcs#11 token", "slot or HSM"),
];

/// Where the words of this house are kept; the simulator's own words are PKCS#11's.
const KEPT_IN: &[&str] = &["appliance/", "client/", "proto/"];

#[test]
fn unfinished_work_does_not_land() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    for file in tree.ending(".rs") {
        for Line { number, code, comment, .. } in source::lines(file) {
            let marks =
                UNFINISHED.iter().filter(|word| source::names(&code, word) || source::names(&comment, word));
            let calls = UNFINISHED_CODE.iter().filter(|word| source::names(&code, word));
            breaches.extend(marks.chain(calls).map(|word| format!("{}:{number}: {word}", file.path)));
        }
    }
    hold("finish it, or write `// BUG:` for what is known and unsolved", &breaches);
}

#[test]
fn tests_wait_on_conditions_and_do_not_sleep() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    for file in tree.ending(".rs") {
        // Whether the comment that ends in the line above explains.
        let mut above = false;
        for line in source::lines(file) {
            let here = line.comment.split_once("// WAIT: ").is_some_and(|(_, what)| what.trim().len() > 10);
            let sleeps = line.code.contains("sleep(") && source::names(&line.code, "sleep");
            if line.part == Part::Test && sleeps && !here && !above {
                breaches.push(format!("{}:{}: {}", file.path, line.number, line.code.trim()));
            }
            above = (here || above) && line.code.trim().is_empty() && !line.comment.is_empty();
        }
    }
    hold(
        "wait on a condition; in its loop, write `// WAIT: for what, until which deadline` at the sleep",
        &breaches,
    );
}

#[test]
fn there_is_one_word_for_each_thing() {
    let tree = Tree::read();
    let kept =
        |file: &&File| KEPT_IN.iter().any(|folder| file.path.starts_with(folder)) || file.folder().is_empty();
    let mut breaches = Vec::new();
    for file in tree.ending(".md").into_iter().filter(kept) {
        breaches.extend(file.lines().filter_map(|(number, text)| foreign(file, number, text)));
    }
    for file in tree.ending(".rs").into_iter().filter(kept) {
        breaches
            .extend(source::lines(file).iter().filter_map(|line| foreign(file, line.number, &line.comment)));
    }
    hold("use the word of the lexicon, or quote whose word it is", &breaches);
}

/// Where commands print, and the two places that may do so on standard output itself.
const COMMANDS: &str = "appliance/src/cli/";
const PRINTERS: &[&str] = &["appliance/src/cli/output.rs", "appliance/src/cli/log/export.rs"];

#[test]
fn commands_print_where_a_pipe_that_closes_changes_no_exit_code() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    let is_command =
        |file: &&File| file.path.starts_with(COMMANDS) && !PRINTERS.contains(&file.path.as_str());
    for file in tree.ending(".rs").into_iter().filter(is_command) {
        let prints = |line: &Line| {
            line.code.contains("io::stdout(")
                && !line.code.contains("is_terminal")
                && !line.code.contains("is_coloured")
                || ["println!", "print!", "eprintln!", "eprint!"]
                    .iter()
                    .any(|word| source::names(&line.code, word))
        };
        let lines = source::lines(file).into_iter().filter(prints);
        breaches.extend(lines.map(|line| format!("{}:{}: {}", file.path, line.number, line.code.trim())));
    }
    hold("print with `writeln!(crate::cli::stdout(), ..)?`, and talk with `talk!`", &breaches);
}

/// The breach of a line that says a foreign word without quoting it.
fn foreign(file: &File, number: usize, text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let unquoted = |word: &str| {
        text.match_indices(word)
            .any(|(at, _)| !text.get(..at).is_some_and(|before| before.ends_with(['"', '`'])))
    };
    let (word, ours) = FOREIGN.iter().find(|(word, _)| unquoted(word))?;
    Some(format!("{}:{number}: `{word}`: say {ours}", file.path))
}
