//! What a service manager is told: ready once it answers, alive also while the HSM is away, how the boundary stands, and that
//! it stops.

use std::time::Duration;

use super::Manager;
use crate::operators::{clear, inject};

/// The watchdog's time: three signs of life within it.
const WITHIN: Duration = Duration::from_millis(600);

#[test]
fn a_manager_hears_ready_status_life_and_stop() {
    let manager = Manager::listen();
    let mut appliance = manager.start(WITHIN);
    manager.hears("READY=1");
    assert!(appliance.status().is_some(), "what is ready answers");
    manager.hears("STATUS=open");
    manager.hears("WATCHDOG=1");
    inject(&appliance, "remove");
    manager.hears("STATUS=token boundary CLOSED: device_removed");
    // An HSM that is away is no hang: signs of life go on, each within its time.
    for _ in 0..6 {
        let told = manager.next(WITHIN).expect("a sign of life within the watchdog's time");
        assert!(told == ["WATCHDOG=1"] || told[0].starts_with("STATUS="), "{told:?}");
    }
    clear(&appliance);
    manager.hears("STATUS=open");
    assert!(appliance.stop(), "it stops");
    let before = manager.hears("STOPPING=1");
    assert!(before.contains(&"STATUS=finishing what was taken in".to_owned()), "{before:?}");
}

#[test]
fn without_a_manager_nothing_is_told_and_nothing_fails() {
    let mut appliance = crate::support::Appliance::start(crate::support::Hsm::Simulator);
    assert!(appliance.stop(), "it stops");
    let words = ["env", "NOTIFY_SOCKET=/nonexistent/notify", "WATCHDOG_USEC=300000"];
    appliance.launch_under(&words.map(Into::into));
    appliance.wait_until_open();
    assert!(appliance.stop(), "a manager that is gone stops nobody");
}
