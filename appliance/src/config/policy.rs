//! The section `[policy]`: what decides, whence it comes, and who must have signed it.

use std::path::PathBuf;
use std::time::Duration;

use assent_evaluator::DEFAULT_BUDGET;

use super::ConfigError;
use super::reader::{Reader, Section, is_path};
use super::sections::{HOUR, MILLISECOND, MINUTE, SECOND, YEAR};
use crate::limits::MAX_OPERATORS;
use crate::operators::{ListError, Quorum};

const _: () = assert!(MAX_OPERATORS <= u32::MAX as usize, "a threshold's limit fits the key");

/// `[policy]`: what decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// Whether the folder is watched, and loaded when it changes.
    pub watch: bool,
    /// How often it is looked at.
    pub poll: Duration,
    /// How long the bundle may be used without its source being confirmed; for ever when absent.
    pub max_age: Option<Duration>,
    /// The most fuel that one evaluation may use; a bundle whose worst case is above it is refused.
    pub budget: u64,
    /// How long the evaluation of one batch may take.
    pub deadline: Duration,
    /// Whose signatures a bundle needs; none are asked for when absent.
    pub signers: Option<Signers>,
    /// How many of them must have signed.
    pub threshold: usize,
    /// A second bundle that is evaluated and counted, never obeyed.
    pub shadow: Option<PathBuf>,
}

/// Where the operators' keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signers {
    /// In the configuration, a line each.
    Lines(Vec<String>),
    /// In a file of allowed signers or authorized keys.
    File(PathBuf),
}

impl Policy {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("policy")?;
        let policy = Self {
            bundle: section.path("bundle", "bundle")?,
            watch: section.boolean("watch", true)?,
            poll: section.duration("poll", SECOND, 10 * MILLISECOND..=HOUR)?,
            max_age: section.optional_duration("max_age", SECOND..=YEAR)?,
            budget: budget(&mut section)?,
            deadline: section.duration("deadline", SECOND, MILLISECOND..=MINUTE)?,
            signers: signers(&mut section, "policy.signers")?,
            threshold: threshold(&mut section, "threshold", 1)?,
            shadow: section.optional_path("shadow")?,
        };
        if let Some(Signers::Lines(lines)) = policy.signers.as_ref().filter(|_| policy.quorum().is_err()) {
            let allowed = format!("a number that the {} keys of `policy.signers` can reach", lines.len());
            return Err(section.misfit("threshold", &policy.threshold.to_string(), &allowed));
        }
        section.finish()?;
        Ok(policy)
    }
}

fn budget(section: &mut Section<'_, '_>) -> Result<u64, ConfigError> {
    let default = i64::try_from(DEFAULT_BUDGET).unwrap_or(i64::MAX);
    let allowed =
        "a whole number of units of fuel, at least 1; `assent policy check` prints a bundle's worst case";
    section.value("budget", default, allowed, |value| {
        u64::try_from(value.as_integer()?).ok().filter(|fuel| *fuel > 0)
    })
}

/// Keys, a text each, or the path of a file with them.
pub(super) fn signers(
    section: &mut Section<'_, '_>,
    named: &'static str,
) -> Result<Option<Signers>, ConfigError> {
    let key = named.rsplit('.').next().unwrap_or(named);
    let folder = section.folder();
    let allowed =
        "a list of lines such as \"ssh-ed25519 AAAA... NAME\", or the path of a file with such lines";
    section.optional(key, allowed, |value| {
        let Some(lines) = value.as_array() else {
            let path = value.as_str().filter(|text| is_path(text))?;
            return Some(Signers::File(folder.join(path)));
        };
        let lines = lines.iter().map(|line| line.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
        let numbered = lines.iter().map(|line| (named.to_owned(), line.as_str()));
        Quorum::new(numbered, 1).is_ok().then_some(Signers::Lines(lines))
    })
}

/// How many must sign: at least `least`, which is the default too.
pub(super) fn threshold(
    section: &mut Section<'_, '_>,
    key: &'static str,
    least: u32,
) -> Result<usize, ConfigError> {
    // INVARIANT: the limit fits 32 bits, as is asserted above.
    let most = u32::try_from(MAX_OPERATORS).unwrap_or(u32::MAX);
    Ok(usize::try_from(section.integer(key, least, least..=most)?).unwrap_or(MAX_OPERATORS))
}

impl Policy {
    /// Who must sign bundles; none where nobody must.
    ///
    /// # Errors
    /// [`ListError`]: then no bundle can be taken.
    pub fn quorum(&self) -> Result<Option<Quorum>, ListError> {
        let quorum = |signers: &Signers| signers.quorum("policy.signers", self.threshold);
        self.signers.as_ref().map(quorum).transpose()
    }
}

impl Signers {
    /// The file that they are in, if they are in one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Lines(_) => None,
        }
    }

    /// These keys, of which so many must sign; `named` is the key of the configuration, for messages.
    ///
    /// # Errors
    /// [`ListError`].
    pub(super) fn quorum(&self, named: &str, threshold: usize) -> Result<Quorum, ListError> {
        match self {
            Self::File(path) => Quorum::from_file(path, threshold),
            Self::Lines(lines) => {
                let place = |line: usize| format!("`{named}`, key {line}");
                let numbered = (1..).zip(lines).map(|(number, line)| (place(number), line.as_str()));
                Quorum::new(numbered, threshold)
            }
        }
    }
}
