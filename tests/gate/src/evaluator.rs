//! The evaluator: verification, reading, classification, evaluation and explanation, over tables that the compiler of
//! this library cannot know.

use assent_evaluator::{Address, Cause, Facts, Image, Intent, Misfit, Refused, Snapshot, Storage, Uid, Verdict, Verified};

/// Tables that somebody else owns.
pub struct Given<'a> {
    image: Image<'a>,
    snapshot: Snapshot<'a>,
}

impl Storage for Given<'_> {
    fn image(&self) -> Image<'_> {
        self.image
    }

    fn snapshot(&self) -> Snapshot<'_> {
        self.snapshot
    }
}

/// Reads a context out of bytes: of nine each, the first tells what follows and the others are its text or number.
fn fill<'a>(intent: &mut Intent<'a>, script: &'a [u8]) -> Result<(), Misfit<'a>> {
    let (steps, _) = script.as_chunks::<9>();
    for [kind, rest @ ..] in steps {
        let (number, text) = (i64::from_le_bytes(*rest), core::str::from_utf8(rest).unwrap_or(""));
        let length = usize::from(number as u8);
        match kind {
            b'r' => intent.begin_record(length)?,
            b's' => intent.begin_set(length)?,
            b'k' => intent.key(text)?,
            b'b' => intent.bool(number == 0)?,
            b'l' => intent.long(number)?,
            b't' => intent.string(text)?,
            b'e' => intent.entity(Uid { type_name: "T", id: text })?,
            b'd' => intent.decimal(number)?,
            b'w' => intent.datetime(number)?,
            b'u' => intent.duration(number)?,
            b'4' => Address::v4((number as u32).to_be_bytes(), rest[7]).map_or(Ok(()), |address| intent.ip(address))?,
            b'6' => Address::v6((number as u128).to_be_bytes(), rest[7]).map_or(Ok(()), |address| intent.ip(address))?,
            _ => intent.end()?,
        }
    }
    Ok(())
}

/// Everything from the verifier to the verdict.
///
/// # Safety
/// `given` points to tables that live and do not change; `data` points to `length` bytes of the same kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_decide(given: *const Given<'static>, data: *const u8, length: usize, now_ms: i64) -> i64 {
    // SAFETY: the caller's promise.
    let (given, bytes) = unsafe { (&*given, crate::bytes(data, length)) };
    let Some((name, script)) = bytes.split_first_chunk::<8>() else { return -1 };
    let name = core::str::from_utf8(name).unwrap_or("");
    let verified = match Verified::new(Given { image: given.image, snapshot: given.snapshot }) {
        Ok(verified) => verified,
        Err(flaw) => return flaw.place as i64,
    };
    let uid = |type_name| Uid { type_name, id: name };
    let view = verified.view();
    let mut intent = Intent::new(&view);
    intent.ask(uid("P"), uid(name), uid("R"));
    if fill(&mut intent, script).is_err() {
        return -2;
    }
    let facts = Facts { now_ms, approvals: 1, degraded: false, agent_rate: 2, epoch: 3 };
    let mut classified = match intent.classify(facts) {
        Ok(classified) => classified,
        Err(Refused::Unclassified) => return -3,
        Err(Refused::Invalid(misfit)) => return misfit.kind().len() as i64,
    };
    let evaluation = classified.evaluate().clone();
    let explained = matches!(classified.outcome(0), assent_evaluator::Outcome::Satisfied);
    let decided: usize = evaluation.reasons().iter().chain(evaluation.errors().iter()).sum();
    match evaluation.verdict() {
        Verdict::Allow => evaluation.risk().wrapping_add(decided as i64),
        Verdict::Deny => i64::from(explained),
        Verdict::Hold => evaluation.scores().len() as i64,
        Verdict::Unavailable(Cause::Budget) => evaluation.fuel_used() as i64,
        Verdict::Unavailable(_) => -4,
    }
}
