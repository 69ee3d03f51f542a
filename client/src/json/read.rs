//! Reading: visitors over whatever serde is given, so that an error is raised where the offending byte is.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::unknown;
use crate::extension::{self, Datetime, Decimal, Ip};
use crate::intent::{Intent, OnUnavailable, Priority};
use crate::quote::quoted;
use crate::uid::Uid;
use crate::value::Value;

/// Puts the name of a field before what is wrong with it.
fn named<T, E: de::Error>(name: &str, result: Result<T, E>) -> Result<T, E> {
    result.map_err(|error| E::custom(format_args!("{}: {error}", quoted(name))))
}

/// A field of an intent as it is filled: at most once.
struct Field<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Field<T> {
    const fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn fill<'de, A: MapAccess<'de>, S>(&mut self, map: &mut A, make: fn(S) -> T) -> Result<(), A::Error>
    where
        S: Deserialize<'de>,
    {
        if self.value.is_some() {
            return Err(de::Error::custom(format_args!("{}: given twice", self.name)));
        }
        self.value = Some(make(named(self.name, map.next_value())?));
        Ok(())
    }

    fn required<E: de::Error>(self) -> Result<T, E> {
        self.value.ok_or_else(|| E::custom(format_args!("{}: missing", self.name)))
    }
}

impl<'de> Deserialize<'de> for Intent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(IntentVisitor)
    }
}

struct IntentVisitor;

impl<'de> Visitor<'de> for IntentVisitor {
    type Value = Intent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an intent: an object with `action`, `resource` and `audience`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Intent, A::Error> {
        let mut action = Field::new("action");
        let mut resource = Field::new("resource");
        let mut context = Field::new("context");
        let mut audience = Field::<String>::new("audience");
        let mut window = Field::new("window");
        let mut uses = Field::<Option<u16>>::new("uses");
        let mut priority = Field::new("priority");
        let mut on_unavailable = Field::new("on_unavailable");
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "action" => action.fill(&mut map, |Text(uid)| uid)?,
                "resource" => resource.fill(&mut map, |Text(uid)| uid)?,
                "context" => context.fill(&mut map, |Context(record)| record)?,
                "audience" => audience.fill(&mut map, |name| name)?,
                "window" => {
                    window.fill(&mut map, |text: Option<Text<Window>>| text.map(|Text(Window(w))| w))?
                }
                "uses" => uses.fill(&mut map, |uses| uses)?,
                "priority" => priority.fill(&mut map, |word: Option<Word>| word)?,
                "on_unavailable" => on_unavailable.fill(&mut map, |word: Word| word)?,
                other => return Err(de::Error::custom(unknown(other))),
            }
        }
        Ok(Intent {
            action: action.required()?,
            resource: resource.required()?,
            context: context.value.unwrap_or_default(),
            audience: audience.required()?,
            window: window.value.flatten(),
            uses: uses.value.flatten(),
            priority: priority.value.flatten().map(|word| word.priority()).transpose()?,
            on_unavailable: on_unavailable
                .value
                .map(|word| word.on_unavailable())
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

/// One of a few words.
#[derive(serde::Deserialize)]
struct Word(String);

impl Word {
    fn priority<E: de::Error>(&self) -> Result<Priority, E> {
        match self.0.as_str() {
            "low" => Ok(Priority::Low),
            "normal" => Ok(Priority::Normal),
            "high" => Ok(Priority::High),
            "critical" => Ok(Priority::Critical),
            other => Err(E::custom(format_args!(
                "priority: `{}` is not low, normal, high or critical",
                quoted(other)
            ))),
        }
    }

    fn on_unavailable<E: de::Error>(&self) -> Result<OnUnavailable, E> {
        match self.0.as_str() {
            "fail" => Ok(OnUnavailable::Fail),
            "queue" => Ok(OnUnavailable::Queue),
            "warrant" => Ok(OnUnavailable::Warrant),
            other => Err(E::custom(format_args!(
                "on_unavailable: `{}` is not fail, queue or warrant",
                quoted(other)
            ))),
        }
    }
}

/// Whatever a text stands for.
struct Text<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextVisitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

/// Whole seconds, written as a Cedar duration.
struct Window(Duration);

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ms = text.parse::<extension::Duration>().ok().and_then(|span| u64::try_from(span.0).ok());
        ms.filter(|ms| ms % 1000 == 0)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(|| format!("`{}` is no window of whole seconds, such as 30s, 5m or 1h", quoted(text)))
    }
}

/// The record that a context is.
struct Context(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Record(record) => Ok(Self(record)),
            Value::Bool(_)
            | Value::Long(_)
            | Value::String(_)
            | Value::Entity(_)
            | Value::Set(_)
            | Value::Decimal(_)
            | Value::Ip(_)
            | Value::Datetime(_)
            | Value::Duration(_) => Err(de::Error::custom("a context is an object")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Cedar value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Long(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value)
            .map(Value::Long)
            .map_err(|_| E::custom(format_args!("{value} does not fit 64 bits with a sign")))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Err(E::custom(format_args!(
            "{value} is a float, which Cedar does not have: use a whole number or {{\"__extn\":{{\"fn\":\"decimal\",\"arg\":\"...\"}}}}"
        )))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Err(E::custom("null, which Cedar does not have: leave the attribute out"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Value::Set(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut record = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let escape: Option<Value> = match key.as_str() {
                "__entity" => Some(named(&key, map.next_value::<EntityEscape>())?.into()),
                "__extn" => {
                    Some(named(&key, map.next_value::<ExtensionEscape>()).and_then(ExtensionEscape::value)?)
                }
                "__expr" => return Err(de::Error::custom("__expr: no longer in Cedar's JSON")),
                _ => None,
            };
            if let Some(value) = escape {
                let alone = record.is_empty() && map.next_key::<String>()?.is_none();
                return if alone {
                    Ok(value)
                } else {
                    Err(de::Error::custom(format_args!("{key}: must stand alone")))
                };
            }
            match record.entry(key) {
                Entry::Occupied(entry) => {
                    return Err(de::Error::custom(format_args!("{}: given twice", quoted(entry.key()))));
                }
                Entry::Vacant(entry) => {
                    let value = named(entry.key(), map.next_value())?;
                    entry.insert(value);
                }
            }
        }
        Ok(Value::Record(record))
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityEscape {
    #[serde(rename = "type")]
    type_name: String,
    id: String,
}

impl From<EntityEscape> for Value {
    fn from(EntityEscape { type_name, id }: EntityEscape) -> Self {
        Self::Entity(Uid { type_name, id })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtensionEscape {
    #[serde(rename = "fn")]
    function: String,
    arg: String,
}

impl ExtensionEscape {
    fn value<E: de::Error>(self) -> Result<Value, E> {
        let arg = self.arg.as_str();
        match self.function.as_str() {
            "decimal" => arg.parse::<Decimal>().map(Value::from),
            "ip" => arg.parse::<Ip>().map(Value::from),
            "datetime" => arg.parse::<Datetime>().map(Value::from),
            "duration" => arg.parse::<extension::Duration>().map(Value::from),
            other => {
                return Err(E::custom(format_args!(
                    "__extn: `{}` is not decimal, ip, datetime or duration",
                    quoted(other)
                )));
            }
        }
        .map_err(|error| E::custom(format_args!("__extn: {error}")))
    }
}
