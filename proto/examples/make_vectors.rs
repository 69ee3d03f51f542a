//! Writes the test vectors to `tests/vectors/`. The same files on every run: `cargo run -p assent-proto --example make_vectors`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool for those who change the format may fail loudly"
)]

use std::path::Path;

#[path = "../tests/generator/mod.rs"]
mod generator;
#[path = "../tests/naive/mod.rs"]
mod naive;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in generator::all() {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
