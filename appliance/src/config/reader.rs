//! The reader: takes each key out of the file, notes where its value came from, and refuses what is left over.
//!
//! A default is a text of the same form as in the file and goes through the same parser, so that what the documentation
//! shows as the default can be written down and means the same.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::units::{parse_duration, parse_size, show_duration, show_size};
use super::{ConfigError, Origin, Setting};

/// Bytes of a value that an error repeats.
const MAX_SHOWN_CHARS: usize = 60;

/// A file that is being read, section by section.
pub(super) struct Reader<'a> {
    path: &'a Path,
    table: Table,
    /// In which line each key stands, by its dotted name.
    lines: BTreeMap<String, usize>,
    sections: Vec<&'static str>,
    settings: Vec<Setting>,
}

/// A section that is being read, key by key.
pub(super) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    name: String,
    table: Table,
    keys: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &str, path: &'a Path) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError::Syntax { path: path.to_owned(), line, message: error.message().to_owned() }
        };
        let spans = DeTable::parse(text).map_err(syntax)?;
        let table = toml::from_str(text).map_err(syntax)?;
        let mut lines = BTreeMap::new();
        note_lines(text, spans.get_ref(), "", &mut lines);
        Ok(Self { path, table, lines, sections: Vec::new(), settings: Vec::new() })
    }

    pub(super) fn section(&mut self, name: &'static str) -> Result<Section<'_, 'a>, ConfigError> {
        self.sections.push(name);
        let table = match self.table.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => return Err(self.wrong(name, &other, format!("a section: [{name}]"))),
        };
        Ok(Section { reader: self, name: name.to_owned(), table, keys: Vec::new() })
    }

    /// What the array `[[section.item]]` holds, table by table; the section has nothing else.
    pub(super) fn items(
        &mut self,
        name: &'static str,
        item: &'static str,
    ) -> Result<Vec<Table>, ConfigError> {
        let mut section = self.section(name)?;
        let tables = section.tables(item)?;
        section.finish()?;
        Ok(tables)
    }

    /// One of them, by its number from 1.
    pub(super) fn item(&mut self, dotted: &str, number: usize, table: Table) -> Section<'_, 'a> {
        Section { reader: self, name: format!("{dotted}.{number}"), table, keys: Vec::new() }
    }

    /// Every value that was read; refuses sections that were not asked for.
    pub(super) fn finish(self) -> Result<Vec<Setting>, ConfigError> {
        match self.table.keys().next() {
            None => Ok(self.settings),
            Some(key) => {
                let sections: Vec<_> = self.sections.iter().map(|name| format!("[{name}]")).collect();
                Err(self.unknown(key, &sections.join(", ")))
            }
        }
    }

    fn line(&self, key: &str) -> usize {
        self.lines.get(key).copied().unwrap_or(1)
    }

    fn unknown(&self, key: &str, allowed: &str) -> ConfigError {
        ConfigError::Unknown {
            path: self.path.to_owned(),
            line: self.line(key),
            key: key.to_owned(),
            allowed: allowed.to_owned(),
        }
    }

    fn wrong(&self, key: &str, found: &Value, allowed: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            line: self.line(key),
            key: key.to_owned(),
            found: shown(found),
            allowed: allowed.into(),
        }
    }
}

impl Section<'_, '_> {
    /// A value of any form. `allowed` completes "it is ...".
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        default: impl Into<Value>,
        allowed: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let (value, origin) = self.take(key).unwrap_or_else(|| (default.into(), Origin::Default));
        let parsed = parse(&value).ok_or_else(|| self.reader.wrong(&self.dotted(key), &value, allowed))?;
        self.note(key, Some(value), origin);
        Ok(parsed)
    }

    /// A value that may be absent.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((value, origin)) = self.take(key) else {
            self.note(key, None, Origin::Default);
            return Ok(None);
        };
        let parsed = parse(&value).ok_or_else(|| self.reader.wrong(&self.dotted(key), &value, allowed))?;
        self.note(key, Some(value), origin);
        Ok(Some(parsed))
    }

    /// What the array `[[section.item]]` holds, table by table.
    pub(super) fn tables(&mut self, item: &'static str) -> Result<Vec<Table>, ConfigError> {
        self.keys.push(item);
        let dotted = self.dotted(item);
        let wrong = |value: &Value| self.reader.wrong(&dotted, value, format!("sections: [[{dotted}]]"));
        let Some(value) = self.table.remove(item) else { return Ok(Vec::new()) };
        let Value::Array(items) = &value else { return Err(wrong(&value)) };
        items.iter().map(|item| item.as_table().cloned().ok_or_else(|| wrong(item))).collect()
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> Result<bool, ConfigError> {
        self.value(key, default, "true or false", Value::as_bool)
    }

    pub(super) fn integer(
        &mut self,
        key: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.value(key, i64::from(default), &allowed, |value| {
            u32::try_from(value.as_integer()?).ok().filter(|number| range.contains(number))
        })
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Result<Duration, ConfigError> {
        let default = show_duration(default);
        self.value(key, default, &durations(&range), |value| duration_in(&range, value))
    }

    pub(super) fn optional_duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, ConfigError> {
        self.optional(key, &durations(&range), |value| duration_in(&range, value))
    }

    pub(super) fn size(
        &mut self,
        key: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        let show = |bytes: &u32| show_size(u64::from(*bytes));
        let allowed = format!(
            "a size from \"{}\" to \"{}\", with its unit: B, KiB, MiB or GiB",
            show(range.start()),
            show(range.end())
        );
        self.value(key, show(&default), &allowed, |value| {
            u32::try_from(parse_size(value.as_str()?)?).ok().filter(|bytes| range.contains(bytes))
        })
    }

    /// A path; relative ones are made relative to the file's folder.
    pub(super) fn path(&mut self, key: &'static str, default: &str) -> Result<PathBuf, ConfigError> {
        let folder = self.folder();
        let resolve =
            |value: &Value| value.as_str().filter(|text| is_path(text)).map(|text| folder.join(text));
        let path = self.value(key, default, "a path", resolve)?;
        self.shown_as(key, &path);
        Ok(path)
    }

    /// A path that may be absent.
    pub(super) fn optional_path(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let folder = self.folder();
        let resolve =
            |value: &Value| value.as_str().filter(|text| is_path(text)).map(|text| folder.join(text));
        let path = self.optional(key, "a path", resolve)?;
        if let Some(path) = &path {
            self.shown_as(key, path);
        }
        Ok(path)
    }

    /// The folder that paths are relative to: the file's own.
    pub(super) fn folder(&self) -> PathBuf {
        self.reader.path.parent().unwrap_or_else(|| Path::new("")).to_owned()
    }

    /// Notes a path as it is used, not as it is written.
    pub(super) fn shown_as(&mut self, key: &str, path: &Path) {
        let key = self.dotted(key);
        if let Some(setting) = self.reader.settings.iter_mut().rev().find(|setting| setting.key == key) {
            setting.value = Some(Value::String(path.display().to_string()));
        }
    }

    /// Whether the file sets this key, which was not read yet.
    pub(super) fn sets(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn beside(&self, key: &str, other: &str) -> ConfigError {
        let key = self.dotted(key);
        ConfigError::Beside {
            path: self.reader.path.to_owned(),
            line: self.reader.line(&key),
            key,
            other: self.dotted(other),
        }
    }

    /// Where the section begins.
    pub(super) fn place(&self) -> (PathBuf, usize) {
        (self.reader.path.to_owned(), self.reader.line(&self.name))
    }

    /// A value that was read well and does not fit the others.
    pub(super) fn misfit(&self, key: &str, found: &str, allowed: &str) -> ConfigError {
        self.reader.wrong(&self.dotted(key), &Value::String(found.to_owned()), allowed)
    }

    /// A table of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<BTreeMap<String, String>, ConfigError> {
        let Some((value, origin)) = self.take(key) else {
            self.note(key, Some(Value::Table(Table::new())), Origin::Default);
            return Ok(BTreeMap::new());
        };
        let dotted = self.dotted(key);
        let Value::Table(table) = value else {
            return Err(self.reader.wrong(&dotted, &value, format!("a section: [{dotted}]")));
        };
        let mut texts = BTreeMap::new();
        for (name, value) in &table {
            let text = value.as_str().filter(|text| !name.is_empty() && !text.contains('\0'));
            let text = text.ok_or_else(|| self.reader.wrong(&format!("{dotted}.{name}"), value, "a text"))?;
            texts.insert(name.clone(), text.to_owned());
        }
        self.note(key, Some(Value::Table(table)), origin);
        Ok(texts)
    }

    /// Refuses keys that were not asked for.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => Err(self.reader.unknown(&self.dotted(key), &self.keys.join(", "))),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(Value, Origin)> {
        self.keys.push(key);
        let value = self.table.remove(key)?;
        Some((value, Origin::File { line: self.reader.line(&self.dotted(key)) }))
    }

    fn note(&mut self, key: &str, value: Option<Value>, origin: Origin) {
        let key = self.dotted(key);
        self.reader.settings.push(Setting { key, value, origin });
    }

    fn dotted(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }
}

/// Whether a text can be a path at all.
pub(super) fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

fn durations(range: &RangeInclusive<Duration>) -> String {
    let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
    format!("a duration from \"{least}\" to \"{most}\", with its unit: ms, s, m, h or d")
}

fn duration_in(range: &RangeInclusive<Duration>, value: &Value) -> Option<Duration> {
    parse_duration(value.as_str()?).filter(|duration| range.contains(duration))
}

fn note_lines(text: &str, table: &DeTable<'_>, prefix: &str, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let dotted = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => note_lines(text, inner, &format!("{dotted}."), lines),
            DeValue::Array(items) => {
                for (item, number) in items.iter().zip(1..) {
                    if let DeValue::Table(inner) = item.get_ref() {
                        note_lines(text, inner, &format!("{dotted}.{number}."), lines);
                        lines.insert(format!("{dotted}.{number}"), line_of(text, item.span().start));
                    }
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
        lines.insert(dotted, line_of(text, key.span().start));
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The value as the file has it, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut cut: String =
        text.chars().take(MAX_SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}
