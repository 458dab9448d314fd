//! `hyclus seal`, `hyclus pack` and the seals of `hyclus verify`.

use super::output::{exit_code, fail};
use crate::data_root;
use crate::scan::ScanRecord;
use crate::seal::{self, About, PublicKey, SealKey, Sealed};
use clap::Args;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    #[arg(long, value_name = "ADDRESS", value_parser = seal::address)]
    orcid: Option<String>,
    /// Licence of the data, such as https://creativecommons.org/licenses/by/4.0/
    #[arg(long, value_name = "ADDRESS", value_parser = seal::address)]
    license: Option<String>,
    /// What the scan is
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Scan ids
    #[arg(required_unless_present = "new_key", value_name = "SCAN")]
    scans: Vec<String>,
}

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
        by: args.by.clone().unwrap_or_else(seal::user),
        orcid: args.orcid.clone(),
        license: args.license.clone(),
        description: args.description.clone(),
    };
    let mut out = io::stdout().lock();
    for id in &args.scans {
        let sealed =
            record(&args.data, id).and_then(|scan| seal::seal(&scan, &args.data, &key, &about, &|| {}).map_err(|error| error.to_string()));
        let result = match sealed {
            Err(error) => return fail(error),
            Ok(sealed) if json => writeln!(out, "{}", json!(sealed)),
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

fn told_key(path: &Path, public: &Path, id: &str, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", json!({"key": id, "secret": path, "public": public}));
    }
    writeln!(out, "key {id}: {} signs and has no password, so keep it to yourself; give {} to others", path.display(), public.display())
}
