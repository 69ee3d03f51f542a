//! The simulator from outside: its shared library loaded as an application loads it, and its command as an operator runs it.
#![expect(
    unsafe_code,
    reason = "a C ABI is tested through raw calls, and its folder is set in the environment"
)]

#[cfg(test)]
mod abuse;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod draw;
#[cfg(test)]
mod fault_control;
#[cfg(test)]
mod fault_table;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod interposed;
#[cfg(test)]
mod killed;
#[cfg(test)]
#[path = "../../../tests/end_to_end/support/not_run.rs"]
mod not_run;
#[cfg(test)]
mod opensc;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod scratch;
#[cfg(test)]
mod stand_alone;
#[cfg(test)]
mod strikes;
