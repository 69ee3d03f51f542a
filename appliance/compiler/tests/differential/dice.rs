//! Dice: chance out of one number, and the constants that chance picks from.
//!
//! The rule it keeps: the same seed throws the same, everywhere. The pools hold the values at which operators turn:
//! bounds, empty text, equal values in different spellings. What overflows stands apart, so that errors stay the exception.

/// A splitmix64 generator: small, and the same on every machine.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of one bundle of a run.
    pub(crate) fn of(seed: u64, bundle: u64) -> Self {
        let mut dice = Self(seed);
        let mixed = dice.next() ^ bundle.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// A number from `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// Each of them with this chance.
    pub(crate) fn some<T: Clone>(&mut self, from: &[T], chance: usize) -> Vec<T> {
        from.iter().filter(|_| self.percent(chance)).cloned().collect()
    }

    /// At least one of them.
    pub(crate) fn some_of<T: Clone>(&mut self, from: &[T], chance: usize) -> Vec<T> {
        let some = self.some(from, chance);
        if some.is_empty() { vec![self.pick(from)] } else { some }
    }
}

/// Ids of entities of every type. The last is in no snapshot.
pub(crate) const IDS: &[&str] = &["e0", "e1", "e2", "e3"];
pub(crate) const GONE: &str = "gone";

pub(crate) const STRINGS: &[&str] = &["", "a", "ab", "abc", "b*", "\u{e9}", "log/x", "log/y", "abcabcabd"];
pub(crate) const PATTERNS: &[&str] =
    &["*", "a*", "*b", "log/*", "*\\**", "a*b*c", "", "*abd", "*\u{e9}*", "a"];
pub(crate) const LONGS: &[i64] = &[0, 1, -1, 2, 3, 5, 7, 40, 1000];
pub(crate) const HUGE_LONGS: &[i64] = &[i64::MAX, i64::MIN, i64::MAX / 2, i64::MIN + 1, 1 << 62];
pub(crate) const IPS: &[&str] = &[
    "10.0.0.1",
    "10.0.0.1/32",
    "10.0.0.0/8",
    "127.0.0.1",
    "::1",
    "ff02::1",
    "224.0.0.1/3",
    "0.0.0.0/0",
    "::/0",
];
pub(crate) const DATES: &[&str] = &[
    "1970-01-01",
    "2024-02-29T23:59:59.999Z",
    "1969-12-31T00:00:01+0130",
    "2024-02-29",
    "1969-12-31",
    "2024-02-29T12:00:00Z",
];
pub(crate) const WAITS: &[&str] = &["0ms", "-1ms", "1d2h3m4s5ms", "90m", "1h30m", "-36h", "24h"];
pub(crate) const HUGE_WAITS: &[&str] = &["106751991167d", "-106751991167d"];
pub(crate) const DECIMALS: &[&str] =
    &["0.0", "-0.5", "1.25", "1.2500", "922337203685477.5807", "-922337203685477.5808"];
