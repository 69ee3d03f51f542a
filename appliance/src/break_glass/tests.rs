//! The room without an appliance.
