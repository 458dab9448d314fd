//! Places of connections: a number for all, a number for each address, and further ones for emergency stops.

use crate::limits::block;
use crate::state::lock;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Connections beyond all places, on which only an emergency stop is answered.
const FURTHER: usize = 64;

/// Places of connections.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    most_of_one: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    taken: usize,
    by_address: HashMap<IpAddr, usize>,
    further: VecDeque<Further>,
    next: u64,
}

struct Further {
    number: u64,
    address: IpAddr,
    gone: oneshot::Sender<()>,
}

/// A taken place. It is free again once dropped.
pub struct Place {
    places: Places,
    address: IpAddr,
}

/// A further place. It may be lost to another.
pub struct Seat {
    places: Places,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Places {
    /// `most` places, of which one address has at most `most_of_one`.
    pub fn new(most: u32, most_of_one: u32) -> Self {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Self(Arc::new(Shared { most: size(most), most_of_one: size(most_of_one), held: Mutex::default() }))
    }

    /// A place for an address, if one is left.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let address = block(address);
        let mut held = lock(&self.0.held);
        let own = held.by_address.get(&address).copied().unwrap_or(0);
        if held.taken >= self.0.most || own >= self.0.most_of_one {
            return None;
        }
        held.taken += 1;
        held.by_address.insert(address, own + 1);
        Some(Place { places: self.clone(), address })
    }

    /// A further place. The oldest of the address that has most goes where all are taken.
    pub fn take_further(&self, address: IpAddr) -> Seat {
        let address = block(address);
        let mut held = lock(&self.0.held);
        if held.further.len() >= FURTHER {
            let mut counts: HashMap<IpAddr, usize> = HashMap::new();
            held.further.iter().for_each(|further| *counts.entry(further.address).or_default() += 1);
            let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address);
            let oldest = held.further.iter().position(|further| Some(further.address) == most);
            if let Some(further) = oldest.and_then(|oldest| held.further.remove(oldest)) {
                // It may have ended by itself.
                let _ = further.gone.send(());
            }
        }
        held.next += 1;
        let (gone, lost) = oneshot::channel();
        let number = held.next;
        held.further.push_back(Further { number, address, gone });
        Seat { places: self.clone(), number, lost }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.places.0.held);
        held.taken -= 1;
        if let Some(own) = held.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

impl Seat {
    /// Returns once the place is lost.
    pub async fn lost(&mut self) {
        // An error means the same: the sender is gone.
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.places.0.held).further.retain(|further| further.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_all_and_for_each() {
        let places = Places::new(10, 4);
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut held: Vec<Place> = (0..4).map(|_| places.take(one).unwrap()).collect();
        assert!(places.take(one).is_none());
        held.extend((0..4).map(|_| places.take(other).unwrap()));
        held.extend(["10.0.0.1", "10.0.0.2"].map(|ip| places.take(ip.parse().unwrap()).unwrap()));
        assert!(places.take("10.0.0.3".parse().unwrap()).is_none());
        held.clear();
        assert!(places.take(one).is_some());
        assert!(lock(&places.0.held).by_address.is_empty());
    }

    #[tokio::test]
    async fn a_flood_takes_further_places_from_itself_alone() {
        let places = Places::new(1, 1);
        let (flood, person): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut first = places.take_further(flood);
        let mut own = places.take_further(person);
        let seats: Vec<Seat> = (0..1000).map(|_| places.take_further(flood)).collect();
        first.lost().await;
        assert!(own.lost.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty), "hers is left");
        assert_eq!(lock(&places.0.held).further.len(), FURTHER);
        drop(seats);
        assert_eq!(lock(&places.0.held).further.len(), 1);
    }
}
