//! What people are shown of texts that peers wrote, and intents as agents write them.
//!
//! The rule it keeps: whatever does not print, is shown as nothing, moves the cursor or turns the direction of text is made visible, so that no
//! peer's text can pass for ours, or for another's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use assent_client::{Datetime, Decimal, Intent, Uid, Value, extension};
use assent_proto::codec::CodecError;
use assent_proto::context::{Event, Ip};
use assent_proto::intent::Intent as Parsed;
use assent_proto::visible;

use crate::limits::{LONG_TEXT_BYTES, MAX_REASON_BYTES};

/// The intent in the form in which agents write it.
pub(crate) fn intent(intent: &Parsed<'_>) -> Result<serde_json::Value, CodecError> {
    let (act, terms) = (&intent.act, &intent.terms);
    let Value::Record(context) = next(&mut act.context.events())? else { return Err(CodecError::Malformed) };
    let owned = Intent {
        action: act.action.into(),
        resource: act.resource.into(),
        context,
        audience: terms.audience.to_owned(),
        window: terms.window_s.map(|seconds| Duration::from_secs(seconds.into())),
        uses: terms.uses,
        priority: terms.priority,
        on_unavailable: terms.on_unavailable,
    };
    serde_json::to_value(&owned).map_err(|_| CodecError::Malformed)
}

/// The same text, with what does not print or turns the direction of text escaped.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    visible::append(text, &mut shown);
    shown
}

/// Whether the text is not what it shows.
pub(crate) fn hides(text: &str) -> bool {
    !visible::prints(text)
}

/// As [`hides`], of an entity as Cedar writes it, in which what does not print stands escaped already: it is decided on the
/// type and the id that were written.
pub(crate) fn uid_hides(written: &str) -> bool {
    let hides_in = |uid: Uid| hides(&uid.type_name) || hides(&uid.id);
    hides(written) || written.parse().is_ok_and(hides_in)
}

/// A JSON document of the same meaning, with what does not print or turns the direction of text escaped: for terminals.
pub(crate) fn json(document: &serde_json::Value) -> String {
    printable(&document.to_string())
}

/// As [`json`], of what is yet to become a document, and in its own order.
///
/// # Errors
/// What the thing says that cannot be written.
pub(crate) fn json_of<T: serde::Serialize + ?Sized>(thing: &T) -> serde_json::Result<String> {
    serde_json::to_string(thing).map(|text| printable(&text))
}

/// As [`visible`], of a text that has lines of its own.
pub(crate) fn lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// A line of a text, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Line {
    /// What is shown.
    pub(crate) text: String,
    /// Whether some of it stands escaped.
    pub(crate) is_marked: bool,
}

/// As [`lines`], each with whether it is to be marked. What ends the last one begins none.
pub(crate) fn lines_of(text: &str) -> Vec<Line> {
    let shown = |line: &str| {
        let text = visible(line);
        Line { is_marked: text != line, text }
    };
    text.strip_suffix('\n').unwrap_or(text).split('\n').map(shown).collect()
}

/// A span as people say it, in the largest unit that says something.
pub(crate) fn lasting(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago that was, in milliseconds since 1970 both.
pub(crate) fn age(since_ms: u64, now_ms: u64) -> String {
    lasting(Duration::from_millis(now_ms.saturating_sub(since_ms)))
}

/// Fields of intents and entries that hold an entity as Cedar writes it, or several.
const UIDS: [&str; 4] = ["action", "resource", "actions", "resources"];

/// Whether this value of an intent's, in a field of this name, is not what it shows.
pub(crate) fn hides_in(field: &str, value: &serde_json::Value) -> bool {
    let (mut hidden, mut longest) = (0_u64, 0);
    weigh(value, &mut hidden, &mut longest);
    hidden > 0 || (UIDS.contains(&field) && hiding_uids(value) > 0)
}

/// What whoever reads an intent or an entry is to be told of it first: that some of it stands escaped, and that it is longer than a look.
pub(crate) fn marks(intent: &serde_json::Value) -> Vec<String> {
    let (mut hidden, mut longest) = (0_u64, 0);
    weigh(intent, &mut hidden, &mut longest);
    hidden += UIDS.iter().filter_map(|field| intent.get(field)).map(hiding_uids).sum::<u64>();
    let mut marks: Vec<_> = escaped(hidden).into_iter().collect();
    if longest > LONG_TEXT_BYTES {
        marks.push(format!("LONG       its longest text has {longest} bytes"));
    }
    marks
}

/// The mark of so many texts that are not what they show.
pub(crate) fn escaped(hidden: u64) -> Option<String> {
    let texts = counted(hidden, "text holds", "texts hold");
    (hidden > 0).then(|| format!("ESCAPED    {texts} what does not print, or turns the direction of text"))
}

/// How many entities are not what they show, though the text that names them is.
fn hiding_uids(value: &serde_json::Value) -> u64 {
    match value {
        serde_json::Value::String(written) => u64::from(!hides(written) && uid_hides(written)),
        serde_json::Value::Array(values) => values.iter().map(hiding_uids).sum(),
        serde_json::Value::Object(_)
        | serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_) => 0,
    }
}

/// Counts the texts that are not what they show, and measures the longest.
fn weigh(value: &serde_json::Value, hidden: &mut u64, longest: &mut usize) {
    let mut text = |text: &str| {
        *hidden += u64::from(hides(text));
        *longest = text.len().max(*longest);
    };
    match value {
        serde_json::Value::String(said) => text(said),
        serde_json::Value::Array(values) => values.iter().for_each(|value| weigh(value, hidden, longest)),
        serde_json::Value::Object(fields) => {
            fields.keys().for_each(|key| text(key));
            fields.values().for_each(|value| weigh(value, hidden, longest));
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// The text of a JSON document, escaped as JSON escapes.
fn printable(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for (c, prints) in visible::read(json) {
        // What is ASCII and does not print, JSON escapes by itself.
        if (c.is_ascii() || prints) && c != '\u{7f}' {
            shown.push(c);
            continue;
        }
        let escaped = |unit: &u16| format!("\\u{unit:04x}");
        shown.extend(c.encode_utf16(&mut [0; 2]).iter().map(escaped));
    }
    shown
}

/// A count, with the words for one or for several behind it.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Whether a text that an operator writes can stand in a statement, which has a line for each of its parts and shows all of it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn one_line(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.len() > MAX_REASON_BYTES || text.chars().any(char::is_control) {
        return Err(format!("the {what} is to be one line of text, of at most {MAX_REASON_BYTES} bytes"));
    }
    // What is signed is what was read, byte for byte.
    let shown = visible(text);
    if shown != text {
        return Err(format!(
            "the {what} holds what does not print, or turns the direction of text: `{shown}`"
        ));
    }
    Ok(())
}

/// The next value of a walk.
fn next<'a>(events: &mut impl Iterator<Item = Result<Event<'a>, CodecError>>) -> Result<Value, CodecError> {
    let event = events.next().ok_or(CodecError::Truncated)??;
    Ok(match event {
        Event::Bool(value) => Value::Bool(value),
        Event::Long(value) => Value::Long(value),
        Event::String(text) => Value::String(text.to_owned()),
        Event::Entity(uid) => Value::Entity(uid.into()),
        Event::Decimal(value) => Value::Decimal(Decimal(value)),
        Event::Ip(ip) => Value::Ip(address(ip).ok_or(CodecError::Malformed)?),
        Event::Datetime(value) => Value::Datetime(Datetime(value)),
        Event::Duration(value) => Value::Duration(extension::Duration(value)),
        Event::Set(count) => {
            let elements = (0..count).map(|_| next(events)).collect::<Result<_, _>>()?;
            ended(events)?;
            Value::Set(elements)
        }
        Event::Record(count) => {
            let mut record = BTreeMap::new();
            for _ in 0..count {
                let Some(Event::Key(key)) = events.next().transpose()? else {
                    return Err(CodecError::Malformed);
                };
                record.insert(key.to_owned(), next(events)?);
            }
            ended(events)?;
            Value::Record(record)
        }
        Event::Key(_) | Event::End => return Err(CodecError::Malformed),
    })
}

fn ended<'a>(events: &mut impl Iterator<Item = Result<Event<'a>, CodecError>>) -> Result<(), CodecError> {
    match events.next().transpose()? {
        Some(Event::End) => Ok(()),
        Some(_) | None => Err(CodecError::Malformed),
    }
}

fn address(ip: Ip) -> Option<assent_client::Ip> {
    match ip {
        Ip::V4(octets, prefix) => assent_client::Ip::new(IpAddr::from(octets), prefix),
        Ip::V6(octets, prefix) => assent_client::Ip::new(IpAddr::from(octets), prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn every_intent_of_the_sample_comes_back_as_it_was_written() {
        for asked in assent_client::json::parse_lines(sample::INTENTS).take(200) {
            let encoded = asked.unwrap().encode().unwrap();
            let shown = intent(&Parsed::parse(encoded.bytes()).unwrap()).unwrap();
            let read = Intent::from_json(&shown.to_string()).unwrap();
            assert_eq!(read.encode().unwrap().bytes(), encoded.bytes());
        }
    }

    #[test]
    fn json_for_terminals_means_the_same_and_prints_all_of_it() {
        let document =
            serde_json::json!({"name": "gr\u{fc}n\u{3164} \u{202e}dno\u{7f} \u{e0041} \"\\ \u{1b}[2J"});
        let shown = json(&document);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), document);
        assert_eq!(
            shown,
            "{\"name\":\"gr\u{fc}n\\u3164 \\u202edno\\u007f \\udb40\\udc41 \\\"\\\\ \\u001b[2J\"}"
        );
    }

    #[test]
    fn an_intent_that_hides_something_is_marked_wherever_it_hides() {
        let marked = |intent: serde_json::Value| marks(&intent);
        assert!(
            marked(serde_json::json!({"a": ["plain", {"b": "gr\u{fc}n \"quoted\" \\ <b>"}], "n": 1}))
                .is_empty()
        );
        for hostile in
            ["\u{202e}", "a\nb", "\u{1b}[2J", "\u{7f}", "\u{200b}", "\u{3164}", "\u{2800}", "\u{fe0f}"]
        {
            let (inside, key) =
                (serde_json::json!({"a": [{"b": hostile}]}), serde_json::json!({ (hostile): 1 }));
            assert!(marked(inside)[0].starts_with("ESCAPED    1 text holds"), "{hostile:?}");
            assert!(marked(key)[0].starts_with("ESCAPED"), "{hostile:?}");
        }
        let long = marked(serde_json::json!({"a": "x".repeat(LONG_TEXT_BYTES + 1)}));
        assert_eq!(long, [format!("LONG       its longest text has {} bytes", LONG_TEXT_BYTES + 1)]);
        assert_eq!(lines("a\u{1b}\nb\r"), "a\\u{1b}\nb\\r");
    }

    #[test]
    fn a_line_of_a_statement_says_all_that_it_holds() {
        for plain in ["HSM down", "HSM down\\nuses 1", "gr\u{fc}n \"quoted\" <b>", "\u{e1b}\u{e34}\u{e14}"] {
            assert_eq!(one_line("reason", plain), Ok(()), "{plain}");
        }
        for hidden in ["\u{202e}000,1", "a\u{2028}uses 9", "a\u{200b}b", "a\u{ad}b", "\u{feff}a"] {
            let told = one_line("reason", hidden).unwrap_err();
            assert!(told.contains("turns the direction of text") && visible(&told) == told, "{told}");
        }
        for none in ["", " ", "a\nb", "a\u{7f}"] {
            assert!(one_line("reason", none).unwrap_err().contains("one line of text"), "{none:?}");
        }
        let marked: Vec<bool> = lines_of("a\nb\u{202e}\n\nc\n").iter().map(|line| line.is_marked).collect();
        assert_eq!(marked, [false, true, false, false]);
    }

    #[test]
    fn an_entity_that_hides_something_is_marked_though_cedar_writes_it_escaped() {
        for hostile in
            ["\u{202e}", "a\nb", "\u{1b}[2J", "\u{7f}", "\u{200b}", "\u{3164}", "\u{2800}", "\u{fe0f}"]
        {
            let uid = Uid::new("Retail::Order", hostile);
            let plain = "Retail::Action::\"cancel\"".parse::<Uid>().unwrap();
            for asked in [Intent::new(plain.clone(), uid.clone(), "x"), Intent::new(uid.clone(), plain, "x")]
            {
                let encoded = asked.encode().unwrap();
                let shown = intent(&Parsed::parse(encoded.bytes()).unwrap()).unwrap();
                assert!(marks(&shown)[0].starts_with("ESCAPED    1 text holds"), "{shown}");
            }
            let (written, charter) = (uid.to_string(), serde_json::json!({"resources": [uid.to_string()]}));
            assert!(uid_hides(&written), "{written}");
            assert!(marks(&charter)[0].starts_with("ESCAPED    1 text"), "{charter}");
        }
        for honest in ["Retail::Order::\"#W1 \\\\u{202e} \\\" gr\u{fc}n\"", "Retail::Order", ""] {
            assert!(!uid_hides(honest), "{honest}");
        }
        let said = serde_json::json!({"context": {"action": "A::\"\\u{202e}\""}});
        assert!(marks(&said).is_empty(), "a text that only looks like one is what it shows");
    }

    #[test]
    fn one_is_spoken_of_as_one_and_none_as_several() {
        let told = [0, 1, 2].map(|count| counted(count, "hold awaits", "holds await"));
        assert_eq!(told, ["0 holds await", "1 hold awaits", "2 holds await"]);
    }

    #[test]
    fn sets_records_and_extensions_nest() {
        let inner = Value::Record(
            [("ip".to_owned(), "10.0.0.1/8".parse::<assent_client::Ip>().unwrap().into())].into(),
        );
        let set = Value::Set(vec![inner, Value::Set(vec![Value::Long(-1), Value::Bool(true)])]);
        let asked =
            Intent::new("A::\"a\"".parse().unwrap(), "B::\"b\"".parse().unwrap(), "x").with("set", set);
        let encoded = asked.encode().unwrap();
        let shown = intent(&Parsed::parse(encoded.bytes()).unwrap()).unwrap();
        assert_eq!(Intent::from_json(&shown.to_string()).unwrap().encode().unwrap().bytes(), encoded.bytes());
    }
}
