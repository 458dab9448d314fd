//! What happens when something goes wrong.

use super::rig::{Daemon, Options, encoder, scan, tray, until};
use super::safe::at_work;
use hyclus::client::Client;
use hyclus::rig::{ConveyorRequest, LightingRequest, Peer, ReferenceRequest};
use hyclus::scan::{EventKind, ReferenceKind, StateName};

/// Frames that nobody can take in time are lost at the pool's door; each is counted, each is a gap, and the sum holds.
#[tokio::test]
async fn a_reader_that_is_too_slow_loses_lines_at_the_pool_and_counts_them() {
    // Rows of 1.3 MB come 10 000 times a second: no machine keeps up. The panel is long enough for references all the same.
    let options = Options {
        pace: "real_time",
        time_scale: 100.0,
        pool_slots: 2,
        bands: 800,
        simulation: "panel = { start_mm = -1500.0, end_mm = -25.0 }",
        ..Options::default()
    };
    // A hundred times as fast, the two seconds after which a belt counts as stalled are 20 ms, for which any task may wait.
    let text = super::rig::configuration(&options)
        .replace("[-70.0, -25.0]", "[-1500.0, -25.0]")
        .replace("pixel_mm = 2.4", "pixel_mm = 0.8")
        .replace("[conveyor]", "[conveyor]\nstall_s = 500.0");
    let daemon = Daemon::with(&text);
    let (record, events) = scan(&daemon, tray(2, 2)).await;
    // A slow machine may lose so much that no pixel has all bands. That is a failure.
    let worth = record.samples.iter().any(|sample| sample.valid > 0);
    assert_eq!(record.complete, Some(worth), "{:?}", record.reason);
    let sums = &record.cameras["vnir"];
    assert!(sums.lost > 0, "{sums:?}");
    assert_eq!(sums.received + sums.lost, sums.expected);
    assert_eq!(sums.gaps.iter().map(|gap| gap.1).sum::<u64>(), sums.lost);
    assert!(sums.lost_pool > 0 && sums.lost_pool + sums.lost_link == sums.lost, "{sums:?}");
    let told: u64 = events
        .iter()
        .filter_map(|kind| if let EventKind::LinesLost { camera, count, .. } = kind { (camera == "vnir").then_some(*count) } else { None })
        .sum();
    assert_eq!(told, sums.lost);
}

/// With full queues behind them, sources that can wait do wait: nothing is dropped on the way.
#[tokio::test]
async fn full_queues_block_and_lose_nothing() {
    let daemon = Daemon::start(&Options { pool_slots: 2, bands: 400, more: encoder(), ..Options::default() });
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    for (name, sums) in &record.cameras {
        assert!(sums.lost == 0 && sums.received == sums.expected, "{name}: {sums:?}");
    }
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4));
}

#[tokio::test]
async fn lines_lost_on_the_link_are_gaps_and_the_geometry_holds() {
    let daemon = Daemon::with(
        &super::rig::configuration(&Options { more: encoder(), ..Options::default() })
            .replace("first_nm = 1000.0,", "first_nm = 1000.0, lost_per_thousand = 150.0,"),
    );
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    let sums = &record.cameras["swir"];
    assert!(sums.lost > 0 && sums.lost == sums.lost_link && sums.received + sums.lost == sums.expected, "{sums:?}");
    assert_eq!(record.samples.len(), 4);
    let (valid, pixels) = record.samples.iter().fold((0, 0), |sum, sample| (sum.0 + sample.valid, sum.1 + sample.pixels));
    assert!(valid < pixels, "pixels in the gaps are not valid: {valid} of {pixels}, {sums:?}");
    assert_eq!(record.embeddings, record.samples.iter().map(|sample| sample.valid).sum::<u64>());
}

/// A camera that falls silent faults the rig: what was scanned is kept, and the rig goes on once that is acknowledged.
#[tokio::test]
async fn a_silent_camera_faults_the_rig_and_nothing_is_lost() {
    let options = Options {
        pace: "real_time",
        time_scale: 2.0,
        simulation: "faults = { camera_silent = { camera = \"swir\", from_frame = 60 } }",
        ..Options::default()
    };
    let daemon = Daemon::start(&options);
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(false));
    assert!(record.reason.as_ref().unwrap().contains("swir gave no frame for"), "{:?}", record.reason);
    assert!(record.cameras["vnir"].received > 0 && record.cameras["swir"].received > 0);
    let client = daemon.client().await;
    let status = client.status().await.unwrap();
    assert_eq!(status.state, StateName::Faulted);
    assert!(status.cause.unwrap().contains("swir"));
    for device in &status.devices {
        match serde_json::to_value(device).unwrap() {
            device if device["device"] == "conveyor" => assert_eq!(device["state"]["moving"], false),
            device if device["device"] == "light" => assert_eq!(device["state"]["on"], false, "lamps are off"),
            _ => {}
        }
    }
    assert!(client.start_scan(tray(2, 2)).await.unwrap_err().to_string().contains("acknowledge"));
    assert_eq!(client.acknowledge().await.unwrap().state, StateName::Idle);
}

#[tokio::test]
async fn a_white_reference_without_light_is_refused_with_its_figure() {
    let daemon =
        Daemon::with(&super::rig::configuration(&Options::default()).replace("name = \"halogen\"", "name = \"halogen\"\nlevel = 0.01"));
    let client = daemon.client().await;
    client.reference(ReferenceKind::Dark, ReferenceRequest::default()).await.unwrap();
    let refused = client.reference(ReferenceKind::White, ReferenceRequest::default()).await.unwrap_err().to_string();
    assert!(refused.contains("mean signal") && refused.contains("% of full scale"), "{refused}");
    assert_eq!(client.status().await.unwrap().state, StateName::Idle);
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(false));
    assert!(record.reason.as_ref().unwrap().contains("mean signal"), "{:?}", record.reason);
    assert!(record.samples.is_empty());
}

#[tokio::test]
async fn a_saturated_panel_is_refused() {
    let daemon = Daemon::start(&Options { exposure_us: 4000.0, ..Options::default() });
    let client = daemon.client().await;
    client.reference(ReferenceKind::Dark, ReferenceRequest::default()).await.unwrap();
    let refused = client.reference(ReferenceKind::White, ReferenceRequest::default()).await.unwrap_err().to_string();
    assert!(refused.contains("vnir") && refused.contains("saturated"), "{refused}");
}

#[tokio::test]
async fn the_emergency_stop_stops_belt_and_lamps_and_closes_the_scan() {
    let daemon = Daemon::start(&Options { pace: "real_time", time_scale: 1.0, ..Options::default() });
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Scanning, .. })).await;
    let status = serde_json::to_value(client.emergency_stop().await.unwrap()).unwrap();
    for device in status["devices"].as_array().unwrap() {
        if device["device"] == "conveyor" {
            assert_eq!(device["state"]["moving"], false);
        } else if device["device"] == "light" {
            assert_eq!(device["state"]["on"], false);
        }
    }
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { complete: false, .. })).await;
    let by = format!("emergency stop by {}", Peer { uid: Some(nix::unistd::geteuid().as_raw()), ..Peer::default() }.who());
    assert_eq!(daemon.record(&id).reason.as_deref(), Some(by.as_str()));
    assert!(status["state"] == "faulted" && status["cause"] == by.as_str(), "{status}");
    refuses_all(&client).await;
    assert_eq!(client.acknowledge().await.unwrap().state, StateName::Idle);
    assert_eq!(at_work(&client).await, (false, false), "to acknowledge starts nothing");
    let lamps = LightingRequest { light: None, level: 1.0 };
    assert!(client.lighting(&lamps).await.is_ok(), "the rig can be used again");
}

/// Every call that moves or lights something, and what it is refused with.
async fn refuses_all(client: &Client) {
    let lamps = LightingRequest { light: None, level: 1.0 };
    let refused = [
        client.start_scan(tray(2, 2)).await.unwrap_err(),
        client.reference(ReferenceKind::Dark, ReferenceRequest::default()).await.unwrap_err(),
        client.reference(ReferenceKind::White, ReferenceRequest::default()).await.unwrap_err(),
        client.lighting(&lamps).await.unwrap_err(),
        client.conveyor(&ConveyorRequest::Run { speed_mm_per_s: 10.0 }).await.unwrap_err(),
        client.conveyor(&ConveyorRequest::Travel { to_mm: 10.0 }).await.unwrap_err(),
        client.conveyor(&ConveyorRequest::Stop {}).await.unwrap_err(),
    ];
    for refused in refused {
        let words = refused.to_string();
        assert!(refused.not_ready() && words.contains("emergency stop by") && words.contains("`hyclus acknowledge`"), "{words}");
    }
    assert_eq!(at_work(client).await, (false, false));
}

/// From an idle rig, from a belt that an operator runs, and while a reference is taken: the stop holds until it is acknowledged.
#[tokio::test]
async fn an_emergency_stop_holds_whatever_the_rig_was_doing() {
    let daemon = Daemon::start(&Options { pace: "real_time", time_scale: 1.0, ..Options::default() });
    let (client, other) = (daemon.client().await, daemon.client().await);
    let mut events = client.events(None).await.unwrap();
    for round in 0..4 {
        match round {
            0 => assert_eq!(client.status().await.unwrap().state, StateName::Idle),
            1 => drop(client.conveyor(&ConveyorRequest::Run { speed_mm_per_s: 20.0 }).await.unwrap()),
            2 => drop(client.lighting(&LightingRequest { light: None, level: 1.0 }).await.unwrap()),
            _ => {
                let taken = tokio::spawn({
                    let other = other.clone();
                    async move { other.reference(ReferenceKind::White, ReferenceRequest::default()).await }
                });
                until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Referencing, .. })).await;
                client.emergency_stop().await.unwrap();
                assert!(taken.await.unwrap().is_err(), "the reference was stopped");
            }
        }
        let stopped = daemon.hyclus(&["stop", "--emergency"]);
        let said = String::from_utf8_lossy(&stopped.stdout).into_owned();
        assert!(stopped.status.success() && said.contains("faulted: emergency stop by"), "{said}");
        assert!(said.contains("`hyclus acknowledge` takes note"), "{said}");
        assert_eq!(at_work(&client).await, (false, false));
        refuses_all(&client).await;
        let status = client.emergency_stop().await.unwrap();
        assert_eq!(status.cause.unwrap().matches("emergency stop").count(), 1, "a second one is the same");
        assert_eq!(client.acknowledge().await.unwrap().state, StateName::Idle);
        assert!(client.acknowledge().await.unwrap_err().not_ready(), "there is nothing left to acknowledge");
        assert_eq!(at_work(&client).await, (false, false));
    }
    let metrics = std::process::Command::new("curl").args(["-sSf", &format!("http://{}/metrics", daemon.address)]).output().unwrap();
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    assert!(metrics.contains("hyclus_faults_total{part=\"operator\"} 4\n"), "{metrics}");
}

#[tokio::test]
async fn sigterm_in_the_middle_closes_the_scan_and_ends_well() {
    let daemon = Daemon::start(&Options { pace: "real_time", time_scale: 1.0, more: encoder(), ..Options::default() });
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::SampleOpened { .. })).await;
    let (success, log, folder) = daemon.end("-TERM");
    assert!(success, "{}", log.join("\n"));
    let text = std::fs::read_to_string(folder.path().join("data/scans").join(&id).join("scan.json")).unwrap();
    let record: hyclus::scan::ScanRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(record.complete, Some(false));
    assert!(record.reason.as_ref().unwrap().contains("SIGTERM"), "{:?}", record.reason);
    assert!(record.cameras["vnir"].received > 0);
}

/// Every way to end a scan leaves the belt standing, the lamps off or as they were, and the scan closed; to ask twice, or in two
/// ways at once, changes nothing.
#[tokio::test]
async fn signals_and_stops_end_a_scan_alike_and_a_second_one_makes_nothing_worse() {
    for (first, second) in [("-TERM", Some("-TERM")), ("-TERM", Some("-INT")), ("-INT", None), ("-HUP", Some("-TERM"))] {
        let daemon = Daemon::start(&Options { pace: "real_time", time_scale: 1.0, more: encoder(), ..Options::default() });
        let client = daemon.client().await;
        let mut events = client.events(None).await.unwrap();
        let id = client.start_scan(tray(2, 2)).await.unwrap().id;
        until(&mut events, |kind| matches!(kind, EventKind::SampleOpened { .. })).await;
        let begin = std::time::Instant::now();
        daemon.signal(first);
        if let Some(second) = second {
            until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Draining, .. })).await;
            daemon.signal(second);
            let _ = client.emergency_stop().await;
        }
        let (success, log, folder) = daemon.end(second.unwrap_or(first));
        let took = begin.elapsed();
        assert!(success && took.as_secs() < 60, "{first} {second:?}: {took:?}\n{}", log.join("\n"));
        let data = folder.path().join("data");
        let record = hyclus::data_root::record(&data, &id).unwrap();
        let damage = hyclus::data_root::verify(&record, &data, &|| {}).unwrap();
        assert!(damage.is_empty(), "{damage:?}");
        println!("{first} {second:?}: ended within {took:?}");
        let reason = format!("the daemon was ended by SIG{}", first.trim_start_matches('-'));
        assert_eq!((record.complete, record.reason), (Some(false), Some(reason)), "{first} {second:?}");
        assert_eq!(log.iter().filter(|line| line.contains("scan closed")).count(), 1, "{}", log.join("\n"));
    }
}

/// A scan is refused with both figures where the disk has no room for it, or is too slow, and nothing was begun.
#[tokio::test]
async fn a_disk_without_room_or_pace_refuses_a_scan_with_both_figures() {
    for (keys, words) in [
        ("reserve_mib = 1000000000", ["MiB free, and the scan needs", "and 1000000000 MiB in reserve (disk.reserve_mib)"]),
        ("rate_ratio = 1e9", ["MB/s, and the scan writes", "(disk.rate_ratio)"]),
    ] {
        let daemon = Daemon::start(&Options { more: format!("[disk]\n{keys}\n"), ..Options::default() });
        let client = daemon.client().await;
        let refused = client.start_scan(tray(2, 2)).await.unwrap_err().to_string();
        assert!(words.iter().all(|words| refused.contains(words)), "{refused}");
        assert_eq!(client.status().await.unwrap().state, StateName::Idle);
        assert!(client.scans().await.unwrap().is_empty());
        let left: Vec<_> = std::fs::read_dir(&daemon.data).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, [".lock"]);
    }
    let daemon = Daemon::start(&Options { more: "[disk]\nrate_ratio = 1e9\ncheck_rate = false\n".into(), ..Options::default() });
    assert_eq!(scan(&daemon, tray(2, 2)).await.0.complete, Some(true), "unless that is switched off");
}

/// What `hyclus check` says of the disk is what a scan is refused with.
#[tokio::test]
async fn what_a_scan_takes_is_known_before_it_is_refused() {
    let more = format!("{}[disk]\nreserve_mib = 1000000000\n", encoder());
    let daemon = Daemon::start(&Options { more, ..Options::default() });
    let [rig, map] = ["rig.toml", "tray.toml"].map(|name| daemon.folder.path().join(name).display().to_string());
    std::fs::write(&map, toml::to_string(&tray(2, 2)).unwrap()).unwrap();
    let said = |arguments: &[&str]| {
        let output = daemon.hyclus(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = daemon.client().await.start_scan(tray(2, 2)).await.unwrap_err().to_string();
    let between = |text: &str, from: &str, to: &str| text.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
    let needs = between(&refused, "the scan needs ", " MiB and ");
    let text = said(&["check", &rig, "--tray", &map]);
    assert!(text.contains(&format!("disk: a scan needs {needs} MiB (recording ")), "{refused}\n{text}");
    assert!(text.contains("and 1000000000 MiB in reserve; ") && text.contains(" MiB free; it writes "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&said(&["--json", "check", &rig, "--tray", &map])).unwrap();
    let disk = &json["implies"]["disk"];
    assert_eq!(format!("{:.0}", disk["mib"].as_f64().unwrap()), needs);

    // The rate is that of the other refusal.
    let text = std::fs::read_to_string(&rig).unwrap().replace("reserve_mib = 1000000000", "rate_ratio = 1e9");
    let slow = Daemon::with(&text);
    let refused = slow.client().await.start_scan(tray(2, 2)).await.unwrap_err().to_string();
    let rate = between(&refused, "the scan writes ", " MB/s");
    assert_eq!(format!("{:.1}", disk["megabytes_per_s"].as_f64().unwrap()), rate, "{refused}");
    assert!((disk["wanted_megabytes_per_s"].as_f64().unwrap() / disk["megabytes_per_s"].as_f64().unwrap() - 1.2).abs() < 1e-9);

    // What is written in the end is no more than that, and not far less: containers fill about half of the belt's width.
    let fits = Daemon::with(&text.replace("rate_ratio = 1e9", "reserve_mib = 1"));
    let (record, _) = scan(&fits, tray(2, 2)).await;
    let size = |of: &str| record.files.iter().filter(|file| file.path.contains(of)).map(|file| file.bytes as f64).sum::<f64>();
    let (recorded, planned) =
        (size("/raw/"), disk["writes"]["recording"].as_f64().unwrap() + disk["writes"]["references"].as_f64().unwrap());
    println!("recorded {recorded} of {planned} planned; in all {} of {}", size(""), disk["mib"].as_f64().unwrap() * 1048576.0);
    assert!((0.5..1.0).contains(&(recorded / planned)), "{recorded} {planned}");
    assert!(size("") < disk["mib"].as_f64().unwrap() * 1_048_576.0);
}
