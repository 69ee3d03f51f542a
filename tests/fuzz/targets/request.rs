//! The request: whatever a peer sends, through the decoder, the intent boundary and an evaluation.
//!
//! The first byte tells whether the rest is what comes on a stream, or decides a frame that must be taken, below a trace context or not. Bytes
//! that are taken are the only bytes for what they say: encoding it again gives them back.
#![no_main]

use assent_evaluator::{Address, Decision, Facts, Intent, Misfit, Uid, Verdict, Verified};
use assent_proto::context::{Event, Ip};
use assent_proto::wire::{Request, TraceContext};
use fuzz::choices::Choices;
use fuzz::frame::{again, sound};
use fuzz::tables::Tables;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// Sound tables: which ones does not matter, as long as they never change.
static TABLES: LazyLock<Verified<Tables>> = LazyLock::new(|| {
    let bytes: Vec<u8> = (0..4096_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    Verified::new(Tables::new(&mut Choices::new(&bytes))).expect("these tables are sound")
});

fuzz_target!(|data: &[u8]| {
    let Some((way, rest)) = data.split_first() else { return };
    match way % 4 {
        0 | 2 => {
            take(rest);
        }
        way => {
            let mut choices = Choices::new(rest);
            let frame = sound(&mut choices);
            let ahead = if way == 1 { Vec::new() } else { trace(&mut choices) };
            let stream = [ahead, frame].concat();
            assert!(take(&stream), "a sound frame is refused: {stream:?}");
        }
    }
});

/// A trace context that must be taken.
fn trace(choices: &mut Choices<'_>) -> Vec<u8> {
    let id = std::array::from_fn(|at| choices.byte() | u8::from(at == 0));
    let parent = std::array::from_fn(|at| choices.byte() | u8::from(at == 0));
    let context = TraceContext::new(id, parent, choices.byte()).expect("no id is of zeroes");
    assert_eq!(context.to_string().parse(), Ok(context));
    context.encoded().to_vec()
}

/// Whether what came is taken; then it has one encoding, and each of its intents an answer.
fn take(stream: &[u8]) -> bool {
    let Ok((trace, frame)) = TraceContext::split(stream) else { return false };
    let ahead = trace.map(|trace| trace.encoded().to_vec()).unwrap_or_default();
    assert_eq!(stream.split_at(ahead.len()), (&*ahead, frame), "a trace context has another encoding");
    let Ok(request) = Request::parse(frame) else { return false };
    assert_eq!(again(&request), frame, "a frame has another encoding");
    let view = TABLES.view();
    let mut room = Intent::new(&view);
    for (intent, _) in request.intents() {
        decide(&mut room, &intent);
    }
    true
}

const fn uid(of: assent_proto::intent::Uid<'_>) -> Uid<'_> {
    Uid { type_name: of.type_name, id: of.id }
}

/// What the appliance does with an intent, up to the verdict.
fn decide<'a>(intent: &mut Intent<'a>, asked: &assent_proto::intent::Intent<'a>) {
    let act = &asked.act;
    intent.ask(Uid { type_name: "U", id: "e0" }, uid(act.action), uid(act.resource));
    let laid_out = act
        .context
        .events()
        .try_for_each(|event| lay_out(intent, event.expect("what was taken can be walked")));
    let Ok(mut classified) = intent.classify(Facts::default()) else { return };
    assert!(laid_out.is_ok(), "a misfit was classified");
    let evaluation = classified.evaluate();
    if evaluation.verdict() == Verdict::Allow {
        assert_eq!(evaluation.cedar(), Decision::Allow);
        assert!(evaluation.errors().is_empty());
    }
}

fn lay_out<'a>(intent: &mut Intent<'a>, event: Event<'a>) -> Result<(), Misfit<'a>> {
    match event {
        Event::Bool(value) => intent.bool(value),
        Event::Long(value) => intent.long(value),
        Event::String(text) => intent.string(text),
        Event::Entity(entity) => intent.entity(uid(entity)),
        Event::Decimal(value) => intent.decimal(value),
        Event::Ip(Ip::V4(octets, prefix)) => intent.ip(Address::v4(octets, prefix).expect("the prefix fits")),
        Event::Ip(Ip::V6(octets, prefix)) => intent.ip(Address::v6(octets, prefix).expect("the prefix fits")),
        Event::Datetime(value) => intent.datetime(value),
        Event::Duration(value) => intent.duration(value),
        Event::Set(count) => intent.begin_set(count),
        Event::Record(count) => intent.begin_record(count),
        Event::Key(name) => intent.key(name),
        Event::End => intent.end(),
    }
}
