//! Frames: sound ones out of choices, and the encoding of a request that was taken, made again from what it says.

use crate::choices::Choices;
use crate::tables::{IDS, NAMES, TYPES};
use assent_proto::codec::{CodecError, append, append_bytes, append_varint};
use assent_proto::context::{Event, Ip, tag};
use assent_proto::intent::{Intent, OnUnavailable, Priority, Terms, Uid};
use assent_proto::wire::{BatchId, Request, begin_request, push_intent};

const TEXTS: &[&str] = &["", "x", "\u{e9}", "abcabcabd", "a longer text, so that its length is another one"];
const AUDIENCES: &[&str] = &["", "store-api", "bank"];

/// A frame that must be taken.
pub fn sound(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    let several = 1 + choices.below(4);
    begin_request(BatchId(std::array::from_fn(|_| choices.byte())), several, &mut frame);
    for _ in 0..several {
        let mut intent = Vec::new();
        uid(choices).append(&mut intent);
        uid(choices).append(&mut intent);
        record(choices, 3, &mut intent);
        append(&terms(choices), &mut intent).expect("terms can be encoded");
        push_intent(&intent, &mut frame);
    }
    frame
}

fn uid(choices: &mut Choices<'_>) -> Uid<'static> {
    Uid { type_name: choices.pick(TYPES), id: choices.pick(IDS) }
}

fn terms(choices: &mut Choices<'_>) -> Terms<'static> {
    Terms {
        audience: choices.pick(AUDIENCES),
        window_s: (choices.below(2) == 0).then(|| choices.number()),
        uses: (choices.below(2) == 0).then(|| u16::from(choices.byte())),
        priority: choices.pick(&[None, Some(Priority::Low), Some(Priority::Normal), Some(Priority::High)]),
        on_unavailable: choices.pick(&[OnUnavailable::Fail, OnUnavailable::Queue]),
    }
}

/// A record's count and attributes, keys ascending.
fn record(choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    let mut names: Vec<&str> = (0..choices.below(8)).map(|_| choices.pick(NAMES)).collect();
    names.sort_unstable();
    names.dedup();
    append_varint(names.len() as u64, out);
    for name in names {
        append_bytes(name.as_bytes(), out);
        value(choices, depth, out);
    }
}

fn value(choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    match choices.below(if depth == 0 { 8 } else { 10 }) {
        0 => out.extend([tag::BOOL, choices.byte() % 2]),
        1 => signed(tag::LONG, choices.long(), out),
        2 => {
            out.push(tag::STRING);
            append_bytes(choices.pick(TEXTS).as_bytes(), out);
        }
        3 => {
            out.push(tag::ENTITY);
            uid(choices).append(out);
        }
        4 => signed(tag::DECIMAL, choices.long(), out),
        5 => ip(Ip::V4([10, 0, 0, choices.byte()], choices.byte() % 33), out),
        6 => signed(tag::DATETIME, choices.long(), out),
        7 => signed(tag::DURATION, choices.long(), out),
        8 => {
            out.push(tag::RECORD);
            record(choices, depth - 1, out);
        }
        _ => {
            let several = choices.below(5);
            let element = |_| {
                let mut element = Vec::new();
                value(choices, depth - 1, &mut element);
                element
            };
            let mut elements: Vec<Vec<u8>> = (0..several).map(element).collect();
            elements.sort();
            elements.dedup();
            out.push(tag::SET);
            append_varint(elements.len() as u64, out);
            elements.iter().for_each(|element| out.extend(element));
        }
    }
}

fn signed(tag: u8, value: i64, out: &mut Vec<u8>) {
    out.push(tag);
    append_varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

fn ip(address: Ip, out: &mut Vec<u8>) {
    out.push(tag::IP);
    match address {
        Ip::V4(octets, prefix) => out.extend([&[4], &octets[..], &[prefix]].concat()),
        Ip::V6(octets, prefix) => out.extend([&[6], &octets[..], &[prefix]].concat()),
    }
}

/// The encoding of what a request says.
pub fn again(request: &Request<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    begin_request(request.batch(), request.intents().len(), &mut frame);
    for (intent, bytes) in request.intents() {
        let encoded = intent_again(&intent).expect("what was taken can be walked");
        assert_eq!(encoded, bytes, "an intent has another encoding");
        push_intent(&encoded, &mut frame);
    }
    frame
}

fn intent_again(intent: &Intent<'_>) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    intent.act.action.append(&mut out);
    intent.act.resource.append(&mut out);
    for (place, event) in intent.act.context.events().enumerate() {
        match event? {
            Event::Bool(value) => out.extend([tag::BOOL, u8::from(value)]),
            Event::Long(value) => signed(tag::LONG, value, &mut out),
            Event::Decimal(value) => signed(tag::DECIMAL, value, &mut out),
            Event::Datetime(value) => signed(tag::DATETIME, value, &mut out),
            Event::Duration(value) => signed(tag::DURATION, value, &mut out),
            Event::String(text) => {
                out.push(tag::STRING);
                append_bytes(text.as_bytes(), &mut out);
            }
            Event::Entity(uid) => {
                out.push(tag::ENTITY);
                uid.append(&mut out);
            }
            Event::Ip(address) => ip(address, &mut out),
            // The context itself is a record without its tag.
            Event::Record(count) if place == 0 => append_varint(count as u64, &mut out),
            Event::Record(count) => {
                out.push(tag::RECORD);
                append_varint(count as u64, &mut out);
            }
            Event::Set(count) => {
                out.push(tag::SET);
                append_varint(count as u64, &mut out);
            }
            Event::Key(name) => append_bytes(name.as_bytes(), &mut out),
            Event::End => {}
        }
    }
    assert_eq!(out, intent.act.bytes(), "an act has another encoding");
    append(&intent.terms, &mut out)?;
    Ok(out)
}
