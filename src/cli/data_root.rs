//! Commands on the scans of a data root: recovery and verification.

use super::arguments::{RecoverArgs, UpgradeArgs, VerifyArgs};
use super::output::{exit_code, fail, write_json, write_summary};
use crate::config::Loaded;
use crate::data_root::{self, DataRoot};
use crate::scan::ScanRecord;
use crate::terminal::plain;
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// The record of the scan with an id. The id never becomes a path.
fn record(data: &Path, id: &str) -> Result<ScanRecord, String> {
    data_root::named(data, id).map_err(|newer| newer.to_string())?.ok_or_else(|| {
        format!("there is no scan {id} below {}; `ls {}` shows which there are", data.display(), data.join("scans").display())
    })
}

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
            Ok(record) => write_summary(&record, &args.data, &mut out),
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
    for id in &args.scans {
        let scan = match record(&args.data, id) {
            Ok(scan) if scan.ended.is_none() => return fail(format!("{id} has not ended; if it was cut off, `hyclus recover` closes it")),
            Ok(scan) => scan,
            Err(error) => return fail(error),
        };
        let damages = match data_root::verify(&scan, &args.data, &|| {}) {
            Ok(damages) => damages,
            Err(error) => return fail(error),
        };
        if !damages.is_empty() {
            code = ExitCode::FAILURE;
        }
        let here = || scan.files.iter().filter(|file| args.data.join(&file.path).exists());
        let (files, bytes) = (here().count(), here().map(|file| file.bytes).sum::<u64>());
        let away = data_root::elsewhere(&scan).filter(|_| files < scan.files.len());
        let result = if json {
            let damages: Vec<String> = damages.iter().map(ToString::to_string).collect();
            let archive = scan.archived.as_ref().map(|archived| &archived.place);
            writeln!(out, "{}", json!({"scan": id, "files": files, "bytes": bytes, "damages": damages, "archive": archive}))
        } else if let (true, Some(away)) = (damages.is_empty(), &away) {
            writeln!(out, "{id}: {files} files, {bytes} bytes here, all as scan.json says; {}", plain(away))
        } else if damages.is_empty() {
            writeln!(out, "{id}: {files} files, {bytes} bytes, all as scan.json says")
        } else {
            damages.iter().try_for_each(|damage| writeln!(out, "{id}: {}", plain(&damage.to_string())))
        };
        if result.is_err() {
            return exit_code(result);
        }
    }
    code
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
