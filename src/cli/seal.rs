//! `hyclus seal`, `hyclus pack` and the seals of `hyclus verify`.

use super::output::{exit_code, fail};
use crate::data_root;
use crate::scan::ScanRecord;
use crate::seal::{self, About, PublicKey, SealKey, Sealed};
use crate::terminal::plain;
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `hyclus seal`.
#[derive(Debug, Args)]
pub(super) struct SealArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Makes a new key in FILE, and the public one in FILE.pub
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "scans", "by", "orcid", "license", "description"])]
    new_key: Option<PathBuf>,
    /// Secret key that signs [env: HYCLUS_SEAL_KEY]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Who seals [default: the user's name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// ORCID of that person, such as https://orcid.org/0000-0002-1825-0097
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    orcid: Option<String>,
    /// Licence of the data, such as https://creativecommons.org/licenses/by/4.0/
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    license: Option<String>,
    /// What the scan is
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Scan ids
    #[arg(required_unless_present = "new_key", value_name = "SCAN")]
    scans: Vec<String>,
}

/// `hyclus pack`.
#[derive(Debug, Args)]
pub(super) struct PackArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Public key that must have signed the seal
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// The pack [default: SCAN.zip]
    #[arg(long, value_name = "FILE.zip")]
    out: Option<PathBuf>,
    /// Scan id
    #[arg(value_name = "SCAN")]
    scan: String,
}

/// An address on the web.
fn address(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let web = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if plain && web.is_some_and(|rest| !rest.is_empty()) { Ok(text.to_owned()) } else { Err("it must begin with https://".to_owned()) }
}

/// `hyclus seal`.
pub(super) fn seal(args: &SealArgs, json: bool) -> ExitCode {
    if let Some(path) = &args.new_key {
        return match seal::new_key(path) {
            Ok((public, id)) => exit_code(told_key(path, &public, &id, json)),
            Err(error) => fail(error),
        };
    }
    let named = std::env::var_os("HYCLUS_SEAL_KEY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(key) = args.key.clone().or(named) else {
        return fail("no key is named: `--key FILE` or HYCLUS_SEAL_KEY; `hyclus seal --new-key FILE` makes one");
    };
    let key = match SealKey::read(&key) {
        Ok(key) => key,
        Err(error) => return fail(error),
    };
    let about = About {
        by: args.by.clone().unwrap_or_else(user),
        orcid: args.orcid.clone(),
        license: args.license.clone(),
        description: args.description.clone(),
    };
    if about.by.chars().any(char::is_control) {
        return fail("the name of --by has a control character");
    }
    let mut out = io::stdout().lock();
    for id in &args.scans {
        let sealed =
            record(&args.data, id).and_then(|scan| seal::seal(&scan, &args.data, &key, &about, &|| {}).map_err(|error| error.to_string()));
        let result = match sealed {
            Err(error) => return fail(error),
            Ok(sealed) if json => writeln!(out, "{}", shown(&sealed, &[])),
            Ok(Sealed { files, bytes, key, folder, .. }) => {
                writeln!(out, "{id}: {files} files, {bytes} bytes, sealed with the key {key} in {}", folder.display())
            }
        };
        if result.is_err() {
            return exit_code(result);
        }
    }
    ExitCode::SUCCESS
}

/// `hyclus pack`.
pub(super) fn pack(args: &PackArgs, json: bool) -> ExitCode {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.zip", args.scan)));
    let key = match args.public_key.as_deref().map(PublicKey::read).transpose() {
        Ok(key) => key,
        Err(error) => return fail(error),
    };
    if let Err(error) = record(&args.data, &args.scan) {
        return fail(error);
    }
    match seal::pack(&args.scan, &args.data, &out, key.as_ref(), &|| {}) {
        Err(error) => fail(error),
        Ok(packed) => {
            let (path, mut out) = (packed.path.display(), io::stdout().lock());
            exit_code(if json {
                let document = json!({"scan": args.scan, "path": packed.path, "files": packed.files, "bytes": packed.bytes});
                writeln!(out, "{document}")
            } else {
                writeln!(out, "{}: {} files, {} bytes in {path}", args.scan, packed.files, packed.bytes)
            })
        }
    }
}

/// The record of a scan that a user names.
pub(super) fn record(data: &Path, id: &str) -> Result<ScanRecord, String> {
    data_root::named(data, id).map_err(|newer| newer.to_string())?.ok_or_else(|| {
        format!("there is no scan {id} below {}; `ls {}` shows which there are", data.display(), data.join("scans").display())
    })
}

/// A seal as JSON.
pub(super) fn shown(sealed: &Sealed, damages: &[String]) -> Value {
    json!({
        "scan": sealed.scan, "key": sealed.key, "files": sealed.files, "bytes": sealed.bytes, "comment": sealed.comment,
        "folder": sealed.folder, "damages": damages,
    })
}

fn told_key(path: &Path, public: &Path, id: &str, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", json!({"key": id, "secret": path, "public": public}));
    }
    writeln!(out, "key {id}: {} signs and has no password, so keep it to yourself; give {} to others", path.display(), public.display())
}

/// The user's full name, or else the name of the account.
fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let named = user.map(|user| {
        let full = user.gecos.to_string_lossy().split(',').next().unwrap_or_default().trim().to_owned();
        if full.is_empty() { user.name } else { full }
    });
    named.map_or_else(|| "unknown".to_owned(), |name| plain(&name).into_owned())
}
