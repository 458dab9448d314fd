//! `hyclus-manual`: writes the manual pages and the completions of the programs, from their own help texts.

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes the manual pages and the completions of the programs.
#[derive(Debug, Parser)]
#[command(name = "hyclus-manual", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a manual page for each program and each of its commands
    Man {
        /// Folder, which is made where it is missing
        folder: PathBuf,
    },
    /// Writes the completions of each program under the names that a shell looks for
    Completions {
        /// Which shell
        shell: Shell,
        /// Folder, which is made where it is missing
        folder: PathBuf,
    },
}

/// The programs that people install.
fn programs() -> [clap::Command; 4] {
    [hyclus::cli::command(), hyclus::daemon::command(), hyclus_console::cli::command(), hyclus_ship::cli::command()]
}

/// Writes the manual pages.
fn man(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    programs().into_iter().try_for_each(|program| clap_mangen::generate_to(program, folder))
}

/// Writes the completions of a shell.
fn completions(shell: Shell, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    programs().into_iter().try_for_each(|mut program| {
        let name = program.get_name().to_owned();
        clap_complete::generate_to(shell, &mut program, name, folder).map(drop)
    })
}

fn main() -> ExitCode {
    let (written, folder) = match Arguments::parse().command {
        Command::Man { folder } => (man(&folder), folder),
        Command::Completions { shell, folder } => (completions(shell, &folder), folder),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyclus-manual: {}: {error}; check the permissions and the free space", folder.display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_program_and_each_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        man(folder.path()).unwrap();
        let names = names(folder.path());
        for name in
            ["hyclus.1", "hyclusd.1", "hyclus-console.1", "hyclus-ship.1", "hyclus-scan.1", "hyclus-export-csv.1", "hyclus-ship-fetch.1"]
        {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        let page = std::fs::read_to_string(folder.path().join("hyclus-scan.1")).unwrap();
        assert!(page.contains("Starts a scan") && page.contains(".TH hyclus"), "{page}");
    }

    #[test]
    fn each_program_has_completions() {
        let folder = tempfile::tempdir().unwrap();
        for (shell, name) in [(Shell::Bash, "hyclus.bash"), (Shell::Zsh, "_hyclus"), (Shell::Fish, "hyclus.fish")] {
            completions(shell, &folder.path().join(shell.to_string())).unwrap();
            let names = names(&folder.path().join(shell.to_string()));
            assert!(names.len() == 4 && names.iter().any(|known| known == name), "{names:?}");
        }
    }
}
