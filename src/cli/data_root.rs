//! Commands on the scans of a data root: recovery and verification.

use super::arguments::{RecoverArgs, UpgradeArgs, VerifyArgs};
use super::output::{exit_code, fail, write_json};
use super::seal::record;
use crate::config::Loaded;
use crate::data_root::{self, Damage, DataRoot};
use crate::print;
use crate::scan::ScanRecord;
use crate::seal::{self, PublicKey, SealError, Sealed};
use crate::terminal::plain;
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// `hyclus recover`.
pub(super) fn recover(args: &RecoverArgs, json: bool) -> ExitCode {
    let loaded = match args.config.as_deref().map(Loaded::read).transpose() {
        Ok(loaded) => loaded,
        Err(error) => return fail(error),
    };
    let root = match DataRoot::take(&args.data) {
        Ok(root) => root,
        Err(error) => return fail(error),
    };
    if let (Some(encoder), Some(loaded)) = (&args.encoder, &loaded) {
        let again = |scan: &mut ScanRecord| data_root::encode_again(scan, encoder, &loaded.config, &args.data);
        return ended(args, |scan| {
            again(scan).map_err(|error| error.to_string()).map(|rows| format!("{rows} embeddings of the encoder {encoder} are published"))
        });
    }
    if let (true, Some(loaded)) = (args.heads, &loaded) {
        let again = |scan: &mut ScanRecord| data_root::judge_samples_again(scan, &loaded.config, &args.data);
        return ended(args, |scan| {
            again(scan).map_err(|error| error.to_string()).map(|()| format!("{} samples are judged by the heads", scan.samples.len()))
        });
    }
    let (mut unfinished, mut pending) = (root.unfinished(), root.pending());
    unfinished.extend(root.set_aside());
    for id in &args.scans {
        match record(&args.data, id) {
            Err(error) => return fail(error),
            Ok(record) if record.ended.is_some() && !record.lacks() && record.set_aside.is_none() => {
                return fail(format!("{id} has ended; it needs no recovery"));
            }
            Ok(_) => {}
        }
    }
    let asked = |scan: &ScanRecord| args.scans.is_empty() || args.scans.contains(&scan.id);
    unfinished.retain(asked);
    pending.retain(asked);
    let mut out = io::stdout().lock();
    if unfinished.is_empty() && pending.is_empty() && !json {
        return exit_code(writeln!(out, "no scan was cut off or lacks embeddings or minerals below {}", args.data.display()));
    }
    let mut code = ExitCode::SUCCESS;
    for scan in unfinished {
        let id = scan.id.clone();
        let result = match root.recover(scan, loaded.as_ref(), &|| {}) {
            Ok(record) if json => write_json(&record, &mut out),
            Ok(record) => print::write_summary(&record, &args.data, &mut out),
            Err(error) => {
                code = fail(format!("{id}: {error}"));
                Ok(())
            }
        };
        if result.is_err() {
            return exit_code(result);
        }
    }
    for scan in pending {
        let id = scan.id.clone();
        let result = match root.catch_up(scan, loaded.as_ref()) {
            Ok((record, ..)) if json => write_json(&record, &mut out),
            Ok((_, rows, 0)) => writeln!(out, "scan {id}: {rows} embeddings that it lacked are published"),
            Ok((_, 0, samples)) => writeln!(out, "scan {id}: {samples} sample(s) that lacked minerals are identified"),
            Ok((_, rows, samples)) => {
                writeln!(out, "scan {id}: {rows} embeddings that it lacked are published, and {samples} sample(s) are identified")
            }
            Err(error) => {
                code = fail(format!("{id}: {error}"));
                Ok(())
            }
        };
        if result.is_err() {
            return exit_code(result);
        }
    }
    code
}

/// `hyclus recover --encoder` and `--heads`: does something to each ended scan that is asked for, and says what became of it.
fn ended(args: &RecoverArgs, again: impl Fn(&mut ScanRecord) -> Result<String, String>) -> ExitCode {
    let (mut code, mut out) = (ExitCode::SUCCESS, io::stdout().lock());
    let asked = |scan: &ScanRecord| args.scans.is_empty() || args.scans.contains(&scan.id);
    if let Some(Err(error)) = args.scans.iter().map(|id| record(&args.data, id)).find(Result::is_err) {
        return fail(error);
    }
    for mut scan in data_root::records(&args.data).into_iter().filter(|scan| asked(scan) && scan.ended.is_some()) {
        match again(&mut scan) {
            Ok(done) => {
                let told = writeln!(out, "scan {}: {done}", scan.id);
                if told.is_err() {
                    return exit_code(told);
                }
            }
            Err(error) => code = fail(format!("{}: {error}", scan.id)),
        }
    }
    code
}

/// `hyclus verify`.
pub(super) fn verify(args: &VerifyArgs, json: bool) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let mut out = io::stdout().lock();
    let key = match args.public_key.as_deref().map(PublicKey::read).transpose() {
        Ok(key) => key,
        Err(error) => return fail(error),
    };
    for id in &args.scans {
        let scan = match record(&args.data, id) {
            Ok(scan) if scan.ended.is_none() => return fail(format!("{id} has not ended; if it was cut off, `hyclus recover` closes it")),
            Ok(scan) => scan,
            Err(error) => return fail(error),
        };
        let mut damages = match data_root::verify(&scan, &args.data, &|| {}) {
            Ok(damages) => damages,
            Err(error) => return fail(error),
        };
        let sealed = match seal::verify(&scan, &args.data, key.as_ref(), &|| {}) {
            Ok(sealed) => sealed,
            Err(error) => return fail(error),
        };
        if key.is_some() && sealed.is_none() {
            return fail(SealError::NoSeal { scan: id.clone() });
        }
        let sealed = sealed.map(|(sealed, found)| {
            // A file that is not as scan.json says is no news of the seal.
            let known: Vec<String> = damages.iter().map(|damage| damage.path().to_owned()).collect();
            damages.extend(found.into_iter().filter(|damage| !known.iter().any(|path| path == damage.path())));
            sealed
        });
        if !damages.is_empty() {
            code = ExitCode::FAILURE;
        }
        let told = Told { scan: &scan, damages: &damages, sealed: sealed.as_ref(), trusted: key.is_some() };
        let result = if json { told.json(&args.data, &mut out) } else { told.text(&args.data, &mut out) };
        if result.is_err() {
            return exit_code(result);
        }
    }
    code
}

/// What `hyclus verify` says of a scan.
struct Told<'a> {
    scan: &'a ScanRecord,
    damages: &'a [Damage],
    sealed: Option<&'a Sealed>,
    /// Whether the key of the seal was named.
    trusted: bool,
}

impl Told<'_> {
    /// Number of files that lie here, and their bytes.
    fn here(&self, data: &Path) -> (usize, u64) {
        let here = self.scan.files.iter().filter(|file| !self.scan.away(&file.path) || data.join(&file.path).exists());
        here.fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.bytes))
    }

    fn json(&self, data: &Path, out: &mut dyn Write) -> io::Result<()> {
        let damages: Vec<String> = self.damages.iter().map(ToString::to_string).collect();
        let archive = self.scan.archived.as_ref().map(|archived| &archived.place);
        let (files, bytes) = self.here(data);
        let seal =
            self.sealed.map(|sealed| json!({"key": sealed.key, "trusted": self.trusted, "files": sealed.files, "comment": sealed.comment}));
        let document = json!({"scan": self.scan.id, "files": files, "bytes": bytes, "damages": damages, "archive": archive, "seal": seal});
        writeln!(out, "{document}")
    }

    fn text(&self, data: &Path, out: &mut dyn Write) -> io::Result<()> {
        let id = &self.scan.id;
        if !self.damages.is_empty() {
            return self.damages.iter().try_for_each(|damage| writeln!(out, "{id}: {}", plain(&damage.to_string())));
        }
        let (files, bytes) = self.here(data);
        match data_root::elsewhere(self.scan).filter(|_| files < self.scan.files.len()) {
            Some(away) => writeln!(out, "{id}: {files} files, {bytes} bytes here, all as scan.json says; {}", plain(&away))?,
            None => writeln!(out, "{id}: {files} files, {bytes} bytes, all as scan.json says")?,
        }
        let Some(Sealed { key, comment, .. }) = self.sealed else { return Ok(()) };
        let by = if self.trusted { "" } else { "; name the key that you trust with --public-key" };
        writeln!(out, "{id}: all as sealed with the key {key} ({}){by}", plain(comment))
    }
}

/// `hyclus upgrade`.
pub(super) fn upgrade(args: &UpgradeArgs, json: bool) -> ExitCode {
    // No daemon may write records meanwhile.
    let _root = match DataRoot::take(&args.data) {
        Ok(root) => root,
        Err(error) => return fail(error),
    };
    let scans = match args.scans.iter().map(|id| record(&args.data, id)).collect::<Result<Vec<_>, _>>() {
        Ok(named) if named.is_empty() => data_root::records(&args.data),
        Ok(named) => named,
        Err(error) => return fail(error),
    };
    let (mut code, mut out) = (ExitCode::SUCCESS, io::stdout().lock());
    for mut scan in scans {
        let id = scan.id.clone();
        let result = match scan.ended {
            None if args.scans.is_empty() => continue,
            None => Err(format!("{id} has not ended; `hyclus recover` closes it first")),
            Some(_) => data_root::upgrade(&mut scan, &args.data).map_err(|error| format!("{id}: {error}")),
        };
        let written = match result {
            Err(error) => {
                code = fail(error);
                continue;
            }
            Ok(parts) if json => writeln!(out, "{}", json!({"scan": id, "parts": parts})),
            Ok(0) => writeln!(out, "{id}: its embeddings are of the present format"),
            Ok(parts) => writeln!(out, "{id}: {parts} part{} written again", if parts == 1 { "" } else { "s" }),
        };
        if written.is_err() {
            return exit_code(written);
        }
    }
    code
}
