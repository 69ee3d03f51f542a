//! End to end: the real binary, real HSM modules, real sockets and files, each appliance in a folder of its own.

mod bad_input;
mod crash;
mod outage;
mod support;
mod walk;
