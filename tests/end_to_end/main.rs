//! End to end: the real binary, real HSM modules, real sockets and files, each appliance in a folder of its own.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod bad_day;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod console;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod drills;
#[cfg(test)]
mod escalation_kinds;
#[cfg(test)]
mod escalations;
#[cfg(test)]
mod fail_open;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod fences;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod keeping;
#[cfg(test)]
mod latch;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod passkeys;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod service;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod succession;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tampering;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod unread;
#[cfg(test)]
mod unsigned;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod witnesses;
