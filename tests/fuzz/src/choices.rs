//! Choices: bytes as an endless source of decisions. When they are used up every further choice is the first.

/// Bytes that decide.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Decides by these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next so many bytes, or all, and what is behind them.
    pub fn split(self, bytes: usize) -> (&'a [u8], &'a [u8]) {
        self.rest.split_at(bytes.min(self.rest.len()))
    }

    /// The next byte, or zero.
    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below the bound, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// Whether something holds that holds once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// A number, mostly small, and sometimes at the edge of what it can be.
    pub fn number(&mut self) -> u32 {
        match self.below(16) {
            0 => u32::MAX,
            1 => u32::MAX - 1,
            2 => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
            _ => u32::from(self.byte() % 40),
        }
    }

    /// A whole number of 64 bits.
    pub fn long(&mut self) -> i64 {
        match self.below(8) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            _ => i64::from(self.byte()) - 100,
        }
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
