//! The outbox's state: what is raised, what goes out next, and what becomes of it. Pure: time and jitter are arguments.
//!
//! What it keeps: an incident that is open is not begun again; at a sink, events go out in the order in which they were
//! raised, and one that the sink itself refuses steps aside until its next attempt, taking along what has the same key. It
//! remembers which records changed, so that a commit writes these alone, and a failed commit's are in the next.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Delivery, Ending, Progress, Record};
use super::told::Told;
use super::{Raised, Route};
use crate::incident::{End, Event, Incident, IncidentKey, Kind};
use crate::limits::{MAX_INCIDENTS, MAX_KEPT_INCIDENTS};
use crate::message::Phase;

/// What is kept beside the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The place of the next event.
    pub(super) next: u64,
    /// Events that were not taken, the outbox being full.
    pub(super) refused: u64,
    /// Incidents that made room though some sink had not taken them.
    pub(super) dropped: u64,
    /// Sinks that want nothing more: since when, and what they said.
    pub(super) gone: BTreeMap<String, (Timestamp, String)>,
    /// How far leaves were told, of each kind of this log: whatever is forgotten, nobody hears of them anew.
    #[serde(default)]
    pub(super) told: BTreeMap<IncidentKey, Told>,
}

/// What is known of one sink.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) route: Route,
    /// Events that wait, by their place: of which record.
    pub(super) waiting: BTreeMap<u64, (u64, Phase)>,
    /// When it was asked last without success; none while all is well.
    pub(super) failed_at: Option<Timestamp>,
    /// Until when it asked not to be asked.
    pub(super) put_off_until: Timestamp,
    /// Whether something was raised since it was asked last.
    pub(super) probe: bool,
}

/// All incidents, and the sinks' lines.
#[derive(Debug)]
pub(super) struct State {
    pub(super) origin: String,
    pub(super) lines: Vec<Line>,
    pub(super) records: BTreeMap<u64, Record>,
    /// The newest record of each key.
    pub(super) newest: HashMap<IncidentKey, u64>,
    /// Records that are over and delivered everywhere.
    finished: BTreeSet<u64>,
    pub(super) standing: Standing,
    /// Records to be written, or to be removed where they are gone.
    pub(super) changed: BTreeSet<u64>,
    pub(super) standing_changed: bool,
}

impl State {
    /// What the store holds, for these sinks: what was for others is forgotten.
    pub(super) fn new(
        origin: &str,
        routes: &[Route],
        stored: BTreeMap<u64, Record>,
        standing: Standing,
    ) -> Self {
        let line = |route: &Route| Line {
            route: route.clone(),
            waiting: BTreeMap::new(),
            // Whoever restarts the appliance may have mended the way to a sink: what waits is tried at once.
            failed_at: Some(Timestamp(0)),
            put_off_until: Timestamp(0),
            probe: true,
        };
        let mut state = Self {
            origin: origin.to_owned(),
            lines: routes.iter().map(line).collect(),
            records: BTreeMap::new(),
            newest: HashMap::new(),
            finished: BTreeSet::new(),
            standing,
            changed: BTreeSet::new(),
            standing_changed: false,
        };
        let known = |name: &str| routes.iter().any(|route| route.name == name);
        state.standing.gone.retain(|name, _| known(name));
        let own = Kind::ALL.map(|kind| state.told_key(kind));
        state.standing.told.retain(|key, _| own.contains(key));
        for (number, mut record) in stored {
            record.deliveries.retain(|delivery| known(&delivery.sink));
            state.insert(number, record);
        }
        // What was written before a count was is counted.
        let last = state.records.iter().map(|(number, record)| {
            record.ending.as_ref().map_or(*number, |ending| ending.sequence.max(*number))
        });
        state.standing.next =
            last.max().map_or(state.standing.next, |last| state.standing.next.max(last + 1));
        state
    }

    pub(super) fn line(&self, sink: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.route.name == sink)
    }

    pub(super) fn line_mut(&mut self, sink: &str) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.route.name == sink)
    }

    fn insert(&mut self, number: u64, record: Record) {
        self.newest.insert(record.incident.key().clone(), number);
        self.records.insert(number, record);
        self.stand_in_line(number);
    }

    /// Puts what waits of a record into the lines, and the record among the finished where nothing does.
    pub(super) fn stand_in_line(&mut self, number: u64) {
        let Some(record) = self.records.get(&number) else { return };
        for delivery in &record.deliveries {
            let line = self.lines.iter_mut().find(|line| line.route.name == delivery.sink);
            let Some(line) = line else { continue };
            for phase in [Phase::Begun, Phase::Ended] {
                if let (Some(progress), Some(sequence)) =
                    (delivery.progress(phase), record.sequence(number, phase))
                {
                    if progress.is_waiting() {
                        line.waiting.insert(sequence, (number, phase));
                    } else {
                        line.waiting.remove(&sequence);
                    }
                }
            }
        }
        if record.is_finished() {
            self.finished.insert(number);
        }
    }

    fn next_place(&mut self) -> u64 {
        let place = self.standing.next;
        self.standing.next = place.saturating_add(1);
        self.standing_changed = true;
        place
    }

    /// Takes an event.
    pub(super) fn raise(&mut self, event: &Event, now: Timestamp) -> Raised {
        match event {
            Event::Begun(incident) => self.begin(incident, None, now),
            Event::Ended(end) => self.end(end, now),
        }
    }

    /// Takes an incident for all sinks but one.
    pub(super) fn begin(&mut self, incident: &Incident, except: Option<&str>, now: Timestamp) -> Raised {
        let newest = self.newest.get(incident.key()).and_then(|number| self.records.get(number));
        if newest.is_some_and(|newest| newest.ending.is_none()) {
            return Raised::Known;
        }
        if !self.make_room() {
            self.standing.refused = self.standing.refused.saturating_add(1);
            self.standing_changed = true;
            return Raised::Refused;
        }
        let mut deliveries = Vec::new();
        for line in &mut self.lines {
            let name = &line.route.name;
            if incident.severity() >= line.route.min_severity && except != Some(name.as_str()) {
                line.probe = true;
                deliveries.push(Delivery { sink: name.clone(), begun: Progress::due(now), ended: None });
            }
        }
        let number = self.next_place();
        let key = self.told_key(incident.kind());
        if let Some(told) = Told::then(self.standing.told.get(&key).copied(), incident) {
            self.standing.told.insert(key, told);
        }
        self.insert(number, Record { incident: incident.clone(), ending: None, deliveries });
        self.changed.insert(number);
        Raised::Added(number)
    }

    pub(super) fn end(&mut self, end: &End, now: Timestamp) -> Raised {
        let Some(&number) = self.newest.get(end.key()) else { return Raised::NotOpen };
        if !self.records.get(&number).is_some_and(Record::is_open) {
            return Raised::NotOpen;
        }
        let sequence = self.next_place();
        let Some(record) = self.records.get_mut(&number) else { return Raised::NotOpen };
        record.ending = Some(Ending { sequence, end: end.clone() });
        for delivery in &mut record.deliveries {
            // Its alert will not come; nobody is to hear of the end alone.
            delivery.ended = Some(if delivery.begun.is_undeliverable() {
                Progress::undeliverable(now, "its alert was not delivered")
            } else {
                Progress::due(now)
            });
            if let Some(line) = self.lines.iter_mut().find(|line| line.route.name == delivery.sink) {
                line.probe = true;
            }
        }
        self.stand_in_line(number);
        self.changed.insert(number);
        self.forget_the_oldest();
        Raised::Added(number)
    }

    /// Room for one more: of what is over, the oldest that was delivered goes first, then the oldest that no sink will take.
    fn make_room(&mut self) -> bool {
        if self.records.len() < MAX_INCIDENTS {
            return true;
        }
        if let Some(&oldest) = self.finished.first() {
            self.remove(oldest);
            return true;
        }
        let given_up = |record: &Record| {
            let hopeless = |delivery: &Delivery| {
                self.standing.gone.contains_key(&delivery.sink)
                    || delivery.both().all(|progress| !progress.is_waiting())
            };
            !record.is_open() && record.deliveries.iter().all(hopeless)
        };
        let oldest = self.records.iter().find(|(_, record)| given_up(record)).map(|(number, _)| *number);
        if let Some(oldest) = oldest {
            self.remove(oldest);
            self.standing.dropped = self.standing.dropped.saturating_add(1);
            self.standing_changed = true;
        }
        oldest.is_some()
    }

    /// Keeps no more of what is over and delivered than was said.
    pub(super) fn forget_the_oldest(&mut self) {
        while self.finished.len() > MAX_KEPT_INCIDENTS {
            let Some(&oldest) = self.finished.first() else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, number: u64) {
        self.finished.remove(&number);
        self.changed.insert(number);
        let Some(record) = self.records.remove(&number) else { return };
        if self.newest.get(record.incident.key()) == Some(&number) {
            self.newest.remove(record.incident.key());
        }
        for line in &mut self.lines {
            line.waiting.remove(&number);
            if let Some(ending) = &record.ending {
                line.waiting.remove(&ending.sequence);
            }
        }
    }

    /// How far leaves of this kind were told; none: not one was.
    pub(super) fn told(&self, kind: Kind) -> Option<Told> {
        self.standing.told.get(&self.told_key(kind)).copied()
    }

    /// What stands for all of a kind in this log.
    fn told_key(&self, kind: Kind) -> IncidentKey {
        IncidentKey::new(&self.origin, kind, "")
    }

    /// The key under which the other sinks hear that one takes nothing.
    pub(super) fn undeliverable_key(&self, sink: &str) -> IncidentKey {
        IncidentKey::new(&self.origin, Kind::EscalationUndeliverable, sink)
    }
}
