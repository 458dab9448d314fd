//! The watchdog of the data path: finds stages without progress.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Name for all stages together.
const EVERY_STAGE: &str = "every stage";

/// Compares the counts of the stages from call to call, and finds stuck stages.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// Items that a stage had taken at its last known progress, and the time of that.
    seen: BTreeMap<String, (u64, Instant)>,
}

impl Watchdog {
    /// Forgets all stages, while there is no work.
    pub fn rest(&mut self) {
        self.seen.clear();
    }

    /// The stuck stages, while there is work.
    ///
    /// A stage is stuck when items wait before it and it took none for `limit`. Every stage is stuck when no stage took any.
    /// `stages` gives the items that each has taken, `waiting` the items before it.
    pub fn stuck<'a>(
        &mut self,
        stages: impl IntoIterator<Item = (&'a str, u64)>,
        waiting: impl Fn(&str) -> usize,
        now: Instant,
        limit: Duration,
    ) -> Vec<String> {
        let mut stuck = Vec::new();
        let mut all = 0;
        for (name, items) in stages {
            all += items;
            let still = self.still(name, items, now);
            if waiting(name) == 0 {
                // A stage without waiting items is not to blame, so its time starts anew.
                self.seen.insert(name.to_owned(), (items, now));
            } else if still >= limit {
                stuck.push(name.to_owned());
            }
        }
        if self.still(EVERY_STAGE, all, now) >= limit {
            stuck.push(EVERY_STAGE.to_owned());
        }
        stuck
    }

    /// Time for which a stage has taken no item.
    fn still(&mut self, name: &str, items: u64, now: Instant) -> Duration {
        let seen = self.seen.entry(name.to_owned()).or_insert((items, now));
        if seen.0 != items {
            *seen = (items, now);
        }
        now.duration_since(seen.1)
    }
}

/// Items waiting before a stage. A stage that joins several queues has none where one of them is empty.
pub fn waiting(queues: &BTreeMap<String, [usize; 2]>, stage: &str) -> usize {
    let of = |name: &str| name.strip_prefix(stage).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    queues.iter().filter(|(name, _)| of(name)).map(|(_, [items, _])| *items).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_stage_is_stuck_when_it_leaves_items_waiting() {
        let (mut watchdog, begin) = (Watchdog::default(), Instant::now());
        let at = |s: u64| begin + Duration::from_secs(s);
        let mut look = |s: u64, join: u64, store: u64, before_store: usize| {
            watchdog.stuck([("join", join), ("store", store)], |name| if name == "store" { before_store } else { 0 }, at(s), LIMIT)
        };
        let none: [&str; 0] = [];
        assert_eq!(look(0, 5, 5, 0), none);
        // Nothing comes, and the others go on.
        assert_eq!(look(20, 25, 5, 0), none);
        assert_eq!(look(25, 30, 5, 1), none);
        assert_eq!(look(29, 39, 5, 8), none);
        assert_eq!(look(36, 40, 5, 9), ["store"]);
        assert_eq!(look(37, 41, 6, 9), none);
        assert_eq!(look(46, 41, 6, 9), none);
        assert_eq!(look(47, 41, 6, 9), ["store", EVERY_STAGE]);
        // Nothing waits, and yet nothing moves: the end of a scan that does not come.
        assert_eq!(look(58, 41, 6, 0), [EVERY_STAGE]);
        watchdog.rest();
        assert_eq!(watchdog.stuck([("store", 6)], |_| 1, at(90), LIMIT), none);
    }

    #[test]
    fn a_stage_that_joins_waits_for_the_slowest() {
        let queues = BTreeMap::from([("join-swir".to_owned(), [0, 8]), ("join-vnir".to_owned(), [8, 8]), ("store".to_owned(), [3, 8])]);
        assert_eq!((waiting(&queues, "join"), waiting(&queues, "store"), waiting(&queues, "publish")), (0, 3, 0));
    }
}
