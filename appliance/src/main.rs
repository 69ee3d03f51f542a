//! The binary `assent`: hands the command line to [`appliance::cli`], and its verdict to the shell.

/// Large batches come and go on several threads; the system's allocator keeps a third more of what they took.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    appliance::cli::main()
}
