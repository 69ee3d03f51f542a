//! The sections `[[escalation.sink]]`: who is told when something needs people.
//!
//! A key that a kind has no use for is refused here; secrets and certificates are read when the appliance starts.

use std::path::{Path, PathBuf};

use assent_escalation::limits::{MAX_SINK_DEADLINE, MAX_SINKS, SINK_DEADLINE};
use assent_escalation::{Severity, SinkConfig, SinkKind};
use toml::Value;

use super::ConfigError;
use super::reader::{Reader, Section, is_path};
use super::sections::MILLISECOND;

const SINK: &str = "escalation.sink";

/// `[[escalation.sink]]`: who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Escalation {
    /// Each of them; nobody is told where there is none.
    pub sinks: Vec<SinkConfig>,
}

impl Escalation {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut sinks: Vec<SinkConfig> = Vec::new();
        for (table, number) in reader.items("escalation", "sink")?.into_iter().zip(1..) {
            let mut section = reader.item(SINK, number, table);
            let sink = read_sink(&mut section)?;
            if sinks.iter().any(|other| other.name == sink.name) {
                return Err(section.misfit("name", &sink.name, "a name that no sink before it has"));
            }
            if number > MAX_SINKS {
                let allowed = format!("one of at most {MAX_SINKS} sinks");
                return Err(section.misfit("name", &sink.name, &allowed));
            }
            let (path, line) = section.place();
            sink.check_keys().map_err(|source| ConfigError::Sink { path, line, source })?;
            section.finish()?;
            sinks.push(sink);
        }
        Ok(Self { sinks })
    }

    /// The files with secrets, which are nobody else's business.
    pub fn secrets(&self) -> impl Iterator<Item = &PathBuf> {
        self.sinks.iter().flat_map(|sink| [&sink.secret_file, &sink.key_file]).flatten()
    }
}

fn read_sink(section: &mut Section<'_, '_>) -> Result<SinkConfig, ConfigError> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    // Without a default of its own, an absent one is refused with what is allowed.
    let name = section.value("name", "", "a name of letters, digits, - and _", text)?;
    let kinds: Vec<_> = SinkKind::ALL.iter().map(|kind| format!("\"{}\"", kind.label())).collect();
    let kind = section.value("kind", "", &format!("one of {}", kinds.join(", ")), |value| {
        SinkKind::from_label(value.as_str()?)
    })?;
    let severities = "\"info\", \"warning\", \"error\" or \"critical\"";
    Ok(SinkConfig {
        url: section.optional("url", "an address that begins with http:// or https://", text)?,
        secret_file: section.optional_path("secret_file")?,
        key_file: section.optional_path("key_file")?,
        ca_file: section.optional_path("ca_file")?,
        command: read_command(section)?,
        min_severity: section.value("min_severity", Severity::Warning.label(), severities, |value| {
            Severity::from_label(value.as_str()?)
        })?,
        deadline: Some(section.duration("deadline", SINK_DEADLINE, MILLISECOND..=MAX_SINK_DEADLINE)?),
        ..SinkConfig::new(&name, kind)
    })
}

/// A program, whose path may be relative to the file's folder, and its arguments.
fn read_command(section: &mut Section<'_, '_>) -> Result<Vec<String>, ConfigError> {
    let folder = section.folder();
    let allowed = "a list of texts: the path of a program, then its arguments";
    let command = section.optional("command", allowed, |value| {
        let words = value.as_array()?.iter().map(|word| word.as_str().filter(|word| !word.contains('\0')));
        let words: Option<Vec<&str>> = words.collect();
        let (program, arguments) = words.as_deref()?.split_first()?;
        let program = absolute(&folder, program)?;
        Some(std::iter::once(program).chain(arguments.iter().map(|word| (*word).to_owned())).collect())
    })?;
    Ok(command.unwrap_or_default())
}

fn absolute(folder: &Path, program: &str) -> Option<String> {
    let path = std::path::absolute(folder.join(program)).ok().filter(|_| is_path(program))?;
    path.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/etc/assent/assent.toml"))
    }

    fn refusal(text: &str) -> String {
        let error = parse(text).expect_err(text);
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    }

    /// The sinks of the example, turned on.
    fn example() -> String {
        let lines = Config::EXAMPLE.lines().filter_map(|line| line.strip_prefix('#'));
        lines.filter(|line| !line.starts_with(' ')).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn the_example_has_a_sink_of_each_kind() {
        let config = parse(&example()).unwrap();
        let kinds: Vec<SinkKind> = config.escalation.sinks.iter().map(|sink| sink.kind).collect();
        assert_eq!(kinds, SinkKind::ALL);
        let parsed = &config.escalation.sinks[0];
        assert_eq!(parsed.key_file.as_deref(), Some(Path::new("/etc/assent/escalation/webhook.key")));
        assert_eq!(
            (parsed.min_severity, parsed.deadline),
            (Severity::Warning, Some(Duration::from_secs(15)))
        );
        for key in [
            "name",
            "kind",
            "url",
            "secret_file",
            "key_file",
            "ca_file",
            "command",
            "min_severity",
            "deadline",
        ] {
            assert!(example().lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
        }
        assert!(parse("").unwrap().escalation.sinks.is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        let sink = |lines: &str| format!("\n[[escalation.sink]]\n{lines}\n");
        let slack = "name = \"a\"\nkind = \"slack\"\n";
        for (text, said) in [
            (
                "[escalation]\nsinks = []\n".to_owned(),
                ":2: `escalation.sinks` is unknown; here are allowed: sink",
            ),
            ("[escalation]\nsink = 1\n".to_owned(), ":2: `escalation.sink` cannot be 1"),
            (sink("kind = \"slack\""), "`escalation.sink.1.name` cannot be \"\"; it is a name"),
            (sink("name = \"a\"\nkind = \"email\""), ":4: `escalation.sink.1.kind` cannot be \"email\""),
            (sink(&format!("{slack}more = 1")), ":5: `escalation.sink.1.more` is unknown"),
            (
                sink(&format!("{slack}url = \"https://x\"")),
                ":2: this sink cannot be used: sink `a` is of the kind slack",
            ),
            (sink(&format!("{slack}command = []")), ":5: `escalation.sink.1.command` cannot be"),
            (sink(&format!("{slack}min_severity = \"high\"")), ":5: `escalation.sink.1.min_severity`"),
            (sink(&format!("{slack}deadline = \"2m\"")), ":5: `escalation.sink.1.deadline`"),
            (sink(slack) + &sink(slack), ":8: `escalation.sink.2.name` cannot be \"a\""),
            (sink("name = \"a b\"\nkind = \"slack\""), "`a b` is no name of a sink"),
        ] {
            let refused = refusal(&text);
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_program_lies_where_the_file_does() {
        let text = "[[escalation.sink]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"bin/page\", \"x\"]\n";
        assert_eq!(parse(text).unwrap().escalation.sinks[0].command, ["/etc/assent/bin/page", "x"]);
    }
}
