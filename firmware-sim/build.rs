//! Keeps the module in memory once it is loaded: its control thread must not outlive its code when an application unloads it
//! without C_Finalize.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
