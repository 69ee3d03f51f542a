//! Succession: which key is in force where, as the log itself tells an auditor.
//!
//! A Key entry names the key that signs from the checkpoint over it on; that checkpoint is signed by the key before it too.
//! The first one names the key that the log was founded for. An auditor need not hold every key: what the newest checkpoint
//! covers, its key vouches for, the Key entries included; so that one must be trusted, and the others are taken from the log.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::note::VerifierKey;
use assent_proto::number::Timestamp;
use assent_proto::verify::TrustedKey;

use super::{KeySignature, SignedCheckpoint};
use crate::limits::MAX_RING_KEYS;

/// A key that signed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyReport {
    /// In C2SP form.
    pub verifier_key: String,
    /// Its key ID.
    pub key_id: String,
    /// Size of the first checkpoint that it signed.
    pub from_size: u64,
    /// How many it signed.
    pub checkpoints: u64,
    /// Whether the auditor holds it; else the log vouches for it.
    pub trusted: bool,
}

/// The keys of a log, found on the way through it.
#[derive(Debug)]
pub(super) struct Succession<'t> {
    origin: &'t str,
    trusted: &'t [TrustedKey<'t>],
    in_force: Option<VerifierKey<'t>>,
    /// Named in the round that is being read.
    named: Option<VerifierKey<'t>>,
    /// Whether there was a checkpoint: the first one covers the name of the key that the log was founded for.
    is_begun: bool,
    reports: Vec<KeyReport>,
    /// Whether the newest checkpoint is signed by a trusted key; the ID of its key.
    newest: Option<(bool, String)>,
}

impl<'t> Succession<'t> {
    pub(super) const fn new(origin: &'t str, trusted: &'t [TrustedKey<'t>]) -> Self {
        Self {
            origin,
            trusted,
            in_force: None,
            named: None,
            is_begun: false,
            reports: Vec::new(),
            newest: None,
        }
    }

    /// A Key entry was read.
    pub(super) fn name(&mut self, vkey: &str) -> Result<(), String> {
        let key = VerifierKey::parse(vkey).map_err(|error| format!("the key that is named here: {error}"))?;
        if key.name() != self.origin {
            return Err(format!("the key that is named here is one of `{}`", key.name()));
        }
        // The same key under a name that outlives the entry.
        let key = VerifierKey::new(self.origin, key.key().as_bytes()).map_err(|error| error.to_string())?;
        // LIMIT: a forged log may name as many as it has entries.
        if self.reports.len() >= MAX_RING_KEYS {
            return Err(format!("the key that is named here is one more than the {MAX_RING_KEYS} of a log"));
        }
        let has_signed = self.in_force == Some(key) || {
            let verifier_key = key.to_string();
            self.reports.iter().any(|known| known.verifier_key == verifier_key)
        };
        let is_second = self.named.replace(key).is_some();
        if is_second {
            Err("a second key is named in one round".to_owned())
        } else if self.is_begun && self.in_force.is_none() {
            Err("the key that the log was founded for is named behind its first signed round".to_owned())
        } else if has_signed {
            Err(format!("key {} has signed before, and takes over again here", key.id()))
        } else {
            Ok(())
        }
    }

    /// A round ended without a checkpoint.
    pub(super) fn unsigned(&mut self) -> Result<(), String> {
        match self.named.take() {
            None => Ok(()),
            Some(_) => Err("a key is named in a round that no checkpoint covered".to_owned()),
        }
    }

    /// A checkpoint, which covers the leaves so far: who must have signed it, did. `verified` are keys whose signatures
    /// over its text were found in it before; any other is verified here.
    pub(super) fn checkpoint(
        &mut self,
        signed: &SignedCheckpoint,
        verified: &[VerifierKey<'t>],
        latest: Timestamp,
    ) -> Result<(), String> {
        let (before, named) = (self.in_force, self.named.take());
        (self.in_force, self.is_begun) = (named.or(before), true);
        let checkpoint = Checkpoint { origin: self.origin, size: signed.size, root: signed.root };
        let text = checkpoint.text().map_err(|error| error.to_string())?;
        // Where two signatures are in it, which of them is whose is not remembered.
        let is_known = |key: &VerifierKey<'_>| signed.successor.is_none() && verified.contains(key);
        let by = |key: &VerifierKey<'_>, signature: KeySignature| {
            is_known(key) || signature.verifies(key, text.as_bytes())
        };
        let alone = |key: VerifierKey<'t>| {
            let good = by(&key, signed.signature()) && signed.successor.is_none();
            if good {
                Ok(vec![key])
            } else {
                Err(format!("checkpoint is not signed by key {}, which is in force", key.id()))
            }
        };
        let signers = match (before, named) {
            (None, None) => self.trusted_signer(signed, by).map(|key| vec![key]),
            (Some(key), None) | (None, Some(key)) => alone(key),
            (Some(old), Some(new)) => {
                let both =
                    by(&old, signed.signature()) && signed.successor.is_some_and(|second| by(&new, second));
                let told = || {
                    format!(
                        "checkpoint at which key {} hands over to {} is not signed by both",
                        old.id(),
                        new.id()
                    )
                };
                if both { Ok(vec![old, new]) } else { Err(told()) }
            }
        }?;
        let mut any_trusted = false;
        for key in &signers {
            any_trusted |= self.count(key, signed);
        }
        self.newest = Some((any_trusted, signed.key_id.to_string()));
        signers.iter().try_for_each(|key| self.in_its_time(key, latest))
    }

    /// Behind its last day a key signs nothing: whoever has it then may be anybody.
    fn in_its_time(&self, key: &VerifierKey<'t>, latest: Timestamp) -> Result<(), String> {
        let ended = self.trusted.iter().find(|trusted| trusted.key == *key && trusted.not_after < latest);
        ended.map_or(Ok(()), |trusted| {
            let (id, end) = (key.id(), trusted.not_after.0);
            Err(format!("checkpoint over entries of {latest} is signed by key {id}, which is trusted until {end} only", latest = latest.0))
        })
    }

    /// In a log that names no key: the trusted one that signed.
    fn trusted_signer(
        &self,
        signed: &SignedCheckpoint,
        by: impl Fn(&VerifierKey<'_>, KeySignature) -> bool,
    ) -> Result<VerifierKey<'t>, String> {
        let mut ours = self.trusted.iter().map(|trusted| trusted.key).filter(|key| key.name() == self.origin);
        let signer = ours.find(|key| by(key, signed.signature()));
        signer
            .filter(|_| signed.successor.is_none())
            .ok_or_else(|| "checkpoint is signed by no trusted key".to_owned())
    }

    /// Counts a signature; gives whether its key is trusted.
    fn count(&mut self, key: &VerifierKey<'t>, signed: &SignedCheckpoint) -> bool {
        let verifier_key = key.to_string();
        if let Some(known) = self.reports.iter_mut().find(|known| known.verifier_key == verifier_key) {
            known.checkpoints += 1;
            return known.trusted;
        }
        let trusted = self.trusted.iter().any(|trusted| trusted.key == *key);
        let (key_id, from_size) = (key.id().to_string(), signed.size.0);
        self.reports.push(KeyReport { verifier_key, key_id, from_size, checkpoints: 1, trusted });
        trusted
    }

    /// The keys, the oldest first; or why none of them is to be believed.
    pub(super) fn end(self, entries: u64) -> (Vec<KeyReport>, Result<(), String>) {
        let is_known = self.trusted.iter().any(|trusted| trusted.key.name() == self.origin);
        let outcome = match self.newest {
            Some((false, id)) => Err(format!(
                "the newest checkpoint is signed by no trusted key, but by {id}: the trust file is older than that key, or the log is forged; compare with a trust file that was brought by another way"
            )),
            Some((true, _)) => Ok(()),
            None if !is_known => {
                Err(format!("no trusted key is one of `{}`, and nothing is signed", self.origin))
            }
            None if entries > 0 => {
                Err("nothing in this log is under a signature: anybody could have written it".to_owned())
            }
            None => Ok(()),
        };
        (self.reports, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_proto::hash::Hash;
    use assent_proto::number::TreeSize;
    use ed25519_dalek::{Signer as _, SigningKey};

    const ORIGIN: &str = "localhost/test/log/1";

    fn signing(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn key(number: u8) -> VerifierKey<'static> {
        VerifierKey::new(ORIGIN, signing(number).verifying_key().as_bytes()).unwrap()
    }

    /// A log in whose rounds these keys are named, and whose checkpoints are signed by these: what is wrong with it.
    fn wrong(rounds: &[(&[u8], &[u8])]) -> Vec<String> {
        let trusted = [1, 2, 3].map(|number| TrustedKey {
            key: key(number),
            not_before: Timestamp(0),
            not_after: Timestamp(u64::MAX),
        });
        let mut succession = Succession::new(ORIGIN, &trusted);
        let mut wrong = Vec::new();
        for (size, (named, signers)) in (1..).map(TreeSize).zip(rounds) {
            wrong.extend(named.iter().filter_map(|number| succession.name(&key(*number).to_string()).err()));
            let checkpoint = Checkpoint { origin: ORIGIN, size, root: Hash([7; 32]) };
            let text = checkpoint.text().unwrap();
            let sign = |number: &u8| KeySignature {
                key_id: key(*number).id(),
                signature: signing(*number).sign(text.as_bytes()).to_bytes(),
            };
            let (first, successor) = (sign(&signers[0]), signers.get(1).map(sign));
            let KeySignature { key_id, signature } = first;
            let signed = SignedCheckpoint { size, root: checkpoint.root, key_id, signature, successor };
            wrong.extend(succession.checkpoint(&signed, &[], Timestamp(1)).err());
        }
        wrong
    }

    #[test]
    fn each_key_takes_over_once() {
        let honest: [(&[u8], &[u8]); 5] =
            [(&[1], &[1]), (&[], &[1]), (&[2], &[1, 2]), (&[3], &[2, 3]), (&[], &[3])];
        assert_eq!(wrong(&honest), Vec::<String>::new());
        let [told] = &*wrong(&[(&[1], &[1]), (&[2], &[1, 2]), (&[1], &[2, 1]), (&[], &[1])]) else {
            panic!()
        };
        assert!(told.contains("has signed before, and takes over again"), "{told}");
        let [told] = &*wrong(&[(&[1], &[1]), (&[1], &[1, 1])]) else { panic!() };
        assert!(told.contains("has signed before"), "{told}");
        let [told] = &*wrong(&[(&[1, 2], &[2])]) else { panic!() };
        assert!(told.contains("a second key is named in one round"), "{told}");
    }

    #[test]
    fn key_of_the_founding_is_named_in_the_first_signed_round() {
        assert_eq!(wrong(&[(&[], &[1]), (&[], &[1])]), Vec::<String>::new(), "a log that names none");
        let [told] = &*wrong(&[(&[], &[1]), (&[1], &[1])]) else { panic!() };
        assert!(told.contains("named behind its first signed round"), "{told}");
        let [told] = &*wrong(&[(&[], &[1]), (&[2], &[2])]) else { panic!() };
        assert!(told.contains("named behind its first signed round"), "{told}");
    }

    #[test]
    fn log_has_as_many_keys_as_a_ring() {
        let trusted = [];
        let mut succession = Succession::new(ORIGIN, &trusted);
        let report = |number: usize| KeyReport {
            verifier_key: number.to_string(),
            key_id: String::new(),
            from_size: 0,
            checkpoints: 1,
            trusted: false,
        };
        succession.reports.extend((1..MAX_RING_KEYS).map(report));
        assert_eq!(succession.name(&key(1).to_string()), Ok(()));
        succession.reports.push(report(MAX_RING_KEYS));
        assert!(succession.name(&key(2).to_string()).unwrap_err().contains("one more than"));
    }
}
