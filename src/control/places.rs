//! Places of connections: how many may be open, in all and for each user.

use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// Limits of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of connections. A call whose client has gone counts until it has ended.
    pub connections: usize,
    /// Largest number of connections of one user, so that nobody keeps others from their calls.
    pub per_user: usize,
    /// Largest number of further connections whose first request is waited for, to see whether it is an emergency stop.
    pub waiting: usize,
    /// Largest number of those of one user. A new one takes the place of the oldest.
    pub waiting_per_user: usize,
    /// Largest number of emergency stops of one user that are carried out at a time beyond all other connections.
    pub stops: usize,
    /// Largest number of connections that are turned away and may still read why.
    pub turned_away: usize,
    /// Largest number of followers of events.
    pub followers: usize,
    /// Time within which a whole request head must arrive, also between two requests. Otherwise the connection is closed.
    pub head: Duration,
    /// The same for a connection that waits to ask for an emergency stop.
    pub stop_head: Duration,
    /// Time within which a whole body must arrive.
    pub body: Duration,
    /// Time after which a connection is closed if its peer reads none of the answer.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            per_user: 64,
            waiting: 128,
            waiting_per_user: 32,
            stops: 8,
            turned_away: 16,
            followers: 32,
            head: Duration::from_secs(10),
            stop_head: Duration::from_secs(2),
            body: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The default limits, lowered so that all connections together take at most `descriptors`, or a few more where that is very few.
    pub fn within(descriptors: usize) -> Self {
        let all = Self::default();
        let turned_away = all.turned_away.min(descriptors / 8).max(1);
        let stops = all.stops.min(descriptors / 16).max(2);
        let waiting = all.waiting.min(descriptors / 4).max(4);
        let connections = all.connections.min(descriptors.saturating_sub(turned_away + 2 * stops + waiting)).max(4);
        Self {
            connections,
            per_user: all.per_user.min(connections / 2),
            waiting,
            waiting_per_user: all.waiting_per_user.min(waiting / 2),
            stops,
            turned_away,
            followers: all.followers.min(connections / 4).max(1),
            ..all
        }
    }
}

/// The places of a listener.
#[derive(Debug, Clone)]
pub(super) struct Places {
    counts: Arc<Mutex<Counts>>,
    limits: Limits,
}

/// Open connections, in all and by user.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    users: BTreeMap<u32, usize>,
    /// Stops that are carried out beyond the places of all, by user.
    stops: BTreeMap<Option<u32>, usize>,
    /// Connections that wait to ask for a stop, the oldest first.
    waiting: Vec<Waiting>,
    /// Number of the next that waits.
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    user: Option<u32>,
    /// It ends when this is dropped.
    _stays: oneshot::Sender<()>,
}

/// A connection's place within the limits. A task that outlives its connection keeps a clone.
#[derive(Debug, Clone)]
pub(super) struct Place {
    _held: Arc<Held>,
}

/// One counted connection. It is uncounted when dropped.
#[derive(Debug)]
struct Held {
    counts: Arc<Mutex<Counts>>,
    user: Option<u32>,
    stop: bool,
}

/// The place of a connection that waits to ask for a stop.
#[derive(Debug)]
pub(super) struct Seat {
    counts: Arc<Mutex<Counts>>,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self { counts: Arc::default(), limits }
    }

    /// A place for any request.
    pub(super) fn take(&self, user: Option<u32>) -> Option<Place> {
        let mut now = lock(&self.counts);
        if now.all >= self.limits.connections || user.is_some_and(|user| now.users.get(&user).is_some_and(|n| *n >= self.limits.per_user)) {
            return None;
        }
        now.all += 1;
        if let Some(user) = user {
            *now.users.entry(user).or_default() += 1;
        }
        Some(self.held(user, false))
    }

    /// A place for an emergency stop. `None` while as many of this user are being carried out.
    pub(super) fn take_stop(&self, user: Option<u32>) -> Option<Place> {
        let mut now = lock(&self.counts);
        let stops = now.stops.entry(user).or_default();
        if *stops >= self.limits.stops {
            return None;
        }
        *stops += 1;
        Some(self.held(user, true))
    }

    fn held(&self, user: Option<u32>, stop: bool) -> Place {
        Place { _held: Arc::new(Held { counts: Arc::clone(&self.counts), user, stop }) }
    }

    /// A seat in which a connection waits until its request is read. The oldest of the same user, or of the user with the most, makes room.
    pub(super) fn wait(&self, user: Option<u32>) -> Seat {
        let mut now = lock(&self.counts);
        let of = |waiting: &[Waiting], user| waiting.iter().filter(|other| other.user == user).count();
        if of(&now.waiting, user) >= self.limits.waiting_per_user {
            oldest(&mut now.waiting, user);
        } else if now.waiting.len() >= self.limits.waiting {
            let most = now.waiting.iter().map(|other| other.user).max_by_key(|user| of(&now.waiting, *user));
            most.into_iter().for_each(|user| oldest(&mut now.waiting, user));
        }
        let (number, (stays, lost)) = (now.next, oneshot::channel());
        now.next += 1;
        now.waiting.push(Waiting { number, user, _stays: stays });
        Seat { counts: Arc::clone(&self.counts), number, lost }
    }
}

/// Takes its seat from the oldest of a user.
fn oldest(waiting: &mut Vec<Waiting>, user: Option<u32>) {
    if let Some(i) = waiting.iter().position(|other| other.user == user) {
        waiting.remove(i);
    }
}

impl Seat {
    /// Returns once another connection took the seat.
    pub(super) async fn lost(&mut self) {
        // Nothing is ever sent. An error means that the sender is gone.
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.counts).waiting.retain(|other| other.number != self.number);
    }
}

impl Place {
    /// A place that no limit counts.
    pub(super) fn alone() -> Self {
        let counts = Counts { all: 1, ..Counts::default() };
        Self { _held: Arc::new(Held { counts: Arc::new(Mutex::new(counts)), user: None, stop: false }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut now = lock(&self.counts);
        if self.stop {
            less(&mut now.stops, &self.user);
            return;
        }
        now.all -= 1;
        if let Some(user) = self.user {
            less(&mut now.users, &user);
        }
    }
}

/// Counts one less, and forgets a count of none.
fn less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { connections: 3, per_user: 2, waiting: 4, waiting_per_user: 2, stops: 1, ..Limits::default() }
    }

    #[test]
    fn places_are_free_again() {
        let places = Places::new(limits());
        let held = [places.take(Some(1)), places.take(Some(1)), places.take(Some(2))];
        assert!(held.iter().all(Option::is_some));
        assert!(places.take(Some(1)).is_none() && places.take(Some(3)).is_none());
        let stop = places.take_stop(Some(1)).unwrap();
        assert!(places.take_stop(Some(1)).is_none() && places.take_stop(Some(3)).is_some());
        drop((held, stop));
        assert!(places.take(Some(1)).is_some() && places.take_stop(Some(1)).is_some());
        assert!(lock(&places.counts).users.is_empty() && lock(&places.counts).stops.is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_longest_makes_room_for_the_next() {
        let places = Places::new(limits());
        let mut first = places.wait(Some(1));
        let second = places.wait(Some(1));
        let third = places.wait(Some(1));
        first.lost().await;
        let mut others: Vec<Seat> = [2, 3].map(|user| places.wait(Some(user))).into();
        // All are taken: the user with the most makes room for one with none.
        let _fourth = places.wait(Some(4));
        let mut second = second;
        second.lost().await;
        drop(third);
        assert_eq!(lock(&places.counts).waiting.len(), 3);
        assert!(others.iter_mut().all(|seat| seat.lost.try_recv() == Err(oneshot::error::TryRecvError::Empty)));
    }

    #[test]
    fn few_descriptors_lower_every_limit() {
        assert_eq!(Limits::within(1 << 20), Limits::default());
        for descriptors in [32, 64, 128, 400] {
            let few = Limits::within(descriptors);
            let all = few.connections + few.waiting + few.turned_away + 2 * few.stops;
            assert!(all <= descriptors && few.connections >= descriptors / 3 && few.per_user < few.connections, "{descriptors}: {few:?}");
        }
        assert!(Limits::within(0).connections > 0);
    }
}
