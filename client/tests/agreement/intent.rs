//! JSON to value to bytes and back: nothing is lost, and there is one encoding for one meaning.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use assent_client::extension;
use assent_client::proto::context::{Event, Ip as ReadIp};
use assent_client::proto::intent::Intent as Parsed;
use assent_client::{Datetime, Decimal, Intent, IntentError, Ip, OnUnavailable, Priority, Uid, Value, json};
use proptest::prelude::*;

use crate::appliance::cancel;

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Long),
        ".{0,12}".prop_map(Value::String),
        ("[A-Z][a-z]{0,4}(::[A-Z][a-z]{0,4})?", ".{0,8}")
            .prop_map(|(name, id)| Value::Entity(Uid::new(name, id))),
        any::<i64>().prop_map(|number| Value::Decimal(Decimal(number))),
        (-62_167_219_200_000_i64..253_402_300_800_000).prop_map(|ms| Value::Datetime(Datetime(ms))),
        any::<i64>().prop_map(|ms| Value::Duration(extension::Duration(ms))),
        (any::<[u8; 4]>(), 0_u8..=32).prop_map(|(v4, prefix)| Value::Ip(Ip::new(v4.into(), prefix).unwrap())),
        (any::<[u8; 16]>(), 0_u8..=128)
            .prop_map(|(v6, prefix)| Value::Ip(Ip::new(v6.into(), prefix).unwrap())),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Set),
            proptest::collection::btree_map("[a-zA-Z0-9 ]{0,6}", inner, 0..5).prop_map(Value::Record),
        ]
    })
}

prop_compose! {
    fn intents()(
        context in proptest::collection::btree_map("[a-z]{1,6}", values(), 0..6),
        id in any::<String>().prop_filter("an id has a limit", |id| id.len() < 1000),
        window in proptest::option::of(0_u64..=86_400),
        uses in any::<Option<u16>>(),
        priority in proptest::sample::select(vec![None, Some(Priority::Low), Some(Priority::Normal), Some(Priority::High)]),
        queue in any::<bool>(),
    ) -> Intent {
        Intent {
            context,
            window: window.map(Duration::from_secs),
            uses,
            priority,
            on_unavailable: if queue { OnUnavailable::Queue } else { OnUnavailable::Fail },
            ..Intent::new(Uid::new("Retail::Action", "act"), Uid::new("Retail::Order", id), "store-api")
        }
    }
}

/// Reads a record whose beginning has been read; sets come back in the order of their bytes.
fn read_record<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> BTreeMap<String, Value> {
    let mut record = BTreeMap::new();
    loop {
        let next = events.next().unwrap();
        if next == Event::End {
            return record;
        }
        let Event::Key(key) = next else { panic!("{next:?} where a key must be") };
        let event = events.next().unwrap();
        record.insert(key.to_owned(), read_value(event, events));
    }
}

fn read_value<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Bool(value) => Value::Bool(value),
        Event::Long(number) => Value::Long(number),
        Event::String(text) => Value::String(text.to_owned()),
        Event::Entity(uid) => Value::Entity(uid.into()),
        Event::Decimal(number) => Value::Decimal(Decimal(number)),
        Event::Datetime(ms) => Value::Datetime(Datetime(ms)),
        Event::Duration(ms) => Value::Duration(extension::Duration(ms)),
        Event::Ip(ReadIp::V4(address, prefix)) => Value::Ip(Ip::new(IpAddr::from(address), prefix).unwrap()),
        Event::Ip(ReadIp::V6(address, prefix)) => Value::Ip(Ip::new(IpAddr::from(address), prefix).unwrap()),
        Event::Record(_) => Value::Record(read_record(events)),
        Event::Set(count) => {
            let elements = (0..count).map(|_| {
                let event = events.next().unwrap();
                read_value(event, events)
            });
            let elements = elements.collect();
            assert_eq!(events.next(), Some(Event::End));
            Value::Set(elements)
        }
        Event::Key(_) | Event::End => panic!("{event:?} where a value must be"),
    }
}

/// The owned intent that canonical bytes stand for.
fn read_back(bytes: &[u8]) -> Intent {
    let parsed = Parsed::parse(bytes).unwrap();
    let mut events = parsed.act.context.events().map(Result::unwrap);
    assert!(matches!(events.next(), Some(Event::Record(_))));
    Intent {
        context: read_record(&mut events),
        window: parsed.terms.window_s.map(|seconds| Duration::from_secs(u64::from(seconds))),
        uses: parsed.terms.uses,
        priority: parsed.terms.priority,
        on_unavailable: parsed.terms.on_unavailable,
        ..Intent::new(parsed.act.action.into(), parsed.act.resource.into(), parsed.terms.audience)
    }
}

proptest! {
    #[test]
    fn json_and_bytes_give_the_intent_back(intent in intents()) {
        let json = intent.to_json().unwrap();
        prop_assert_eq!(&Intent::from_json(&json).unwrap(), &intent);

        let encoded = intent.encode().unwrap();
        let canonical = read_back(encoded.bytes());
        prop_assert_eq!(canonical.encode().unwrap(), encoded.clone());
        let through_json = Intent::from_json(&canonical.to_json().unwrap()).unwrap();
        prop_assert_eq!(through_json.encode().unwrap(), encoded);
    }

    #[test]
    fn order_and_repetition_in_a_set_mean_nothing(elements in proptest::collection::vec(values(), 0..6)) {
        let once = cancel("#W1").with("set", Value::Set(elements.clone()));
        let mut doubled = elements.clone();
        doubled.extend(elements.into_iter().rev());
        let twice = cancel("#W1").with("set", Value::Set(doubled));
        prop_assert_eq!(once.encode().unwrap().digest(), twice.encode().unwrap().digest());
    }

    #[test]
    fn no_text_makes_reading_panic(text in ".{0,200}") {
        let _ = Intent::from_json(&text);
    }
}

#[test]
fn terms_do_not_change_the_digest_but_the_context_does() {
    let intent = cancel("#W1");
    let digest = intent.encode().unwrap().digest();
    let other_terms = Intent { uses: Some(7), audience: "elsewhere".to_owned(), ..intent.clone() };
    assert_eq!(other_terms.encode().unwrap().digest(), digest);
    assert_ne!(intent.with("amount", 1251).encode().unwrap().digest(), digest);
}

#[test]
fn limits_of_the_formats_are_told_by_name() {
    let error = |intent: Intent| intent.encode().unwrap_err().to_string();
    assert_eq!(error(cancel(&"x".repeat(1025))), "entity id has 1025 bytes, at most 1024 are allowed");
    assert_eq!(
        error(cancel("#W1").with("k".repeat(257), true)),
        "context key has 257 bytes, at most 256 are allowed"
    );
    assert_eq!(error(cancel("#W1").with("many", vec![0; 1024])), "context has more than 1024 values");
    let nested = (0..8).fold(Value::Bool(true), |inner, _| Value::Set(vec![inner]));
    assert_eq!(error(cancel("#W1").with("deep", nested)), "context is nested deeper than 8 sets and records");
    let half = Intent { window: Some(Duration::from_millis(1500)), ..cancel("#W1") };
    assert!(matches!(half.encode(), Err(IntentError::Window(_))));
    let longest = Intent { window: Some(Duration::from_secs(86_401)), ..cancel("#W1") };
    assert!(matches!(longest.encode(), Err(IntentError::Window(_))));
}

/// An intent with this in its context, and the rest as it should be.
fn json_with(context: &str) -> String {
    format!(
        r##"{{"action":"Retail::Action::\"cancel\"","resource":"Retail::Order::\"#W1\"",
"context":{context},
"audience":"store-api"}}"##
    )
}

#[test]
fn what_cedar_does_not_have_is_refused_by_field_and_line() {
    for (context, message) in [
        (r#"{"total":1.5}"#, "context: total: 1.5 is a float"),
        (r#"{"a":{"b":[1,null]}}"#, "context: a: b: null, which Cedar does not have"),
        (r#"{"n":9223372036854775808}"#, "context: n: 9223372036854775808 does not fit"),
        (r#"{"n":1,"n":1}"#, "context: n: given twice"),
        (
            r#"{"e":{"__entity":{"type":"T","id":"x","more":1}}}"#,
            "context: e: __entity: unknown field `more`",
        ),
        (r#"{"e":{"__entity":{"type":"T","id":"x"},"y":1}}"#, "context: e: __entity: must stand alone"),
        (r#"{"e":{"__extn":{"fn":"unknown","arg":"x"}}}"#, "context: e: __extn: `unknown` is not decimal"),
        (r#"{"e":{"__extn":{"fn":"decimal","arg":"1"}}}"#, "context: e: __extn: `1` is no decimal"),
        (r#"{"e":{"__expr":"1"}}"#, "context: e: __expr"),
        ("[1]", "context: a context is an object"),
    ] {
        let error = Intent::from_json(&json_with(context)).unwrap_err();
        assert!(error.message.starts_with(message), "{context}: {error}");
        assert_eq!(error.line, 2, "{context}: {error}");
    }
}

#[test]
fn fields_are_refused_by_name() {
    let good = json_with("{}");
    assert!(Intent::from_json(&good).is_ok());
    let with = |field: &str| good.replace("\"audience\"", &format!("{field},\"audience\""));
    for (field, message) in [
        (r#""window":"90""#, "window: `90` is no window of whole seconds"),
        (r#""window":"1500ms""#, "window: `1500ms` is no window of whole seconds"),
        (r#""window":300"#, "window: invalid type: integer `300`"),
        (r#""uses":70000"#, "uses: invalid value: integer `70000`"),
        (r#""priority":"urgent""#, "priority: `urgent` is not low, normal, high or critical"),
        (r#""on_unavailable":"wait""#, "on_unavailable: `wait` is not fail, queue or warrant"),
        (r#""colour":"red""#, "`colour` is no field of an intent"),
        (r#""context":{}"#, "context: given twice"),
    ] {
        let error = Intent::from_json(&with(field)).unwrap_err();
        assert!(error.message.starts_with(message), "{field}: {error}");
    }
    let missing = Intent::from_json("{}").unwrap_err();
    assert_eq!(missing.message, "action: missing");
    let uid = Intent::from_json(r#"{"action":"cancel"}"#).unwrap_err();
    assert!(uid.message.starts_with("action: `cancel` is no entity"), "{uid}");
}

#[test]
fn json_lines_tell_the_line_of_the_file() {
    let intent = cancel("#W1").to_json().unwrap();
    let text = format!("{intent}\n\n{intent}\n{{\"audience\":1}}\n");
    let lines: Vec<_> = json::parse_lines(&text).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0].as_ref(), Ok(&cancel("#W1")));
    assert_eq!(lines[2].as_ref().map_err(|error| error.line), Err(4));
}
