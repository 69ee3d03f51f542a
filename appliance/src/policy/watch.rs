//! The watch over one source: what a look at it means.
//!
//! The rule it keeps: nothing is read before it was seen twice unchanged, and nothing that was judged is judged again. A look
//! that finds what was accepted is a confirmation; one that finds what was refused, or nothing, is none. It touches no disk
//! and no clock.

use super::offer::{Look, OfferError};

/// What to do after a look.
#[derive(Debug)]
pub(super) enum Finding {
    /// The source is there, and offers what was accepted.
    Confirmed,
    /// It changed, and then stayed as it is: read it, if it still looks like this.
    Changed(Look),
    /// It is changing, or offers what was refused.
    Unsettled,
    /// It is away; the first look that finds it so brings the reason.
    Away(Option<OfferError>),
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last look, while nothing is known of what it saw.
    seen: Option<Look>,
    /// The last look that was judged, and whether its bundle was accepted.
    judged: Option<(Look, bool)>,
    is_away: bool,
}

impl Watch {
    /// Takes a look.
    pub(super) fn take(&mut self, look: Result<Look, OfferError>) -> Finding {
        let look = match look {
            Ok(look) => look,
            Err(error) => {
                self.seen = None;
                let is_news = !std::mem::replace(&mut self.is_away, true);
                return Finding::Away(is_news.then_some(error));
            }
        };
        self.is_away = false;
        match &self.judged {
            Some((judged, true)) if *judged == look => {
                self.seen = None;
                Finding::Confirmed
            }
            Some((judged, false)) if *judged == look => {
                self.seen = None;
                Finding::Unsettled
            }
            Some(_) | None if self.seen.as_ref() == Some(&look) => Finding::Changed(look),
            Some(_) | None => {
                self.seen = Some(look);
                Finding::Unsettled
            }
        }
    }

    /// Notes what became of what a look saw. What was accepted stays so: whoever orders it again, with a signature too many
    /// perhaps, does not make it worse.
    pub(super) fn judge(&mut self, look: Look, is_accepted: bool) {
        let was_accepted =
            self.judged.as_ref().is_some_and(|(judged, accepted)| *accepted && *judged == look);
        self.judged = Some((look, is_accepted || was_accepted));
    }

    /// Notes that what was judged last is not what decides.
    pub(super) fn reject(&mut self) {
        if let Some((_, is_accepted)) = &mut self.judged {
            *is_accepted = false;
        }
    }

    /// Notes that an operator put something else in force: what the source offers was settled by that.
    pub(super) fn settle(&mut self) {
        if let Some((_, is_accepted)) = &mut self.judged {
            *is_accepted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A folder that looks different for each text.
    struct Source(tempfile::TempDir);

    impl Source {
        fn with(text: &str) -> Self {
            let source = Self(tempfile::tempdir().unwrap());
            source.write(text);
            source
        }

        fn write(&self, text: &str) {
            std::fs::write(self.0.path().join("bundle.toml"), text).unwrap();
        }

        fn look(&self) -> Result<Look, OfferError> {
            Look::at(self.0.path())
        }
    }

    fn away() -> Result<Look, OfferError> {
        Look::at(Path::new("/nonexistent/bundle"))
    }

    #[test]
    fn a_change_is_read_when_it_was_seen_twice() {
        let (source, mut watch) = (Source::with("1"), Watch::default());
        assert!(matches!(watch.take(source.look()), Finding::Unsettled));
        source.write("12");
        assert!(matches!(watch.take(source.look()), Finding::Unsettled), "it is still changing");
        assert!(matches!(watch.take(source.look()), Finding::Changed(_)));
    }

    #[test]
    fn what_was_accepted_is_confirmed_and_what_was_refused_is_not_judged_again() {
        let (source, mut watch) = (Source::with("1"), Watch::default());
        watch.judge(source.look().unwrap(), true);
        assert!(matches!(watch.take(source.look()), Finding::Confirmed));
        source.write("12");
        assert!(matches!(watch.take(source.look()), Finding::Unsettled));
        let Finding::Changed(look) = watch.take(source.look()) else { panic!("not changed") };
        watch.judge(look, false);
        for _ in 0..3 {
            assert!(matches!(watch.take(source.look()), Finding::Unsettled));
        }
        watch.settle();
        assert!(matches!(watch.take(source.look()), Finding::Confirmed));
        watch.judge(source.look().unwrap(), false);
        assert!(matches!(watch.take(source.look()), Finding::Confirmed), "it was accepted once");
    }

    #[test]
    fn a_source_that_is_away_says_so_once_and_confirms_when_it_is_back_as_it_was() {
        let (source, mut watch) = (Source::with("1"), Watch::default());
        watch.judge(source.look().unwrap(), true);
        assert!(matches!(watch.take(away()), Finding::Away(Some(_))));
        assert!(matches!(watch.take(away()), Finding::Away(None)));
        assert!(matches!(watch.take(source.look()), Finding::Confirmed));
        assert!(matches!(watch.take(away()), Finding::Away(Some(_))), "news again");
    }
}
