//! `hyclus-study`: the offline study.

fn main() -> std::process::ExitCode {
    hyclus_study::cli::main()
}
