//! `assent policy ..` as a person meets it: the binary, its output and how it ends.
//!
//! A bundle is written into a folder, or a real appliance leaves a log behind; nothing is called but the command line.

#[cfg(test)]
#[path = "end_to_end/support/mod.rs"]
mod support;

#[cfg(test)]
#[path = "policy/bundles.rs"]
mod bundles;
#[cfg(test)]
#[path = "policy/diff.rs"]
mod diff;
#[cfg(test)]
#[path = "policy/requests.rs"]
mod requests;
