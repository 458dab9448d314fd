//! Shippers and servers that are killed at any moment.

use crate::rig::{Rig, wait_until, whole};
use crate::server::Server;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Kills in the test. `HYCLUS_KILLS` asks for more.
const KILLS: usize = 12;

/// Three rigs ship to one server. Shippers and the server are killed at seeded moments. This needs a pace of its own.
#[test]
fn nothing_is_lost_or_doubled_by_kills() {
    let Some(mut server) = Server::start() else { return };
    let kills = std::env::var("HYCLUS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let mut random = Pcg64Mcg::seed_from_u64(28);
    let ship = server.ship("s3cret");
    let rigs = ["rig-a", "rig-b", "rig-c"].map(|name| Rig::new(name, &ship));
    let mut ids: Vec<BTreeSet<String>> = vec![BTreeSet::new(); 3];
    let mut running = rigs.each_ref().map(|rig| Some(rig.start()));
    let (mut of_server, begin) = (0, Instant::now());
    for kill in 0..kills {
        let which = random.random_range(0..3);
        let id = format!("202601{:02}T{:02}{:02}00Z-T", 1 + kill / 1440, kill / 60 % 24, kill % 60);
        rigs[which].scan(&id, random.random_range(1000..24_000_000), kill as u64);
        ids[which].insert(id);
        std::thread::sleep(Duration::from_millis(random.random_range(0..600)));
        if kill % 6 == 5 {
            of_server += 1;
            server.kill();
            std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
            server.launch();
        } else {
            let victim = random.random_range(0..3);
            drop(running[victim].take());
            running[victim] = Some(rigs[victim].start());
        }
    }
    let shipped = |rig: &Rig, wanted: usize| rig.status()["shipped"] == wanted;
    let patience = Duration::from_secs(60 + kills as u64);
    for (rig, ids) in rigs.iter().zip(&ids) {
        let begin = Instant::now();
        while !shipped(rig, ids.len()) {
            assert!(begin.elapsed() < patience, "{} of {}: {}\n{}", rig.status()["shipped"], ids.len(), rig.status(), rig.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    running.into_iter().for_each(drop);
    for (rig, ids) in rigs.iter().zip(&ids) {
        for id in ids {
            // A server that was killed has each of its volumes again after some time only.
            let into = tempfile::tempdir().unwrap();
            wait_until("the server reads what it holds", || rig.fetch(id, into.path()).0);
            let record = whole(id, into.path());
            assert_eq!(record, hyclus::data_root::record(&rig.data(), id).unwrap());
        }
        // Revisions would come from bytes that were put twice and differ.
        assert!(!rig.log().contains("revision=2"), "{}", rig.log());
    }
    eprintln!(
        "{kills} kills, {of_server} of the server, {} scans, {:.0} s",
        ids.iter().map(BTreeSet::len).sum::<usize>(),
        begin.elapsed().as_secs_f64()
    );
}
