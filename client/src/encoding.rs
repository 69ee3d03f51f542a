//! The canonical encoding of intents: one meaning, one sequence of bytes (`assent_proto::context` reads it).
//!
//! Keys ascend by their bytes, as a `BTreeMap` of strings already has them. Elements of a set ascend by their encodings,
//! and equal ones are dropped. What exceeds a limit of the formats is refused here, where the agent can still be told
//! which part of its intent it was.

use std::net::IpAddr;

use assent_proto::codec::{append_bytes, append_varint};
use assent_proto::context::tag;
use assent_proto::intent::Terms;
use assent_proto::limits::{
    MAX_CONTEXT_DEPTH, MAX_CONTEXT_VALUES, MAX_ID_BYTES, MAX_INTENT_BYTES, MAX_NAME_BYTES, MAX_STRING_BYTES,
    MAX_WINDOW_S,
};

use crate::extension::Ip;
use crate::intent::{Intent, IntentError};
use crate::uid::Uid;
use crate::value::Value;

/// Appends an intent, and gives the number of bytes of its act.
pub(crate) fn append_intent(intent: &Intent, out: &mut Vec<u8>) -> Result<usize, IntentError> {
    let start = out.len();
    append_uid(&intent.action, out)?;
    append_uid(&intent.resource, out)?;
    let mut bounds = Bounds::default();
    append_record(&intent.context, &mut bounds, out)?;
    let act_bytes = out.len() - start;
    let terms = Terms {
        audience: within("audience", &intent.audience, MAX_NAME_BYTES)?,
        window_s: window_s(intent)?,
        uses: intent.uses,
        priority: intent.priority,
        on_unavailable: intent.on_unavailable,
    };
    assent_proto::codec::append(&terms, out).map_err(IntentError::Encoding)?;
    let bytes = out.len() - start;
    if bytes > MAX_INTENT_BYTES {
        return Err(IntentError::TooLong { what: "intent", bytes, limit: MAX_INTENT_BYTES });
    }
    Ok(act_bytes)
}

fn window_s(intent: &Intent) -> Result<Option<u32>, IntentError> {
    let Some(window) = intent.window else {
        return Ok(None);
    };
    let whole = u32::try_from(window.as_secs()).ok();
    let fits = whole.filter(|seconds| window.subsec_nanos() == 0 && *seconds <= MAX_WINDOW_S);
    fits.map(Some).ok_or(IntentError::Window(window))
}

/// `text`, when it has at most `limit` bytes.
fn within<'t>(what: &'static str, text: &'t str, limit: usize) -> Result<&'t str, IntentError> {
    if text.len() <= limit { Ok(text) } else { Err(IntentError::TooLong { what, bytes: text.len(), limit }) }
}

fn append_uid(uid: &Uid, out: &mut Vec<u8>) -> Result<(), IntentError> {
    append_bytes(within("entity type", &uid.type_name, MAX_NAME_BYTES)?.as_bytes(), out);
    append_bytes(within("entity id", &uid.id, MAX_ID_BYTES)?.as_bytes(), out);
    Ok(())
}

/// How much of a context there has been.
#[derive(Default)]
struct Bounds {
    values: usize,
    depth: usize,
}

impl Bounds {
    fn enter(&mut self) -> Result<(), IntentError> {
        self.depth += 1;
        if self.depth > MAX_CONTEXT_DEPTH {
            return Err(IntentError::TooDeep { limit: MAX_CONTEXT_DEPTH });
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), IntentError> {
        self.values += 1;
        if self.values > MAX_CONTEXT_VALUES {
            return Err(IntentError::TooManyValues { limit: MAX_CONTEXT_VALUES });
        }
        Ok(())
    }
}

fn append_record<'v>(
    record: impl IntoIterator<Item = (&'v String, &'v Value), IntoIter: ExactSizeIterator>,
    bounds: &mut Bounds,
    out: &mut Vec<u8>,
) -> Result<(), IntentError> {
    let record = record.into_iter();
    bounds.enter()?;
    append_varint(record.len() as u64, out);
    for (key, value) in record {
        append_bytes(within("context key", key, MAX_NAME_BYTES)?.as_bytes(), out);
        append_value(value, bounds, out)?;
    }
    bounds.depth -= 1;
    Ok(())
}

fn append_set(elements: &[Value], bounds: &mut Bounds, out: &mut Vec<u8>) -> Result<(), IntentError> {
    bounds.enter()?;
    let mut encoded = elements
        .iter()
        .map(|element| {
            let mut bytes = Vec::new();
            append_value(element, bounds, &mut bytes).map(|()| bytes)
        })
        .collect::<Result<Vec<_>, _>>()?;
    encoded.sort_unstable();
    encoded.dedup();
    append_varint(encoded.len() as u64, out);
    encoded.iter().for_each(|element| out.extend_from_slice(element));
    bounds.depth -= 1;
    Ok(())
}

fn append_value(value: &Value, bounds: &mut Bounds, out: &mut Vec<u8>) -> Result<(), IntentError> {
    bounds.count()?;
    match value {
        Value::Bool(bool) => out.extend([tag::BOOL, u8::from(*bool)]),
        Value::Long(number) => append_number(tag::LONG, *number, out),
        Value::String(text) => {
            out.push(tag::STRING);
            append_bytes(within("string", text, MAX_STRING_BYTES)?.as_bytes(), out);
        }
        Value::Entity(uid) => {
            out.push(tag::ENTITY);
            append_uid(uid, out)?;
        }
        Value::Set(elements) => {
            out.push(tag::SET);
            append_set(elements, bounds, out)?;
        }
        Value::Record(record) => {
            out.push(tag::RECORD);
            append_record(record, bounds, out)?;
        }
        Value::Decimal(decimal) => append_number(tag::DECIMAL, decimal.0, out),
        Value::Ip(ip) => append_ip(*ip, out),
        Value::Datetime(time) => append_number(tag::DATETIME, time.0, out),
        Value::Duration(span) => append_number(tag::DURATION, span.0, out),
    }
    Ok(())
}

/// A signed number, zigzag: small ones of either sign are short.
fn append_number(tag: u8, number: i64, out: &mut Vec<u8>) {
    out.push(tag);
    append_varint((number.wrapping_shl(1) ^ (number >> 63)).cast_unsigned(), out);
}

fn append_ip(ip: Ip, out: &mut Vec<u8>) {
    out.push(tag::IP);
    match ip.address() {
        IpAddr::V4(address) => {
            out.push(4);
            out.extend(address.octets());
        }
        IpAddr::V6(address) => {
            out.push(6);
            out.extend(address.octets());
        }
    }
    out.push(ip.prefix());
}
