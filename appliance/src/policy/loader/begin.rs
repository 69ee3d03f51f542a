//! The first bundle: that of the source, or else the last good one, loudly.

use std::sync::Arc;

use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;

use super::{Loader, LoaderSettings, Offered, guarded, loaded, refusal, shown};
use crate::clock::{Clock, Stopwatch};
use crate::limits::MAX_SOURCE_BYTES;
use crate::policy::admission::{LoadError, Rules, bounded};
use crate::policy::archive::Archive;
use crate::policy::offer::{Look, Offer};
use crate::policy::report::RefusedOffer;
use crate::policy::shadow::Shadow;
use crate::policy::snapshot::{By, Provenance, Snapshot};
use crate::policy::store::{State, Store};
use crate::policy::watch::Watch;
use crate::policy::{Policies, cached};
use crate::token::Operation;

impl Loader {
    /// Puts the first bundle in force: that of the source, or else the one that was kept.
    pub(super) fn begin(
        settings: LoaderSettings,
        clock: Clock,
        shadow: Option<Arc<Shadow>>,
        mut record: Box<dyn FnMut(Operation) + Send>,
    ) -> Result<Self, LoadError> {
        let (store, archive) = (Store::open(&settings.store)?, Archive::at(&settings.archive));
        let state = store.state()?;
        let (now, source) = (clock.now(), shown(&settings.folder));
        let provenance = Provenance { source: source.clone(), by: By::Start, at: now };
        let mut watch = Watch::default();
        let offered = Look::at(&settings.folder).and_then(|look| {
            watch.judge(look.clone(), true);
            Offer::read_as(&settings.folder, &look, Vec::new())
        });
        let known = Offered::of(&offered);
        let first = offered.map_err(LoadError::from).and_then(|offer| {
            guarded(|| settings.rules.admit(offer, provenance, None, state.version, false))
        });
        let (snapshot, state, refused) = match first {
            Ok(snapshot) => {
                // A clock that went back while nobody looked is known by the time that was kept: it stays.
                let state = State { version: snapshot.version(), confirmed: now.max(state.confirmed) };
                archive.keep(&snapshot)?;
                store.keep(&cached::encode(&snapshot)?, &state)?;
                (snapshot, state, None)
            }
            Err(error) => {
                watch.reject();
                match kept(&settings.rules, &store, now) {
                    Ok(Some(snapshot)) => {
                        // One that an appliance of before kept may not be in the archive.
                        archive.keep(&snapshot)?;
                        (snapshot, state, Some(error))
                    }
                    Ok(None) => return Err(error),
                    Err(kept) => {
                        let (offered, kept) = (Box::new(error), Box::new(kept));
                        return Err(LoadError::Neither { offered, kept });
                    }
                }
            }
        };
        let snapshot = Arc::new(snapshot);
        let (budget, max_age) = (settings.rules.budget, settings.max_age);
        let policies =
            Policies::new(Arc::clone(&snapshot), &settings.folder, budget, max_age, state.confirmed, now);
        if let Some(error) = refused {
            let reason = known.reason(&error);
            tracing::error!(source, reason, "the source's bundle is not taken; the last good one decides");
            let by = By::Start.to_string();
            policies.note_refused(RefusedOffer::new(now, source.clone(), by, reason.clone()));
            record(refusal(Hash::default(), source, &By::Start, known.version, reason));
        }
        record(loaded(Hash::default(), &snapshot));
        Ok(Self {
            settings,
            policies: Arc::new(policies),
            store,
            state,
            clock,
            record,
            watch,
            shadow,
            retired: Vec::new(),
            recorded: None,
            remembered: Stopwatch::start(),
        })
    }
}

/// The bundle that was kept, held to the rules of now.
fn kept(rules: &Rules, store: &Store, now: Timestamp) -> Result<Option<Snapshot>, LoadError> {
    let Some(bytes) = store.bundle()? else {
        return Ok(None);
    };
    let cached = cached::decode(&bytes)?;
    let source = bounded(&format!("last good bundle of {}", cached.source), MAX_SOURCE_BYTES);
    let replaces = cached.replaces;
    let provenance = Provenance { source, by: By::Start, at: now };
    guarded(|| rules.admit_replacing(cached.into_offer(), provenance, None, replaces)).map(Some)
}
