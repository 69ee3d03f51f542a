//! Requests and answers beside the leaves: gone by order is no fault; gone without a word is, and so is another.

use assent_log::store::BatchKey;
use assent_log::{ERASURE_ACT, Recorded, request_digest};
use assent_proto::entry::{Entry, OperatorAct, Status};
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_BATCH_AGE_MS;
use assent_proto::number::LeafIndex;
use assent_proto::wire::BatchId;

use crate::synthetic::{Batch, Beside, PRINCIPAL, Synthetic};
use crate::verdict::{expect_only, found, verify};

/// A round of this batch with other things beside it.
fn with(log: &mut Synthetic, batch: &Batch, requests: &[(u64, &[u8])], answer: Option<(&[u8], Hash)>) {
    let requests = requests.iter().map(|(first, frame)| (LeafIndex(*first), *frame)).collect();
    let recorded = answer.map(|(reply, request)| Recorded {
        key: BatchKey::new(batch.id, PRINCIPAL),
        request,
        reply,
        allows: true,
    });
    log.commit(&[&batch.leaves], Beside { requests, answers: recorded.into_iter().collect() }, true);
}

/// What is no request of theirs does not count as one.
fn expect_beside_what_is_missing(log: &mut Synthetic, told: &str) {
    let report = verify(log);
    let found = found(&report);
    assert_eq!(report.findings_total, 2, "{found}");
    assert!(found.contains(told) && found.contains("asked is missing up to here"), "{found}");
}

#[test]
fn erased_requests_are_counted_and_those_that_no_order_erased_are_found() {
    let report_after = |orders: &[&str]| {
        let mut log = Synthetic::started();
        let batch = log.decide(5, 0);
        with(&mut log, &batch, &[], None);
        orders.iter().for_each(|principal| order_erasure(&mut log, principal));
        verify(&mut log)
    };
    let missing = "asked is missing up to here, and no later order erased it";
    expect_only(&report_after(&[]), missing);
    expect_only(&report_after(&["spiffe://shop.example/agent/another"]), missing);
    let report = report_after(&[PRINCIPAL]);
    assert!(report.verified(), "{}", found(&report));
    assert_eq!(report.beside.map(|beside| (beside.intents, beside.erased)), Some((0, 5)));
}

fn order_erasure(log: &mut Synthetic, principal: &str) {
    let statement = format!("principal {principal}\nreason theirs\n");
    log.operate(|salt, time, epoch| {
        let (by, signatures) = (std::iter::once("root").collect(), std::iter::empty().collect());
        let act = OperatorAct { salt, time, epoch, act: ERASURE_ACT, by, statement: &statement, signatures };
        vec![Entry::Operator(act)]
    });
}

#[test]
fn a_request_that_is_another_than_its_entries_does_not_verify() {
    let mut log = Synthetic::started();
    let batch = log.decide(3, 0);
    // One byte of one text in one intent's context.
    let mut altered = batch.frame.clone();
    let at = altered.windows(6).rposition(|text| text == b"needed").expect("a reason");
    altered[at] = b'h';
    with(&mut log, &batch, &[(3, &altered)], None);
    log.now = log.now.plus_ms(MAX_BATCH_AGE_MS + 1);
    log.operate(|salt, time, epoch| vec![Entry::Status(Status { salt, time, epoch })]);
    expect_only(&verify(&mut log), "5: the intent beside the leaf is another than the leaf's");
}

#[test]
fn requests_that_are_none_or_reach_beyond_their_round_do_not_verify() {
    for (first, told) in
        [(4, "more intents than its round has leaves"), (0, "more intents than its round has leaves")]
    {
        let mut log = Synthetic::started();
        let batch = log.decide(3, 0);
        with(&mut log, &batch, &[(first, &batch.frame)], None);
        expect_beside_what_is_missing(&mut log, told);
    }
    let mut log = Synthetic::started();
    let batch = log.decide(3, 0);
    with(&mut log, &batch, &[(3, b"no request")], None);
    expect_beside_what_is_missing(&mut log, "is no request");
}

#[test]
fn an_answer_that_does_not_lead_to_its_entries_does_not_verify() {
    // An honest log of the same batch gives the honest reply.
    let honest = || {
        let mut log = Synthetic::started();
        let batch = log.decide(3, 2);
        let (id, frame) = (batch.id, batch.frame.clone());
        log.seal(&[batch], true);
        let reply = log
            .log()
            .answers()
            .expect("they can be read")
            .get(&BatchKey::new(id, PRINCIPAL))
            .expect("it can be read")
            .expect("an answer")
            .reply;
        (reply, frame)
    };
    let (reply, frame) = honest();
    let told = |reply: &[u8], request: Hash| {
        let mut log = Synthetic::started();
        let batch = log.decide(3, 2);
        with(&mut log, &batch, &[(3, &frame)], Some((reply, request)));
        verify(&mut log)
    };
    assert!(told(&reply, request_digest(&frame)).verified());
    expect_only(&told(&reply, request_digest(b"other")), "the recorded answer is to another request");
    expect_only(&told(&[0, 9], request_digest(&frame)), "is no reply to a batch that was decided");
    // Its last bytes are the range proof's; the signature stands before: change where the batch is said to begin.
    let mut moved = reply.clone();
    let sealing = reply.len() - 3 * 32 - 1 - 64 - 4 - 2;
    moved[sealing] = 9;
    let told_moved = found(&told(&moved, request_digest(&frame)));
    assert!(told_moved.contains("the recorded answer is"), "{told_moved}");
    // Another outcome for the second intent: it was allowed, and the agent would have heard a denial.
    let at = reply.windows(4).position(|bytes| bytes == [3, 1, 0, 1]).expect("three outcomes");
    let mut other = reply.clone();
    other[at + 2] = 1;
    expect_only(&told(&other, request_digest(&frame)), "the recorded answer does not lead to leaf 4");
}

#[test]
fn a_batch_that_was_decided_twice_does_not_verify() {
    let mut log = Synthetic::started();
    let first = log.decide(2, 0);
    let id = first.id;
    log.seal(&[first], true);
    let again = log.decide_as(id, 3, 0);
    log.seal(&[again], true);
    let told = found(&verify(&mut log));
    assert!(told.contains("5: this batch was decided before, at 3"), "{told}");
}

#[test]
fn a_batch_that_is_allowed_long_after_its_id_does_not_verify() {
    let decided = |behind_ms: u64, deny_every: usize| {
        let mut log = Synthetic::started();
        let batch = log.decide(2, deny_every);
        let id = BatchId::new(log.now.minus_ms(behind_ms), [1; 10]);
        let (batch, other) = (log.decide_as(id, 2, deny_every), batch);
        log.seal(&[other, batch], true);
        let report = verify(&mut log);
        (report.findings_total, found(&report))
    };
    assert_eq!(decided(2 * MAX_BATCH_AGE_MS, 0).0, 0);
    let told = "5: allowed 1800 s behind the time of the batch's id, which was over by then".to_owned();
    assert_eq!(decided(2 * MAX_BATCH_AGE_MS + 1, 0), (1, told));
    let (total, told) = decided(24 * 60 * 60 * 1000, 2);
    assert!(total == 1 && told.contains("5: allowed 86400 s behind"), "one of its intents: {told}");
    // What waited under a ticket may be denied long after.
    assert_eq!(decided(24 * 60 * 60 * 1000, 1).0, 0);
}

#[test]
fn a_batch_that_was_decided_again_when_its_id_was_long_over_does_not_verify() {
    let mut log = Synthetic::started();
    let first = log.decide(2, 0);
    let id = first.id;
    log.seal(&[first], true);
    // What is decided meanwhile has the first decision forgotten.
    log.now = log.now.plus_ms(3 * MAX_BATCH_AGE_MS);
    let other = log.decide(1, 0);
    log.seal(&[other], true);
    let again = log.decide_as(id, 2, 0);
    log.seal(&[again], true);
    expect_only(&verify(&mut log), "6: allowed 2702 s behind the time of the batch's id");
}

#[test]
fn an_answer_that_could_still_be_fetched_must_be_there() {
    let mut log = Synthetic::started();
    let batch = log.decide(2, 0);
    with(&mut log, &batch, &[(3, &batch.frame)], None);
    expect_only(&verify(&mut log), "3: the answer to this batch is missing");
}
