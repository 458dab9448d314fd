//! What the shipper asks the daemon: whether the rig works, and to note that a scan is archived.

use hyclus::client::{Client, ClientError};
use hyclus::operations::ArchivedRequest;
use hyclus::scan::{FilesHere, StateName};
use std::path::Path;
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait while files are removed.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(120);

/// The daemon of the rig.
#[derive(Debug)]
pub(crate) struct Daemon {
    client: Client,
}

/// Why a note was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotNoted {
    /// The rig works, or the scan waits for something. Later it may be.
    Later(String),
    /// No daemon runs, or it does not let this user.
    Refused(String),
}

impl Daemon {
    /// The daemon on a socket.
    pub(crate) fn on(socket: &Path) -> Self {
        Self { client: Client::of(socket) }
    }

    /// Whether cameras may record lines now. Without a daemon, none do. A daemon that does not answer may be busy with them.
    pub(crate) async fn works(&self) -> bool {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.status()).await {
            Ok(Ok(status)) => matches!(status.state, StateName::Referencing | StateName::Scanning | StateName::Draining),
            Ok(Err(ClientError::NotRunning { .. })) => false,
            Ok(Err(error)) => {
                // Without permission nobody can tell. Scans would then be disturbed, so it is said once per call, and nothing waits for ever.
                tracing::debug!(%error, "the daemon does not say what it does");
                !matches!(error, ClientError::Forbidden { .. } | ClientError::Refused(_))
            }
            Err(_) => true,
        }
    }

    /// Notes that a scan lies in an archive. Files that are not to stay are removed.
    ///
    /// # Errors
    /// The daemon refuses, or there is none.
    pub(crate) async fn note(&self, scan: &str, place: &str, revision: u32, files: FilesHere) -> Result<(), NotNoted> {
        let request = ArchivedRequest { place: place.to_owned(), revision, files };
        let noted = tokio::time::timeout(REMOVE_TIMEOUT, self.client.archived(scan, &request)).await;
        match noted {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.not_ready() || error.busy() => Err(NotNoted::Later(error.to_string())),
            Ok(Err(error)) => Err(NotNoted::Refused(error.to_string())),
            Err(_) => Err(NotNoted::Later("the daemon does not answer".to_owned())),
        }
    }
}
