//! The terminal, taken and given back.
//!
//! The one rule: whoever leaves gives it back. A panic does so before it says a word, for its words would be lost on the
//! screen that goes away.

use ratatui::{DefaultTerminal, Frame};

/// The terminal, for as long as this lives.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> std::io::Result<Self> {
        // It sets the hook for panics, too.
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                ratatui::restore();
                Err(error)
            }
        }
    }

    /// Draws.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> std::io::Result<()> {
        self.0.draw(picture).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
