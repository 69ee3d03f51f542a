//! Writing: the same form that `read` takes.

use assent_proto::intent::{OnUnavailable, Priority};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

use crate::extension::{Datetime, Duration};
use crate::intent::Intent;
use crate::value::Value;

impl Serialize for Intent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("action", &self.action.to_string())?;
        map.serialize_entry("resource", &self.resource.to_string())?;
        map.serialize_entry("context", &self.context)?;
        map.serialize_entry("audience", &self.audience)?;
        map.serialize_entry("window", &window(self).map_err(S::Error::custom)?)?;
        map.serialize_entry("uses", &self.uses)?;
        map.serialize_entry("priority", &self.priority.map(priority))?;
        map.serialize_entry("on_unavailable", on_unavailable(self.on_unavailable))?;
        map.end()
    }
}

fn window(intent: &Intent) -> Result<Option<String>, &'static str> {
    let Some(window) = intent.window else {
        return Ok(None);
    };
    let ms = i64::try_from(window.as_millis()).map_err(|_| "window: longer than a duration can be")?;
    Ok(Some(Duration(ms).to_string()))
}

const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Critical => "critical",
    }
}

const fn on_unavailable(what: OnUnavailable) -> &'static str {
    match what {
        OnUnavailable::Fail => "fail",
        OnUnavailable::Queue => "queue",
        OnUnavailable::Warrant => "warrant",
    }
}

/// `{"__extn":{"fn":..,"arg":..}}`.
#[derive(serde::Serialize)]
struct ExtensionEscape {
    #[serde(rename = "__extn")]
    call: Call,
}

#[derive(serde::Serialize)]
struct Call {
    #[serde(rename = "fn")]
    function: &'static str,
    arg: String,
}

/// `{"__entity":{"type":..,"id":..}}`.
#[derive(serde::Serialize)]
struct EntityEscape<'v> {
    #[serde(rename = "__entity")]
    uid: TypeAndId<'v>,
}

#[derive(serde::Serialize)]
struct TypeAndId<'v> {
    #[serde(rename = "type")]
    type_name: &'v str,
    id: &'v str,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = |function, arg| ExtensionEscape { call: Call { function, arg } };
        match self {
            Self::Bool(value) => value.serialize(serializer),
            Self::Long(value) => value.serialize(serializer),
            Self::String(value) => value.serialize(serializer),
            Self::Set(elements) => elements.serialize(serializer),
            Self::Record(record) => record.serialize(serializer),
            Self::Entity(uid) => EntityEscape { uid: TypeAndId { type_name: &uid.type_name, id: &uid.id } }
                .serialize(serializer),
            Self::Decimal(decimal) => call("decimal", decimal.to_string()).serialize(serializer),
            Self::Ip(ip) => call("ip", ip.to_string()).serialize(serializer),
            Self::Duration(span) => call("duration", span.to_string()).serialize(serializer),
            Self::Datetime(time) => {
                let text = time.to_string();
                if text.parse::<Datetime>().is_err() {
                    return Err(S::Error::custom("datetime is not within the years 0000 to 9999"));
                }
                call("datetime", text).serialize(serializer)
            }
        }
    }
}
