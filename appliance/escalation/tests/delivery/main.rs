//! Delivery from end to end: the deliverer's threads against sinks on real sockets that fail in every way, a store whose process
//! is killed, and certificates that nobody trusts.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod down;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tls;
