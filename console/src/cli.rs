//! The commands of `hyclus-console`.

use crate::server::{self, Ready};
use crate::state::StateDir;
use crate::state::accounts::{self, AccountError, Table};
use crate::state::links;
use crate::worklist;
use clap::{CommandFactory, Parser, Subcommand};
use hyclus::config::{ConsoleConfig, Loaded};
use hyclus::control::Role;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Steps of `nice` below the daemon.
const NICE: u8 = 10;

/// Serves the rig to browsers.
#[derive(Debug, Parser)]
#[command(name = "hyclus-console", version, about)]
struct Arguments {
    /// Configuration of the rig
    #[arg(long, global = true, value_name = "RIG.toml", default_value = "/etc/hyclus/rig.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the page (without a command, too)
    Serve,
    /// Makes and changes accounts
    #[command(subcommand)]
    User(User),
    /// Makes a link that lets a person in once, and prints it
    Link {
        /// What the person may do
        #[arg(long)]
        role: Role,
        /// How long the link and its session live: 30m, 8h, 7d
        #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
        life: i64,
        /// Name of the person, as others see it
        #[arg(long, default_value = "guest")]
        name: String,
    },
    /// Turns a worklist of samples, in CSV or as rows in JSON, into tray maps for `hyclus scan --tray`
    Worklist {
        /// The worklist
        #[arg(value_name = "LIST.csv")]
        list: PathBuf,
        /// Folder of the maps
        #[arg(long, value_name = "FOLDER")]
        into: PathBuf,
        /// A preset of the page Tray, or the file of a tray map: its places are filled, tray by tray
        #[arg(long, value_name = "NAME|FILE")]
        preset: Option<String>,
    },
    /// Checks configuration, state folder, accounts and certificate, and whether the daemon answers
    Check,
}

#[derive(Debug, Subcommand)]
enum User {
    /// Makes an account; the password comes from the terminal, or from standard input
    Add {
        /// Its name
        name: String,
        /// What its user may do
        #[arg(long)]
        role: Role,
    },
    /// Lists all accounts
    List,
    /// Removes an account, and ends its sessions
    Remove {
        /// Its name
        name: String,
    },
    /// Changes what an account may do, and ends its sessions
    Role {
        /// Its name
        name: String,
        /// What its user may do
        role: Role,
    },
    /// Changes the password of an account, and ends its sessions
    Password {
        /// Its name
        name: String,
    },
}

/// Any error that ends a command.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Seconds of `30m`, `8h`, `7d`.
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no time; write 30m, 8h or 7d, up to 30d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let whole = number.parse::<u32>().map_err(|_| wrong())?;
    Some(i64::from(whole) * unit).filter(|seconds| (60..=links::LONGEST_S).contains(seconds)).ok_or_else(wrong)
}

/// The arguments of the program.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyclus-console: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let loaded = Loaded::read(&arguments.config)?;
    let config = loaded.config.console.clone().ok_or_else(|| server::ServeError::Off(loaded.path.clone()))?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&loaded),
        Command::User(user) => change_accounts(&config, user),
        Command::Link { role, life, name } => {
            if !hyclus::scan::is_name(&name) {
                return Err(AccountError::Name(name).into());
            }
            let dir = StateDir::open(&config.state_dir)?;
            let now = crate::unix_s();
            let code = links::make(&dir, &name, role, now + life, now)?;
            println!("{}/#/link/{code}", server::url(&config, config.listen.parse::<SocketAddr>()?));
            Ok(())
        }
        Command::Worklist { list, into, preset } => {
            for map in worklist::write(&StateDir::open(&config.state_dir)?, &list, preset.as_deref(), &into)? {
                println!("{} {} samples", map.path.display(), map.samples);
            }
            Ok(())
        }
        Command::Check => check(&loaded, &config),
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(16).thread_name("console").enable_all().build()
}

fn serve(loaded: &Loaded) -> Result<(), Failure> {
    hyclus::telemetry::init_logging()?;
    // All threads come after this.
    hyclus::lower_priority_by(NICE);
    let inherited = hyclus::control::activated_tcp("console")?;
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // An error means that systemd did not start this process.
            let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        };
        server::serve(loaded, inherited, shutdown, said).await.map_err(Failure::from)
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    if let Err(error) = &served {
        tracing::error!(%error, "hyclus-console ends");
    }
    served
}

fn said(ready: &Ready) {
    tracing::info!(address = %ready.address, url = ready.url, "the console is at {}", ready.url);
    if let Some(fingerprint) = &ready.fingerprint {
        tracing::info!("SHA-256 fingerprint of the certificate: {fingerprint}");
    }
    // An error means that systemd did not start this process.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
}

fn change_accounts(config: &ConsoleConfig, user: User) -> Result<(), Failure> {
    let dir = StateDir::open(&config.state_dir)?;
    let known = |name: &str| -> Result<(), Failure> {
        let table: Table = dir.read(accounts::FILE)?;
        if table.contains_key(name) { Ok(()) } else { Err(AccountError::Unknown(name.to_owned()).into()) }
    };
    match user {
        User::Add { name, role } => {
            if known(&name).is_ok() {
                return Err(AccountError::Taken(name).into());
            }
            accounts::add(&dir, &name, role, &read_password()?)?;
            println!("{name} may {role}");
        }
        User::List => {
            let table: Table = dir.read(accounts::FILE)?;
            for (name, account) in &table {
                println!("{name:<24} {:<11} {}", account.role.to_string(), account.changed);
            }
            if table.is_empty() {
                println!("there is no account; `hyclus-console user add NAME --role operate` makes one");
            }
        }
        User::Remove { name } => {
            accounts::change(&dir, |table| table.remove(&name).map(|_| ()).ok_or(AccountError::Unknown(name.clone())))?;
            println!("{name} is removed");
        }
        User::Role { name, role } => {
            accounts::change(&dir, |table| {
                let account = table.get_mut(&name).ok_or(AccountError::Unknown(name.clone()))?;
                (account.role, account.changed) = (role, crate::now());
                Ok(())
            })?;
            println!("{name} may {role}");
        }
        User::Password { name } => {
            known(&name)?;
            let hash = accounts::hash_password(&read_password()?)?;
            accounts::change(&dir, |table| {
                let account = table.get_mut(&name).ok_or(AccountError::Unknown(name.clone()))?;
                (account.password, account.changed) = (hash, crate::now());
                Ok(())
            })?;
            println!("{name} has a new password");
        }
    }
    Ok(())
}

/// Reads a password: twice and without echo from a terminal, else a line of standard input.
fn read_password() -> Result<String, Failure> {
    let stdin = io::stdin();
    let line = || -> io::Result<String> {
        let mut text = String::new();
        stdin.lock().take(4096).read_line(&mut text)?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    };
    if !stdin.is_terminal() {
        return Ok(line()?);
    }
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent)?;
    let asked = ["Password: ", "Again: "].map(|question| {
        eprint!("{question}");
        io::stderr().flush()?;
        let answer = line();
        eprintln!();
        answer
    });
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before)?;
    let [first, second] = asked;
    let first = first?;
    if first != second? {
        return Err("the two passwords differ; try again".into());
    }
    Ok(first)
}

fn check(loaded: &Loaded, config: &ConsoleConfig) -> Result<(), Failure> {
    let dir = StateDir::open(&config.state_dir)?;
    let table: Table = dir.read(accounts::FILE)?;
    let address = config.listen.parse::<SocketAddr>()?;
    println!("page       {}", server::url(config, address));
    println!("accounts   {}", table.len());
    if let Some(tls) = &config.tls {
        println!("encryption {}", crate::tls::open(config, tls, &dir)?.fingerprint);
    } else {
        println!("encryption none: the page is for this machine alone");
    }
    let client = hyclus::client::Client::of(&loaded.config.control.socket);
    let status = runtime()?.block_on(async { client.status().await })?;
    println!("daemon     {} {}", status.rig, status.version);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_links_are_read() {
        assert_eq!(["1m", "8h", "7d", "30d"].map(seconds), [Ok(60), Ok(28_800), Ok(604_800), Ok(2_592_000)]);
        for wrong in ["", "h", "0m", "8", "-1h", "31d", "8 h", "1.5h", "8ö", "99999999999h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
