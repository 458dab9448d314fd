//! Commands that need no daemon. They call the stages' own functions.

use super::{CheckArgs, InspectArgs, ProcessArgs, SchemaArgs, TailArgs};
use std::process::ExitCode;

fn not_built(command: &str) -> ExitCode {
    eprintln!("hyclus {command}: not built yet");
    ExitCode::FAILURE
}

/// `hyclus process`: recorded captures through the pipeline.
pub(super) fn process(_args: ProcessArgs, _json: bool) -> ExitCode {
    not_built("process")
}

/// `hyclus check`: faults of a configuration, and what it implies.
pub(super) fn check(_args: CheckArgs, _json: bool) -> ExitCode {
    not_built("check")
}

/// `hyclus schema`: the configuration's JSON schema.
pub(super) fn schema(_args: SchemaArgs) -> ExitCode {
    not_built("schema")
}

/// `hyclus tail`: rows of the Parquet data set.
pub(super) fn tail(_args: TailArgs, _json: bool) -> ExitCode {
    not_built("tail")
}

/// `hyclus inspect`: what is in a file.
pub(super) fn inspect(_args: InspectArgs, _json: bool) -> ExitCode {
    not_built("inspect")
}
