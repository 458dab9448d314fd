//! Setup of the log.

use std::io::IsTerminal;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// A failed setup of the log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `HYCLUS_LOG` is not a filter.
    #[error("HYCLUS_LOG = `{value}` is no filter ({source}); give a level (`info`) or targets (`info,hyclus::control=debug`)")]
    Filter {
        /// The variable's value.
        value: String,
        /// The fault of the filter.
        source: ParseError,
    },
    /// `HYCLUS_LOG_FORMAT` names no format.
    #[error("HYCLUS_LOG_FORMAT = `{value}` is no format; give text, json or journald")]
    Format {
        /// The variable's value.
        value: String,
    },
    /// `HYCLUS_LOG_FORMAT` asks for the journal, which does not accept entries.
    #[error("the journal does not take entries: {0}; unset HYCLUS_LOG_FORMAT to log to standard error")]
    Journal(std::io::Error),
    /// This process has a log already.
    #[error("the log is set up already")]
    Twice,
}

/// Sets up the log of this process.
///
/// Where systemd connects standard error to the journal (`JOURNAL_STREAM`), entries go to the journal, with fields. Otherwise they go to
/// standard error, as text. `HYCLUS_LOG_FORMAT=text|json|journald` overrides the choice. `HYCLUS_LOG` is the filter, `info` when unset.
///
/// # Errors
/// `HYCLUS_LOG` or `HYCLUS_LOG_FORMAT` is not valid, the journal does not accept entries, or the process has a log already.
pub fn init_logging() -> Result<(), LoggingError> {
    let wanted = std::env::var("HYCLUS_LOG").unwrap_or_default();
    let wanted = if wanted.is_empty() { "info".to_owned() } else { wanted };
    let filter: Targets = wanted.parse().map_err(|source| LoggingError::Filter { value: wanted, source })?;
    let format = std::env::var("HYCLUS_LOG_FORMAT").unwrap_or_default();
    let stderr = fmt::layer().with_writer(std::io::stderr);
    let text = || fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).boxed();
    let layer = match format.as_str() {
        "" if stderr_is_journal() => tracing_journald::layer().map_or_else(|_| text(), Layer::boxed),
        "" | "text" => text(),
        "json" => stderr.json().boxed(),
        "journald" => tracing_journald::layer().map_err(LoggingError::Journal)?.boxed(),
        _ => return Err(LoggingError::Format { value: format }),
    };
    tracing_subscriber::registry().with(filter).with(layer).try_init().map_err(|_| LoggingError::Twice)
}

/// Whether standard error is the stream that `JOURNAL_STREAM` (`device:inode`) names. A child process with redirected standard error
/// inherits the variable, but not the stream.
fn stderr_is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = nix::sys::stat::fstat(std::io::stderr()) else { return false };
    named == format!("{}:{}", stat.st_dev, stat.st_ino)
}
