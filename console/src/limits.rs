//! How often a password may be tried: by account and address, by address, and by account.

use crate::state::lock;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tries of one address for all accounts, as a multiple of those for one.
const ADDRESS: f64 = 4.0;
/// Wrong passwords per minute for an account from all addresses.
const ACCOUNT: f64 = 60.0;
/// Longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(900);
/// Most counters of a kind.
const MOST: usize = 8192;
/// Addresses of good logins that are remembered for an account.
const KNOWN: usize = 16;

/// Tries left, and the wait when there are none.
#[derive(Debug, Clone)]
struct Counter {
    left: f64,
    at: Instant,
    strikes: u32,
    until: Instant,
}

/// Counters of one kind.
struct Counters<K> {
    per_minute: f64,
    held: HashMap<K, Counter>,
}

impl<K: Hash + Eq + Clone> Counters<K> {
    fn new(per_minute: f64) -> Self {
        Self { per_minute, held: HashMap::new() }
    }

    /// The wait before the next try. `None` where it may be made now.
    fn wait(&mut self, key: &K, now: Instant) -> Option<Duration> {
        if !self.held.contains_key(key) {
            self.make_room(now);
            self.held.insert(key.clone(), Counter { left: self.per_minute, at: now, strikes: 0, until: now });
        }
        let counter = self.held.get_mut(key)?;
        if counter.until > now {
            return Some(counter.until - now);
        }
        counter.left = (counter.left + now.duration_since(counter.at).as_secs_f64() / 60.0 * self.per_minute).min(self.per_minute);
        counter.at = now;
        if counter.left >= self.per_minute {
            counter.strikes = 0;
        }
        if counter.left >= 1.0 {
            return None;
        }
        // Each try beyond the limit doubles the wait.
        let wait = Duration::from_secs_f64(60.0 / self.per_minute * f64::from(1_u32 << counter.strikes.min(10))).min(LONGEST);
        counter.strikes += 1;
        // One try is left after the wait. Others come back from then on: the wait itself earns none.
        (counter.until, counter.at, counter.left) = (now + wait, now + wait, 1.0);
        Some(wait)
    }

    fn take(&mut self, key: &K) {
        if let Some(counter) = self.held.get_mut(key) {
            counter.left -= 1.0;
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.held.len() >= MOST {
            self.held.retain(|_, counter| counter.until > now || now.duration_since(counter.at) < Duration::from_secs(60));
        }
        if self.held.len() >= MOST
            && let Some(oldest) = self.held.iter().min_by_key(|(_, counter)| counter.at).map(|(key, _)| key.clone())
        {
            self.held.remove(&oldest);
        }
    }
}

/// Limits of logins.
pub struct LoginLimits {
    held: Mutex<Held>,
}

struct Held {
    pairs: Counters<(String, IpAddr)>,
    addresses: Counters<IpAddr>,
    accounts: Counters<String>,
    known: HashMap<String, VecDeque<IpAddr>>,
}

impl LoginLimits {
    /// Limits of `tries` wrong passwords per minute for one account from one address.
    pub fn new(tries: u32) -> Self {
        let tries = f64::from(tries);
        let held = Held {
            pairs: Counters::new(tries),
            addresses: Counters::new(tries * ADDRESS),
            accounts: Counters::new(ACCOUNT),
            known: HashMap::new(),
        };
        Self { held: Mutex::new(held) }
    }

    /// Takes a try for an account from an address. The wait where there is none left.
    ///
    /// # Errors
    /// The time to wait.
    pub fn try_now(&self, account: &str, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let address = block(address);
        let mut held = lock(&self.held);
        let pair = (account.to_owned(), address);
        // An address of an earlier login is not held up by what others try.
        let known = held.known.get(account).is_some_and(|list| list.contains(&address));
        let waits = [held.pairs.wait(&pair, now), held.addresses.wait(&address, now), held.accounts.wait(&pair.0, now).filter(|_| !known)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        held.pairs.take(&pair);
        held.addresses.take(&address);
        held.accounts.take(&pair.0);
        Ok(())
    }

    /// Notes a good login: its tries are given back.
    pub fn good(&self, account: &str, address: IpAddr) {
        let address = block(address);
        let mut held = lock(&self.held);
        held.pairs.held.remove(&(account.to_owned(), address));
        for counter in [held.addresses.held.get_mut(&address)].into_iter().flatten() {
            counter.left += 1.0;
        }
        if let Some(counter) = held.accounts.held.get_mut(account) {
            counter.left += 1.0;
        }
        let list = held.known.entry(account.to_owned()).or_default();
        list.retain(|known| *known != address);
        list.push_back(address);
        if list.len() > KNOWN {
            list.pop_front();
        }
    }
}

/// What counts as one address: of IPv6, the /64 that one customer has.
pub fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn tries_run_out_and_waits_grow() {
        let limits = LoginLimits::new(5);
        let begin = Instant::now();
        let at = |s: f64| begin + Duration::from_secs_f64(s);
        for _ in 0..5 {
            assert!(limits.try_now("maria", ip("192.0.2.1"), begin).is_ok());
        }
        assert_eq!(limits.try_now("maria", ip("192.0.2.1"), begin), Err(Duration::from_secs(12)));
        assert!(limits.try_now("maria", ip("192.0.2.2"), begin).is_ok(), "another address");
        assert!(limits.try_now("jan", ip("192.0.2.1"), begin).is_ok(), "another account");
        assert!(limits.try_now("maria", ip("192.0.2.1"), at(11.9)).is_err());
        assert!(limits.try_now("maria", ip("192.0.2.1"), at(12.0)).is_ok());
        let mut waits = Vec::new();
        let mut now = at(12.0);
        for _ in 0..6 {
            while limits.try_now("maria", ip("192.0.2.1"), now).is_ok() {}
            let wait = limits.try_now("maria", ip("192.0.2.1"), now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
        }
        assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
        limits.good("maria", ip("192.0.2.1"));
        assert!(limits.try_now("maria", ip("192.0.2.1"), now).is_ok());
    }

    #[test]
    fn one_address_cannot_try_many_names_and_many_addresses_cannot_lock_out() {
        let limits = LoginLimits::new(5);
        let now = Instant::now();
        let many = (0..100).filter(|i| limits.try_now(&format!("name{i}"), ip("192.0.2.1"), now).is_ok()).count();
        assert_eq!(many, 20);
        limits.good("maria", ip("198.51.100.7"));
        let many = (0..1000_u32).filter(|i| limits.try_now("maria", ip(&format!("10.0.{}.{}", i / 250, i % 250)), now).is_ok()).count();
        assert_eq!(many, 60);
        assert!(limits.try_now("maria", ip("198.51.100.7"), now).is_ok(), "her own address");
        assert_eq!(block(ip("2001:db8::1")), block(ip("2001:db8::ffff:1")));
        assert_ne!(block(ip("2001:db8::1")), block(ip("2001:db8:0:1::1")));
        assert_eq!(block(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn counters_are_bounded() {
        let mut counters = Counters::new(5.0);
        let now = Instant::now();
        for i in 0..MOST + 100 {
            counters.wait(&i, now);
        }
        assert!(counters.held.len() <= MOST);
    }
}
