//! Counting: callgrind runs the walk with one number of repetitions and with twice as many, so that what happens once cancels
//! out, and a third time with an eighth more, which the check must see.
//!
//! Of each piece the compression function of SHA-256 is counted apart. Valgrind offers the program no SHA instructions, so
//! that it hashes in software there, and that would be nine tenths of everything: a piece could double unseen.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::record::Piece;
use super::walk::{BATCH, PIECES};

/// Repetitions: an eighth more work is one more of them.
const REPEATS: usize = 8;
/// The function that is counted, and the one that hashes, as callgrind writes them.
const COUNTED: &str = "*::counted";
const COMPRESSION: &str = "sha2::sha256::";

/// What each piece costs, and what it would with an eighth more to do.
pub(crate) fn with_control() -> anyhow::Result<(Vec<Piece>, Vec<Piece>)> {
    let folder = tempfile::tempdir()?;
    let once = run(folder.path(), REPEATS)?;
    let twice = run(folder.path(), 2 * REPEATS)?;
    let more = run(folder.path(), 2 * REPEATS + 1)?;
    Ok((pieces(&once, &twice)?, pieces(&once, &more)?))
}

/// Instructions of all repetitions of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Instructions {
    ours: u64,
    hashing: u64,
}

fn pieces(less: &[Instructions], more: &[Instructions]) -> anyhow::Result<Vec<Piece>> {
    let each = u64::try_from(REPEATS * BATCH)?;
    let between = |less: u64, more: u64| more.checked_sub(less).context("more work takes more instructions");
    let named = PIECES.iter().zip(less.iter().zip(more));
    let piece = |((name, _), (less, more)): (&(&str, _), (&Instructions, &Instructions))| {
        let ours = between(less.ours, more.ours)? / each;
        Ok(Piece { name: (*name).to_owned(), ours, hashing: between(less.hashing, more.hashing)? / each })
    };
    named.map(piece).collect()
}

/// Has callgrind run the walk: instructions of each piece.
fn run(folder: &Path, repeats: usize) -> anyhow::Result<Vec<Instructions>> {
    let out = folder.join(repeats.to_string());
    let mut valgrind = Command::new("valgrind");
    // One file a piece, whole names in each, and nothing counted outside.
    valgrind
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no", "--compress-strings=no"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args(["walk", &repeats.to_string()]);
    let output = valgrind
        .output()
        .context("valgrind cannot be started: install it with `apt-get install valgrind`")?;
    ensure!(output.status.success(), "valgrind: {}", String::from_utf8_lossy(&output.stderr));
    let profile = |number: usize| {
        let file = format!("{}.{number}", out.display());
        instructions(&std::fs::read_to_string(&file).with_context(|| format!("callgrind wrote no {file}"))?)
    };
    (1..=PIECES.len()).map(profile).collect()
}

/// Sums a profile: lines of costs stand below the name of their function; the one below `calls=` tells what the callee cost,
/// which its own lines tell already.
fn instructions(profile: &str) -> anyhow::Result<Instructions> {
    let mut sum = Instructions::default();
    let (mut is_hashing, mut is_of_callee) = (false, false);
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            is_hashing = function.starts_with(COMPRESSION);
        } else if line.starts_with("calls=") {
            is_of_callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && !std::mem::take(&mut is_of_callee)
        {
            let cost: u64 = line.split(' ').nth(1).context("a cost")?.parse()?;
            *(if is_hashing { &mut sum.hashing } else { &mut sum.ours }) += cost;
        }
    }
    let total = profile.lines().find_map(|line| line.strip_prefix("summary: ")).context("no summary")?;
    ensure!(
        total.parse() == Ok(sum.ours + sum.hashing),
        "callgrind's format is another: {total}, not {sum:?}"
    );
    ensure!(sum.ours > 0, "nothing was counted: the function has another name");
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_costs_are_summed_and_those_of_callees_are_not() {
        let profile = "events: Ir\nsummary: 60\n\nfl=a.rs\nfn=a::b\n10 5\n+2 15\ncfn=sha2::sha256::soft::compress\n\
                       calls=3 7\n* 40\n\nfn=sha2::sha256::soft::compress\n7 40\n";
        assert_eq!(instructions(profile).unwrap(), Instructions { ours: 20, hashing: 40 });
        assert!(instructions(&profile.replace("summary: 60", "summary: 61")).is_err());
    }

    #[test]
    fn what_happens_once_cancels_out() {
        let each = u64::try_from(REPEATS * BATCH).unwrap();
        let of =
            |times: u64| vec![Instructions { ours: 999 + times * each * 50, hashing: 7 + times * each }; 6];
        let pieces = pieces(&of(1), &of(2)).unwrap();
        assert!(
            pieces.iter().all(|piece| (piece.ours, piece.hashing) == (50, 1)) && pieces.len() == PIECES.len()
        );
    }
}
