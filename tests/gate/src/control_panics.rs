//! Positive control: an index that the compiler cannot prove, which is a call to the panic machinery.

/// The byte at `index`, or a panic.
#[unsafe(no_mangle)]
pub extern "C" fn gate_control_panics(table: &[u8; 16], index: usize) -> u8 {
    table[index]
}
