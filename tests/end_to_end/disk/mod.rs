//! The disk breaks under the real binary: killed at any call, errors, hangs, no space, another's files.
//!
//! The one rule: whatever the disk does, no token is out that is not in the log, and nothing that was acknowledged is lost
//! (I1 to I6 of the design). What a power cut leaves of writes that no sync covered is not tested here, but on the log's
//! own fake disk (`appliance/log/tests/crash_images/`).

mod errors;
mod founding;
pub(crate) mod full;
mod hanging;
mod killed;
mod load;
mod refused;
pub(crate) mod strace;

use std::collections::BTreeMap;

use crate::support::{Appliance, Hsm};

/// Of the places of a sweep every n-th is met, beginning with another in each sweep, unless `ASSENT_SWEEP=full` says all.
const STRIDE: usize = 6;
/// The same where each place costs the founding of a whole appliance.
const LONG_STRIDE: usize = 18;

/// The places of a sweep: each call that a dry run counted, at each number.
fn places(counts: &BTreeMap<String, usize>, offset: usize, stride: usize) -> Vec<(String, usize)> {
    let all = counts.iter().flat_map(|(call, count)| (1..=*count).map(|nth| (call.clone(), nth)));
    if std::env::var("ASSENT_SWEEP").is_ok_and(|wanted| wanted == "full") {
        return all.collect();
    }
    all.skip(offset % stride).step_by(stride).collect()
}

fn show(counts: &BTreeMap<String, usize>) -> String {
    let shown: Vec<String> = counts.iter().map(|(call, count)| format!("{call} {count}")).collect();
    shown.join(", ")
}

/// An appliance on the simulator that lets its fence follow at once when it is idle.
fn attentive() -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "it stops well");
    configure(&appliance, "[hsm]", "heartbeat = \"20ms\"");
    appliance.launch();
    appliance
}

/// Puts a line into a section of the configuration.
fn configure(appliance: &Appliance, section: &str, line: &str) {
    let path = appliance.config();
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let text = match text.contains(section) {
        true => text.replace(section, &format!("{section}\n{line}")),
        false => format!("{text}\n{section}\n{line}\n"),
    };
    std::fs::write(&path, text).expect("the configuration");
}
