//! The minerals against measured spectra. These are the USGS records of the table, where the data folder exists.
#![allow(clippy::unwrap_used)]

use sim::minerals::{MINERALS, ORES};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints `key wavelength_um... / reflectance...` of every record of an npz, a zip of arrays of little-endian doubles.
const DUMP: &str = "
import struct, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
def read(name):
    b = z.read(name + '.npy')
    n = struct.unpack('<H', b[8:10])[0]
    assert b[:8] == b'\\x93NUMPY\\x01\\x00' and b'<f8' in b[:10 + n], name
    return ' '.join('%.6g' % v for v in struct.unpack('<%dd' % ((len(b) - 10 - n) // 8), b[10 + n:]))
for key in sys.argv[2:]:
    print(key, read(key + '__wl_um'), '/', read(key + '__refl'))
";

fn data() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("HYCLUS_TEST_DATA").map_or_else(beside, PathBuf::from)
}

/// Reflectance every 5 nm from 400 to 2500 nm.
fn resampled(wavelengths_nm: &[f64], values: &[f64]) -> Vec<f64> {
    let at = |nm: f64| {
        let i = wavelengths_nm.partition_point(|wl| *wl < nm).clamp(1, wavelengths_nm.len() - 1);
        let (a, b) = (wavelengths_nm[i - 1], wavelengths_nm[i]);
        values[i - 1] + (values[i] - values[i - 1]) * ((nm - a) / (b - a)).clamp(0.0, 1.0)
    };
    (0..421).map(|i| at(400.0 + 5.0 * f64::from(i))).collect()
}

/// Values over their upper convex hull.
fn continuum_removed(values: &[f64]) -> Vec<f64> {
    let mut hull: Vec<usize> = Vec::new();
    for i in 0..values.len() {
        while let [.., a, b] = hull[..] {
            let below = (values[b] - values[a]) * (i - a) as f64 <= (values[i] - values[a]) * (b - a) as f64;
            if !below {
                break;
            }
            hull.pop();
        }
        hull.push(i);
    }
    let mut out = vec![1.0; values.len()];
    for pair in hull.windows(2) {
        for i in pair[0]..=pair[1] {
            let t = (i - pair[0]) as f64 / (pair[1] - pair[0]) as f64;
            out[i] = values[i] / (values[pair[0]] + t * (values[pair[1]] - values[pair[0]]));
        }
    }
    out
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product = |u: &[f64], mu: f64, v: &[f64], mv: f64| u.iter().zip(v).map(|(x, y)| (x - mu) * (y - mv)).sum::<f64>();
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

fn deepest_nm(removed: &[f64]) -> f64 {
    let deepest = (0..removed.len()).min_by(|i, j| removed[*i].total_cmp(&removed[*j])).unwrap();
    400.0 + 5.0 * deepest as f64
}

#[test]
fn features_match_the_measured_records() {
    let npz = data().join("minerals/usgs_minerals.npz");
    if !npz.exists() {
        println!("skipped: no {}; set HYCLUS_TEST_DATA to the folder of measurements", npz.display());
        return;
    }
    let records = MINERALS.iter().chain(ORES).map(|mineral| mineral.record);
    let Ok(output) = Command::new("python3").arg("-c").arg(DUMP).arg(&npz).args(records).output() else {
        println!("skipped: no python3 to read {}", npz.display());
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let measured: HashMap<&str, Vec<f64>> = text
        .lines()
        .map(|line| {
            let (key, values) = line.split_once(' ').unwrap();
            let (wl, values) = values.split_once(" / ").unwrap();
            let numbers = |text: &str| text.split(' ').map(|v| v.parse::<f64>().unwrap()).collect::<Vec<_>>();
            let wl: Vec<f64> = numbers(wl).into_iter().map(|um| um * 1000.0).collect();
            (key, resampled(&wl, &numbers(values)))
        })
        .collect();
    for mineral in MINERALS.iter().chain(ORES) {
        let real = &measured[mineral.record];
        let ours: Vec<f64> = (0..421).map(|i| mineral.reflectance(400.0 + 5.0 * f64::from(i), 1.0)).collect();
        let (real_removed, ours_removed) = (continuum_removed(real), continuum_removed(&ours));
        let shape = correlation(&real_removed, &ours_removed);
        let (real_nm, ours_nm) = (deepest_nm(&real_removed), deepest_nm(&ours_removed));
        println!("{:10} {:22} shape {shape:.4} deepest {real_nm} nm, ours {ours_nm} nm", mineral.name, mineral.record);
        // Those of the configured ores follow their record within a hundredth. A record as dark and flat as chalcopyrite has no more.
        if ORES.iter().any(|ore| std::ptr::eq(ore, mineral)) {
            let worst = real.iter().zip(&ours).map(|(real, ours)| (real - ours).abs()).fold(0.0, f64::max);
            let rms = (real.iter().zip(&ours).map(|(real, ours)| (real - ours).powi(2)).sum::<f64>() / 421.0).sqrt();
            println!("{:10} {:22} off by {rms:.4}, at most {worst:.4}", mineral.name, mineral.record);
            assert!(rms < 0.01, "{}: {rms} from {}", mineral.name, mineral.record);
            if worst < 0.005 {
                continue;
            }
        }
        // Quartz has no feature deeper than the noise of its record. Its slight slope remains.
        if mineral.name == "quartz" {
            assert!(ours_removed.iter().all(|v| *v > 0.95), "quartz is flat");
            continue;
        }
        assert!(shape > 0.97, "{}: the shape of its absorptions correlates with {} by {shape} only", mineral.name, mineral.record);
        // The floor of a broad absorption is flat: another place on it is as deep.
        let ours_there = ours_removed[((real_nm - 400.0) / 5.0) as usize];
        let deepest = ours_removed.iter().copied().fold(1.0, f64::min);
        let same = (real_nm - ours_nm).abs() <= 15.0 || ours_there - deepest < 0.01;
        assert!(same, "{}: deepest at {ours_nm} nm, measured at {real_nm} nm", mineral.name);
    }
}
