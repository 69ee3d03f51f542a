//! The predecessor of a log: what operators sign when they open log n+1 in place of log n, and whether two logs fit it.
//!
//! The rule it keeps: the statement names both logs, the new log's key, and every last head of the old one that anybody
//! knows, each with its signature; so an auditor needs nobody's word for how the old log ended. A head may be missing, and
//! heads may contradict one another: that is why the log is abandoned. Who may sign is not known here.
//! (`proto/FORMAT.md`, section 8.)

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};

use assent_proto::checkpoint::{Checkpoint, check_origin};
use assent_proto::entry::{Entry, OperatorAct};
use assent_proto::hash::Hash;
use assent_proto::note::{Note, VerifierKey};
use assent_proto::number::TreeSize;

use super::SignedCheckpoint;
use super::fence::signed_note;
use super::reader::Reader;
use super::store::StoreError;
use crate::limits::MAX_SUCCESSION_REASON_BYTES;

/// The namespace of the signatures: `ssh-keygen -Y sign -n assent-succession@v1`.
pub const NAMESPACE: &str = "assent-succession@v1";
/// What the log calls the act.
pub const ACT: &str = "succession";
/// What a statement begins with.
const FIRST: &str = "assent/succession/v1";
/// What a head's line says where there is no checkpoint.
const NONE: &str = "none";
/// What it says where the place could not be read, or was not.
const UNREAD: &str = "unread";
/// What every signature line of a note begins with.
const SIGNATURE_LINE: &str = "\u{2014} ";

/// The last head of a log, as one place tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// There is no signed checkpoint.
    None,
    /// It could not be read, or was not.
    Unread,
    /// This one.
    Signed {
        /// Leaves that it covers.
        size: TreeSize,
        /// Their root hash.
        root: Hash,
        /// The signed note.
        note: String,
    },
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The log that is abandoned.
    pub from: String,
    /// The log that is opened.
    pub to: String,
    /// The key that it is founded for, in C2SP form.
    pub key: String,
    /// The head of the log itself.
    pub log: Head,
    /// The head that the fence's file keeps.
    pub fence: Head,
    /// The head that the HSM keeps.
    pub hsm: Head,
    /// Why, in one line.
    pub reason: String,
}

impl Head {
    /// This checkpoint of the log of this origin.
    #[must_use]
    pub fn of(origin: &str, signed: Option<&SignedCheckpoint>) -> Self {
        signed.map_or(Self::None, |signed| Self::Signed {
            size: signed.size,
            root: signed.root,
            note: signed_note(origin, signed),
        })
    }

    /// Leaves that it covers.
    #[must_use]
    pub const fn size(&self) -> Option<TreeSize> {
        match self {
            Self::None | Self::Unread => None,
            Self::Signed { size, .. } => Some(*size),
        }
    }

    fn parse(origin: &str, line: &str) -> Option<Self> {
        match line {
            NONE => return Some(Self::None),
            UNREAD => return Some(Self::Unread),
            _ => {}
        }
        let mut words = line.split(' ');
        let (size, root) = (words.next()?, words.next()?);
        let signatures: String = words.map(|blob| format!("{SIGNATURE_LINE}{origin} {blob}\n")).collect();
        let note = format!("{origin}\n{size}\n{root}\n\n{signatures}");
        let text = Note::parse(&note).ok()?.text().len();
        let Checkpoint { size, root, .. } = Checkpoint::parse(note.get(..text)?).ok()?;
        Some(Self::Signed { size, root, note })
    }

    /// Size, root and signatures: what of the note the statement does not say elsewhere.
    fn line(&self) -> String {
        let note = match self {
            Self::None => return NONE.to_owned(),
            Self::Unread => return UNREAD.to_owned(),
            Self::Signed { note, .. } => note,
        };
        let words = note.lines().skip(1).filter(|line| !line.is_empty());
        let words: Vec<&str> = words.map(|line| line.rsplit(' ').next().unwrap_or(line)).collect();
        words.join(" ")
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { from, to, key, log, fence, hsm, reason } = self;
        write!(f, "{FIRST}\nfrom {from}\nto {to}\nkey {key}\n")?;
        write!(f, "log {}\nfence {}\nhsm {}\nreason {reason}\n", log.line(), fence.line(), hsm.line())
    }
}

/// Whether a reason is one line that people can read, of at most [`MAX_SUCCESSION_REASON_BYTES`].
#[must_use]
pub fn is_reason(text: &str) -> bool {
    let plain = !text.chars().any(char::is_control) && text.trim() == text;
    plain && (1..=MAX_SUCCESSION_REASON_BYTES).contains(&text.len())
}

/// An act of that name is the first leaf of a log that is not its appliance's first, and stands nowhere else.
pub(super) fn in_its_place(origin: &str, index: u64, act: &OperatorAct<'_>) -> Result<(), String> {
    if act.act != ACT {
        return Ok(());
    }
    if index > 0 {
        return Err("operators opened the log here, and its first leaf lies before".to_owned());
    }
    match origin.rsplit('/').next() {
        Some("1") => Err("operators opened the log in place of another, and it is the first one".to_owned()),
        Some(_) | None => Ok(()),
    }
}

impl Statement {
    /// Parses a statement, which is these lines and no others.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        (lines.next()? == FIRST).then_some(())?;
        let mut line = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let (from, to, key) = (line("from")?, line("to")?, line("key")?);
        let heads = [line("log")?, line("fence")?, line("hsm")?];
        let reason = line("reason")?;
        lines.next().is_none().then_some(())?;
        let [log, fence, hsm] = heads.map(|head| Head::parse(from, head));
        let named = VerifierKey::parse(key).is_ok_and(|key| key.name() == to);
        let well = named && check_origin(from).is_ok() && is_reason(reason);
        well.then_some(())?;
        Some(Self {
            from: from.to_owned(),
            to: to.to_owned(),
            key: key.to_owned(),
            log: log?,
            fence: fence?,
            hsm: hsm?,
            reason: reason.to_owned(),
        })
    }

    /// The statement that the first leaf of a log holds; none where the log has no predecessor, or says what is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(log: &Reader) -> Result<Option<Self>, StoreError> {
        if log.size()?.0 == 0 {
            return Ok(None);
        }
        let leaves = log.leaves(0..1)?;
        Ok(leaves.iter().next().and_then(Self::in_leaf))
    }

    /// The statement in this leaf, if it is of that act.
    #[must_use]
    pub fn in_leaf(leaf: &[u8]) -> Option<Self> {
        match Entry::parse(leaf) {
            Ok(Entry::Operator(act)) if act.act == ACT => Self::parse(act.statement),
            Ok(_) | Err(_) => None,
        }
    }

    /// The heads, each with the name of its place.
    #[must_use]
    pub const fn heads(&self) -> [(&'static str, &Head); 3] {
        [("log", &self.log), ("fence", &self.fence), ("hsm", &self.hsm)]
    }

    /// Leaves that the newest head covers.
    #[must_use]
    pub fn newest(&self) -> Option<TreeSize> {
        self.heads().iter().filter_map(|(_, head)| head.size()).max()
    }

    /// Leaves that were signed at the end, as far as anybody knew. Where no place has a checkpoint there were none; where one could not
    /// be read either, nobody knows.
    fn known_end(&self) -> Option<TreeSize> {
        let is_none = self.heads().iter().all(|(_, head)| **head == Head::None);
        self.newest().or(is_none.then_some(TreeSize(0)))
    }
}

/// How a log fits the statement of the one that says it follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Places whose head is in the log, at its size.
    pub agreed: Vec<&'static str>,
    /// Places whose head has another root at its size: two histories, one of which this log is.
    pub contradicted: Vec<&'static str>,
    /// Places whose head lies behind the end of this log, which is older.
    pub ahead: Vec<&'static str>,
    /// What must not be.
    pub wrong: Vec<String>,
}

impl Statement {
    /// Holds the heads against the log that is said to be abandoned. Whether that log verifies is another question.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fits(&self, predecessor: &Reader) -> Result<Fit, StoreError> {
        let (mut fit, origin) = (Fit::default(), predecessor.identity()?.origin);
        if origin != self.from {
            fit.wrong
                .push(format!("the predecessor that is named is `{}`, and this is `{origin}`", self.from));
            return Ok(fit);
        }
        let end = predecessor.checkpoint()?.map(|signed| signed.size).unwrap_or_default();
        for (place, head) in self.heads() {
            let Head::Signed { size, root, .. } = head else { continue };
            if *size > end {
                fit.ahead.push(place);
            } else if predecessor.frontier(*size)?.root() == *root {
                fit.agreed.push(place);
            } else {
                fit.contradicted.push(place);
            }
        }
        if let Some(known) = self.known_end().filter(|known| end > *known) {
            fit.wrong.push(format!(
                "it went on to {end} signed leaves; the last head that was known covers {known}"
            ));
        }
        if self.newest().is_some() && fit.agreed.is_empty() {
            fit.wrong.push("it leads to none of the heads that are named".to_owned());
        }
        Ok(fit)
    }

    /// Whether the new log is founded for one of these keys of the old one, whatever its name is there: who holds that could go
    /// on in both.
    #[must_use]
    pub fn is_for_one_of(&self, old: &[VerifierKey<'_>]) -> bool {
        VerifierKey::parse(&self.key).is_ok_and(|key| old.iter().any(|old| old.key() == key.key()))
    }

    /// Places whose head is signed by none of these keys.
    #[must_use]
    pub fn unverified(&self, keys: &[VerifierKey<'_>]) -> Vec<&'static str> {
        let good = |head: &Head| match head {
            Head::None | Head::Unread => true,
            Head::Signed { note, .. } => {
                Note::parse(note).is_ok_and(|note| keys.iter().any(|key| note.verify(key).is_ok()))
            }
        };
        self.heads().into_iter().filter(|(_, head)| !good(head)).map(|(place, _)| place).collect()
    }
}
