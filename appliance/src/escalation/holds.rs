//! Holds, as people are told of them: one incident for each that awaits approval, which ends when it does no longer.
//!
//! Bounded: of many holds the first in turn are told one by one, and others as these are answered. That there are others is told
//! too, in one incident for all of them, for nobody is to take what was told for all that waits. Nothing that an agent wrote is
//! in it but who it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_escalation::{End, Escalations, Incident, IncidentKey, IncidentView, Kind};
use assent_proto::calendar::Utc;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::wire::Ticket;

use super::status::is_open;
use crate::limits::MAX_TOLD_HOLDS;
use crate::queue::{Line, Queue};

/// What tells the incident of all others from that of one hold, whose ticket stands in this place.
const OTHERS: &str = "others";
/// The detail that names the ticket of a hold.
const TICKET: &str = "ticket";

/// What is known of holds, and raised.
#[derive(Debug)]
pub(super) struct Holds {
    origin: String,
    queue: Arc<Queue>,
    raise: Escalations,
    /// Those whose end is still to be told, and what waits there; none where that is not known any more.
    open: BTreeMap<IncidentKey, Option<Ticket>>,
    /// Whether people know that there are more of them, and are still to hear that there are not.
    told_of_others: bool,
}

impl Holds {
    /// `known`: what the outbox holds from before.
    pub(super) fn new(origin: String, queue: Arc<Queue>, raise: Escalations, known: &[IncidentView]) -> Self {
        let open = known.iter().filter(|incident| is_open(incident) && incident.kind == Kind::HoldWaiting);
        let mut open: BTreeMap<_, _> =
            open.map(|incident| (incident.key.clone(), ticket_of(incident))).collect();
        let told_of_others = open.remove(&key_of_others(&origin)).is_some();
        Self { origin, queue, raise, open, told_of_others }
    }

    /// Tells what has changed.
    pub(super) fn look(&mut self, now: Timestamp, epoch: Epoch, is_drill: bool) {
        self.end_answered(now);
        let (lines, all) = self.queue.awaiting(MAX_TOLD_HOLDS);
        for line in &lines {
            let incident = self.incident(line).in_epoch(epoch).in_drill(is_drill);
            let key = incident.key().clone();
            // One that was told stays told, whatever has come before it in turn since.
            let is_news = self.open.len() < MAX_TOLD_HOLDS && !self.open.contains_key(&key);
            if is_news && self.raise.begin(incident) {
                self.open.insert(key, Some(line.ticket()));
            }
        }
        let others = all.saturating_sub(self.open.len());
        if others == 0 {
            self.end_others(now);
        } else if !self.told_of_others {
            let incident = self.others(others, now).in_epoch(epoch).in_drill(is_drill);
            self.told_of_others = self.raise.begin(incident);
        }
    }

    fn end_answered(&mut self, now: Timestamp) {
        let (raise, origin, queue) = (&self.raise, &self.origin, &self.queue);
        let waits = |ticket: Ticket| queue.find(ticket).is_some_and(|line| line.awaits_approval());
        self.open.retain(|key, ticket| {
            let summary = format!("The hold at {origin} awaits approval no longer.");
            ticket.is_some_and(waits) || !raise.end(End::new(key.clone(), now).because(&summary))
        });
    }

    fn end_others(&mut self, now: Timestamp) {
        if self.told_of_others {
            let summary = format!("All holds that await approval at {} are told one by one.", self.origin);
            let end = End::new(key_of_others(&self.origin), now).because(&summary);
            self.told_of_others = !self.raise.end(end);
        }
    }

    fn incident(&self, line: &Line) -> Incident {
        let (ticket, principal) = (line.ticket(), &line.principal);
        let until = Utc(ticket.until());
        let summary = format!("An intent of {principal} awaits approval at {} until {until}.", self.origin);
        Incident::new(Kind::HoldWaiting, &self.origin, &ticket.to_string(), &summary, line.since)
            .caused_by("approval_required")
            .with_detail(TICKET, &ticket.to_string())
            .with_detail("next", &format!("`assent approval show {ticket}`"))
    }

    fn others(&self, others: usize, now: Timestamp) -> Incident {
        let summary = format!(
            "More holds await approval at {} than are told one by one: {} are, {others} not yet.",
            self.origin,
            self.open.len()
        );
        Incident::new(Kind::HoldWaiting, &self.origin, OTHERS, &summary, now)
            .caused_by("approval_required")
            .with_detail("others", &others.to_string())
            .with_detail("next", "`assent approval list`")
    }
}

fn key_of_others(origin: &str) -> IncidentKey {
    IncidentKey::new(origin, Kind::HoldWaiting, OTHERS)
}

fn ticket_of(incident: &IncidentView) -> Option<Ticket> {
    incident.details.iter().find(|detail| detail.name == TICKET)?.value.parse().ok()
}

#[cfg(test)]
mod tests {
    use assent_proto::intent::Priority;
    use assent_proto::wire::BatchId;

    use super::*;
    use crate::escalation::tests::{ORIGIN, Scene};
    use crate::queue::State;

    /// A hold that came so late, and waits for an answer.
    fn hold(number: u32, priority: Priority) -> Line {
        let ticket = Ticket::new(BatchId::new(Timestamp(1), [1; 10]), number, Timestamp(9_000));
        let mut line = Line::new(ticket, "spiffe://a.test/b", priority, Timestamp(u64::from(number)));
        (line.intents, line.state) = (1, State::AwaitingApproval(Vec::new()));
        line
    }

    fn begin(queue: &Arc<Queue>, lines: impl IntoIterator<Item = Line>) {
        let room = queue.reserve("spiffe://a.test/b", 0, 0).unwrap();
        queue.begin(room, lines.into_iter().collect());
    }

    /// As a process begins that finds this scene.
    fn holds(scene: &mut Scene, queue: &Arc<Queue>) -> Holds {
        let known = scene.incidents();
        Holds::new(ORIGIN.to_owned(), Arc::clone(queue), scene.start(), &known)
    }

    fn look(holds: &mut Holds, now: u64) {
        holds.look(Timestamp(now), Epoch(1), false);
    }

    /// What was raised: of single holds, and of all others.
    fn told(scene: &mut Scene) -> (Vec<IncidentView>, Vec<IncidentView>) {
        let others = key_of_others(ORIGIN);
        scene.incidents().into_iter().partition(|incident| incident.key != others)
    }

    #[test]
    fn what_is_beyond_the_bound_is_told_in_one_incident_until_all_are_told_one_by_one() {
        let (mut scene, queue) = (Scene::new(), Queue::without_log());
        let lines: Vec<Line> = (0..40).map(|number| hold(number, Priority::Normal)).collect();
        let mut first = holds(&mut scene, &queue);
        begin(&queue, lines.iter().take(MAX_TOLD_HOLDS).cloned());
        look(&mut first, 100);
        assert!(!first.told_of_others, "as many as are told one by one");
        begin(&queue, lines.iter().skip(MAX_TOLD_HOLDS).cloned());
        look(&mut first, 101);
        assert_eq!((first.open.len(), first.told_of_others), (MAX_TOLD_HOLDS, true));
        // The next process goes on with it.
        let mut next = holds(&mut scene, &queue);
        assert_eq!((next.open.len(), next.told_of_others), (MAX_TOLD_HOLDS, true));
        lines.iter().take(7).for_each(|line| queue.end(&line.key()));
        look(&mut next, 102);
        assert_eq!((next.open.len(), next.told_of_others), (MAX_TOLD_HOLDS, true), "one is left");
        queue.end(&lines[7].key());
        look(&mut next, 103);
        assert_eq!((next.open.len(), next.told_of_others), (MAX_TOLD_HOLDS, false));
        // It is told anew when it is so again.
        begin(&queue, (40..43).map(|number| hold(number, Priority::Normal)));
        look(&mut next, 104);
        let (single, others) = told(&mut scene);
        assert_eq!(single.len(), lines.len(), "each was told once");
        assert_eq!(single.iter().filter(|incident| incident.ended_ms.is_some()).count(), 8);
        let others: Vec<_> =
            others.iter().map(|incident| (incident.details[0].value.as_str(), incident.ended_ms)).collect();
        assert_eq!(others, [("8", Some(Timestamp(103))), ("3", None)]);
    }

    #[test]
    fn a_hold_that_others_precede_still_awaits_its_answer() {
        let (mut scene, queue) = (Scene::new(), Queue::without_log());
        let mut holds = holds(&mut scene, &queue);
        let mut early = hold(0, Priority::Low);
        begin(&queue, [early.clone()]);
        look(&mut holds, 100);
        begin(&queue, (1..60).map(|number| hold(number, Priority::Critical)));
        look(&mut holds, 101);
        assert_eq!(holds.open.len(), MAX_TOLD_HOLDS);
        early.state = State::Approved(Vec::new());
        queue.replace(early.clone());
        look(&mut holds, 102);
        let (single, others) = told(&mut scene);
        let ended: Vec<_> = single.iter().filter(|incident| incident.ended_ms.is_some()).collect();
        assert_eq!((single.len(), ended.len(), others.len()), (MAX_TOLD_HOLDS + 1, 1, 1));
        assert_eq!((ticket_of(ended[0]), ended[0].ended_ms), (Some(early.ticket()), Some(Timestamp(102))));
    }
}
