//! The record: what each piece cost when somebody last said that it may, with the date and the compiler.
//!
//! Lines of words; what begins with `#` is for people.

use std::fmt;
use std::fmt::Write as _;

use anyhow::{Context as _, ensure};

/// How much dearer a piece may become before the check fails: by one of so many parts.
const TOLERANCE: u64 = 10;

/// What a piece costs an intent, or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) name: String,
    /// Instructions but those of the hash function.
    pub(crate) ours: u64,
    /// Those of the hash function, in software: about 3,000 a block.
    pub(crate) hashing: u64,
}

/// All pieces, when and how they were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) date: String,
    /// The compiler's version.
    pub(crate) rustc: String,
    pub(crate) pieces: Vec<Piece>,
}

impl Record {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut record = Self { date: String::new(), rustc: String::new(), pieces: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match *words.as_slice() {
                ["date", date] => date.clone_into(&mut record.date),
                ["rustc", version] => version.clone_into(&mut record.rustc),
                [name, ours, hashing] => record.pieces.push(Piece {
                    name: name.to_owned(),
                    ours: ours.parse().with_context(|| format!("the record's line `{line}`"))?,
                    hashing: hashing.parse().with_context(|| format!("the record's line `{line}`"))?,
                }),
                _ => anyhow::bail!("the record's line `{line}` says nothing that is known"),
            }
        }
        ensure!(
            !record.rustc.is_empty() && !record.pieces.is_empty(),
            "the record has no compiler or no pieces"
        );
        Ok(record)
    }

    /// Whether it was made with this compiler, as far as counts go: major and minor version.
    pub(crate) fn is_of(&self, rustc: &str) -> bool {
        let minor = |version: &str| version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        minor(&self.rustc) == minor(rustc)
    }

    /// The names of pieces that are not on record, or cost more than they may.
    pub(crate) fn dearer<'p>(&self, counted: &'p [Piece]) -> Vec<&'p str> {
        let is_dearer = |now: &&Piece| {
            let over = |now: u64, then: u64| now * TOLERANCE > then * (TOLERANCE + 1);
            self.of(&now.name).is_none_or(|then| over(now.ours, then.ours) || over(now.hashing, then.hashing))
        };
        counted.iter().filter(is_dearer).map(|piece| piece.name.as_str()).collect()
    }

    /// What is counted now, beside the record, for people.
    pub(crate) fn beside(&self, counted: &[Piece]) -> String {
        let mut text = format!(
            "instructions each, of {} with rustc {}, and now\n{:<18}{:>9}{:>9}{:>9}{:>12}{:>9}\n",
            self.date, self.rustc, "", "then", "now", "", "hash then", "now"
        );
        for Piece { name, ours, hashing } in counted {
            let then = self.of(name);
            let (then_ours, then_hashing) = then.map_or((0, 0), |then| (then.ours, then.hashing));
            let change = then.map_or_else(|| "new".to_owned(), |then| change(then.ours, *ours));
            let _ =
                writeln!(text, "{name:<18}{then_ours:>9}{ours:>9}{change:>9}{then_hashing:>12}{hashing:>9}");
        }
        text
    }

    fn of(&self, name: &str) -> Option<&Piece> {
        self.pieces.iter().find(|piece| piece.name == name)
    }
}

/// In per cent, with a digit behind the point.
fn change(then: u64, now: u64) -> String {
    let tenths = now.abs_diff(then) * 1000 / then.max(1);
    let sign = if now < then { '-' } else { '+' };
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions of the hot path, counted by callgrind; `hot-path check` fails where one of them rises by more"
        )?;
        writeln!(f, "# than a tenth. Written by: {}", super::RECORD_ANEW)?;
        writeln!(f, "#")?;
        writeln!(
            f,
            "# The compiler's version changes the counts, and so does an incremental build. They are compared only with rustc"
        )?;
        writeln!(
            f,
            "# of the same major and minor version. An intent each, a token each for verify_cached; behind the name what is"
        )?;
        writeln!(
            f,
            "# ours, then SHA-256's compression in software, since valgrind has no SHA instructions."
        )?;
        writeln!(f, "date {}\nrustc {}", self.date, self.rustc)?;
        self.pieces
            .iter()
            .try_for_each(|Piece { name, ours, hashing }| writeln!(f, "{name} {ours} {hashing}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(name: &str, ours: u64, hashing: u64) -> Piece {
        Piece { name: name.to_owned(), ours, hashing }
    }

    fn record() -> Record {
        let pieces = vec![piece("parse", 1000, 0), piece("verify", 500, 3000)];
        Record { date: "2026-11-28".to_owned(), rustc: "1.95.0".to_owned(), pieces }
    }

    #[test]
    fn record_is_read_as_it_was_written() {
        let text = record().to_string();
        assert_eq!(Record::parse(&text).unwrap(), record());
        for broken in ["", "rustc 1.95.0\n", "rustc 1.95.0\nparse 1000 many\n", "rustc 1.95.0\nparse 1 2 3\n"]
        {
            assert!(Record::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn more_than_a_tenth_over_the_record_is_found() {
        let record = record();
        assert!(record.dearer(&[piece("parse", 1100, 0), piece("verify", 550, 3300)]).is_empty());
        assert_eq!(record.dearer(&[piece("parse", 1101, 0), piece("verify", 400, 3000)]), ["parse"]);
        assert_eq!(record.dearer(&[piece("parse", 900, 0), piece("verify", 500, 3301)]), ["verify"]);
        assert_eq!(record.dearer(&[piece("parse", 1000, 1), piece("derive", 1, 0)]), ["parse", "derive"]);
    }

    #[test]
    fn only_counts_of_one_compiler_are_compared() {
        let record = record();
        assert!(record.is_of("1.95.0") && record.is_of("1.95.3"));
        assert!(!record.is_of("1.96.0") && !record.is_of("2.95.0") && !record.is_of("1.9.5"));
    }

    #[test]
    fn table_tells_the_change() {
        let table =
            record().beside(&[piece("parse", 1123, 0), piece("verify", 450, 3000), piece("new", 1, 0)]);
        assert!(table.contains("+12.3 %") && table.contains("-10.0 %") && table.contains("new"), "{table}");
    }
}
