//! The log opened under its keys, and a sealer put over it.

use std::sync::Arc;

use super::{ServeError, service, system};
use crate::break_glass::{self, BreakGlass};
use crate::clock::Clock;
use crate::config::{Config, Fence, HsmFence, Rearm};
use crate::disk::{Space, check_places};
use crate::hsm::HsmSettings;
use crate::limits::SIGNER_START_DEADLINE;
use crate::log::reader::Reader;
use crate::log::{Log, Place};
use crate::provision::{self, ProvisionError};
use crate::queue::Queue;
use crate::token::{Authority, HsmFenceSettings, Sealer, SealerHandle, SealerSettings};

/// A sealer, what reaches it, and the rooms whose rows it writes.
pub(super) struct Opened {
    pub(super) sealer: Sealer,
    pub(super) handle: SealerHandle,
    pub(super) reader: Reader,
    pub(super) queue: Arc<Queue>,
    pub(super) break_glass: Arc<BreakGlass>,
}

/// Opens the log under its keys, and puts a sealer over it.
pub(super) fn open(config: &Config, clock: &Clock) -> Result<Opened, ServeError> {
    check_places(
        &config.appliance.data,
        &[provision::log_file(config), provision::keyring_file(config)],
        &config.fence_file(),
    )?;
    let place = Place::beside(&provision::log_file(config), &config.fence_file());
    let told = |volumes: u64| {
        if volumes.is_multiple_of(64) {
            tracing::info!(volumes, "checking volumes of the log");
            service::starting("checking volumes of the log");
        }
    };
    let log = Log::open_at(place, provision::keyring(config)?, told)?;
    // A ceremony that was killed before its commit has left a log that nobody may serve.
    if config.appliance.log > 1 && log.frontier().size().0 == 0 {
        return Err(ProvisionError::NotOpened(config.appliance.log).into());
    }
    let (reader, checked) = (log.reader(), log.checked());
    let queue = Queue::open(&reader, config.queue.limits).map_err(ServeError::Queue)?;
    let keys = config.appliance.data.join(break_glass::FOLDER);
    let break_glass = BreakGlass::open(&reader, config.origin(), keys).map_err(ServeError::BreakGlass)?;
    // The ring says which key signs; the configuration says only how to reach the HSM that holds it.
    let signing = log.keys().signing();
    let verifier_key = signing.vkey.clone();
    let hsm = HsmSettings { key_id: signing.cka_id_bytes(), ..provision::hsm_settings(config)? };
    let authority = Authority {
        hsm,
        pin: config.hsm.pin.read()?,
        verifier_key,
        deadline: config.hsm.deadline,
        start_deadline: SIGNER_START_DEADLINE,
        probes: config.hsm.rearm_probes,
    };
    let settings = SealerSettings {
        entries_max: config.round.entries_max,
        heartbeat: config.hsm.heartbeat,
        rearm_automatically: config.hsm.rearm == Rearm::Automatic,
        backoff_max: config.hsm.backoff_max,
        unsigned_max: config.round.unsigned_max,
        hsm_fence: hsm_fence(&config.fence),
        status_every: config.round.status_every,
        disk_deadline: config.log.deadline,
        space: space(config),
    };
    let (sealer, handle) =
        Sealer::new(log, authority, settings, Arc::clone(&queue), Arc::clone(&break_glass), clock.clone());
    if !checked {
        check_volumes(reader.clone(), handle.clone())
            .map_err(system("start the check of the log's volumes"))?;
    }
    Ok(Opened { sealer, handle, reader, queue, break_glass })
}

/// Checks the volumes of a log that was closed in order while it serves: what is damaged closes the boundary.
fn check_volumes(reader: Reader, handle: SealerHandle) -> std::io::Result<()> {
    let check = move || match reader.check_volumes(|_| ()) {
        Ok(()) => tracing::info!("the volumes of the log are whole"),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a volume of the log is not whole");
            handle.damaged(&error);
        }
    };
    std::thread::Builder::new().name("volumes".to_owned()).spawn(check).map(drop)
}

const fn hsm_fence(fence: &Fence) -> Option<HsmFenceSettings> {
    let demanded = match fence.hsm {
        HsmFence::Off => return None,
        HsmFence::Auto => false,
        HsmFence::On => true,
    };
    Some(HsmFenceSettings { demanded, every: fence.hsm_every })
}

fn space(config: &Config) -> Space {
    let (low_water, reserve) = (u64::from(config.log.low_water), u64::from(config.log.reserve));
    Space::new(&config.appliance.data, &config.fence.path, low_water, reserve)
}
