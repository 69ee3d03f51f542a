//! The HSM door with real modules and the real binary: SoftHSM2 where it is installed, and the simulator always.
//!
//! What is asserted: whatever the module or the child does, the appliance hears of it in time, by the right name, and no PIN
//! try is spent that need not be.

#[cfg(test)]
#[path = "end_to_end/support/not_run.rs"]
mod not_run;
#[cfg(test)]
#[path = "hsm_door/scratch.rs"]
mod scratch;

#[cfg(test)]
#[path = "hsm_door/commands.rs"]
mod commands;
#[cfg(test)]
#[path = "hsm_door/deadline.rs"]
mod deadline;
#[cfg(test)]
#[path = "hsm_door/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "hsm_door/hardening.rs"]
mod hardening;
#[cfg(test)]
#[path = "hsm_door/messages.rs"]
mod messages;
#[cfg(test)]
#[path = "hsm_door/pins.rs"]
mod pins;
#[cfg(test)]
#[path = "hsm_door/signing.rs"]
mod signing;
