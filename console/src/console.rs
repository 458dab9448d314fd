//! What the handlers share.

use crate::assets::Assets;
use crate::health::Health;
use crate::jog::Jogger;
use crate::lease::Lease;
use crate::limits::LoginLimits;
use crate::live::Live;
use crate::state::StateDir;
use crate::state::accounts::Accounts;
use crate::state::secret::Hash;
use crate::state::sessions::Sessions;
use axum::http::Method;
use hyclus::client::Client;
use hyclus::config::ConsoleConfig;
use hyclus::control::Hosts;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The file of the alarms.
pub const ALARMS: &str = "alarms.json";

/// Passwords that are hashed at a time, and that wait for it. Hashing takes 19 MiB and tens of milliseconds.
const HASHING: usize = 2;
const WAITING: usize = 32;
/// Bodies that are read at a time.
const BODIES: usize = 64;

/// The console of a rig.
pub struct Console {
    /// The rig's name.
    pub rig: String,
    /// The configuration.
    pub config: ConsoleConfig,
    /// Hosts for which it answers.
    pub hosts: Hosts,
    /// The state folder.
    pub dir: StateDir,
    /// Who may log in.
    pub accounts: Accounts,
    /// Who is logged in.
    pub sessions: Sessions,
    /// How often passwords may be tried.
    pub limits: LoginLimits,
    /// Who moves things.
    pub lease: Lease,
    /// What the pages show.
    pub live: Arc<Live>,
    /// Keeps the belt running while a key is held.
    pub jogger: Jogger,
    /// Curves of the last hour.
    pub health: Arc<Health>,
    /// The page.
    pub assets: Assets,
    /// The daemon.
    pub client: Client,
    /// Places of passwords that wait, and of those that are hashed.
    pub waiting: Semaphore,
    /// See `waiting`.
    pub hashing: Semaphore,
    /// Places of bodies that are read.
    pub bodies: Semaphore,
}

impl Console {
    /// The semaphores of a new console: `waiting`, `hashing`, `bodies`.
    pub fn semaphores() -> [Semaphore; 3] {
        [WAITING + HASHING, HASHING, BODIES].map(Semaphore::new)
    }

    /// Whether pages reach it by HTTPS.
    pub fn encrypted(&self) -> bool {
        self.config.tls.is_some()
    }

    /// Whether a session goes on. It counts as a request.
    pub fn session_alive(&self, key: &Hash) -> bool {
        self.sessions.of_key(key, &self.accounts, crate::unix_s()).is_some()
    }

    /// Ends a session with all that it holds.
    pub fn end_session(&self, key: &Hash) {
        self.sessions.end(key);
        self.live.close(Some(key));
        if self.lease.give_back(key) {
            self.lease_changed();
        }
    }

    /// Writes all sessions down, without holding up others while the disk works.
    pub async fn save_sessions(self: &Arc<Self>) {
        let console = Arc::clone(self);
        let saved = tokio::task::spawn_blocking(move || console.sessions.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "sessions are not written down: a new start of the console has those of before");
        }
    }

    /// Writes the alarms down where they changed.
    pub async fn save_alarms(self: &Arc<Self>) {
        let Some(alarms) = self.live.changed_alarms() else { return };
        let dir = self.dir.clone();
        let saved = tokio::task::spawn_blocking(move || dir.write(ALARMS, &alarms)).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "alarms are not written down: a new start of the console has those of before");
        }
    }

    /// Another holds the lease now. What moves for the last holder stops.
    pub fn lease_changed(&self) {
        self.jogger.end();
        self.live.send_each(|viewer| self.lease.message_for(&viewer.session));
    }

    /// Gives the lease back whose session has ended.
    pub fn look_after_lease(&self) {
        if let Some(holder) = self.lease.holder()
            && !self.sessions.holds(&holder, &self.accounts, crate::unix_s())
        {
            self.end_session(&holder);
        }
    }

    /// Calls the daemon for a person, to the end: also where the browser hangs up meanwhile.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn call(
        &self,
        user: &str,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<axum::response::Response, crate::problem::Refused> {
        let (client, path) = (self.client.on_behalf_of(user), path.to_owned());
        let call = tokio::spawn(async move { client.exchange(method, &path, body).await });
        let response = call.await.map_err(|e| self.silent(&e.to_string()))?.map_err(|e| self.silent(&e.to_string()))?;
        crate::commands::passed_on(response).await
    }

    /// The refusal where the daemon does not answer.
    pub fn silent(&self, reason: &str) -> crate::problem::Refused {
        let since = self.live.link().1.map_or_else(String::new, |since| format!(" since {since}"));
        let text = format!("the daemon does not answer{since}: {reason}");
        crate::problem::Refused::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, text)
    }
}
