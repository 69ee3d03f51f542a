//! The binary `assent`: hands the command line to [`appliance::cli`], and its verdict to the shell.

fn main() -> std::process::ExitCode {
    appliance::cli::main()
}
