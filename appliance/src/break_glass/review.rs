//! Reviews: one of each use, by an operator of the charter who did not sign the warrant.

use assent_proto::entry::break_glass::{Finding, REVIEW_NAMESPACE};
use assent_proto::entry::{Entry, Review, Salt};
use assent_proto::number::{Epoch, LeafIndex, Timestamp};

use super::BreakGlass;
use super::act::{Act, Kind, encoded};
use super::charter::named;
use super::check::no_use_at;
use super::warrant::quorum;
use crate::operators::SignatureFile;
use crate::shown::visible;

/// A review that is signed, or what is to be signed.
#[derive(Debug)]
pub(super) enum Reviewed {
    /// The act, and who signed.
    Signed(Act, String),
    /// Nobody has signed: this is to be signed, by one of these.
    ToSign { statement: String, operators: Vec<String> },
}

impl BreakGlass {
    /// A review of the use at this leaf.
    pub(super) fn review(
        &self,
        leaf: LeafIndex,
        finding: Finding,
        text: &str,
        signatures: &[SignatureFile],
    ) -> Result<Reviewed, String> {
        let state = self.lock();
        let used = state.book.use_at(leaf).ok_or_else(|| no_use_at(leaf))?;
        if let Some(at) = used.review {
            return Err(format!("the use at leaf {leaf} is reviewed already, at leaf {at}"));
        }
        let warrant = state.book.warrant(used.warrant).ok_or("the warrant is not kept here")?;
        let charter = state.book.charter(warrant.charter).and_then(|line| line.charter());
        let quorum = quorum(&charter.ok_or("the charter is not kept here")?)?;
        let review = Review {
            salt: Salt::default(),
            time: Timestamp(0),
            epoch: Epoch(0),
            warrant: used.warrant,
            used: leaf,
            finding,
            text,
            by: "",
            statement: "",
            signature: "",
        };
        let mut statement = String::new();
        // Writing to a string cannot fail.
        let _ = review.write_statement(&self.origin, &mut statement);
        let review = Review { statement: &statement, ..review };
        review.check(&self.origin).map_err(|error| named("review", error))?;
        let is_signer = |place: usize| warrant.signers.iter().any(|signer| usize::from(*signer) == place);
        let [file] = signatures else {
            if !signatures.is_empty() {
                return Err("a review has one signature: that of one operator".to_owned());
            }
            let others = quorum.keys().iter().enumerate().filter(|(place, _)| !is_signer(*place));
            let operators = others.map(|(_, key)| key.name().to_owned()).collect();
            return Ok(Reviewed::ToSign { statement, operators });
        };
        let place = quorum
            .verify_one(REVIEW_NAMESPACE, statement.as_bytes(), file)
            .map_err(|error| error.to_string())?;
        let by = quorum.keys().get(place).map(|key| key.name().to_owned()).unwrap_or_default();
        if is_signer(place) {
            return Err(format!(
                "{} signed the warrant at leaf {}, and reviews no use of it: another operator of the charter does",
                visible(&by),
                used.warrant
            ));
        }
        let leaf = encoded(&Entry::Review(Review { by: &by, signature: &file.text, ..review }))?;
        Ok(Reviewed::Signed(Act(Kind::Review(leaf)), by))
    }
}
