//! What takes bytes from outside, against every file of its corpus in `fuzz/` and some thousand seeded mutations of each: it neither
//! panics nor hangs, nor takes memory without bounds.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../fuzz/src/entry.rs"]
mod entry;

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Mutations of all files of a target together.
const RUNS: usize = 4000;
/// Mutations of a target that takes a process for each.
const FORKED_RUNS: usize = 300;
/// Longest time of an input that takes a process. That is given a second of a processor, which takes long on a busy machine.
const FORKED_PATIENCE: Duration = Duration::from_secs(600);
/// Longest time that one input may take, of which a busy machine takes its share.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most memory that one input may take.
const MOST_BYTES: usize = 64 << 20;
/// What numbers are replaced by.
const EXTREMES: [&str; 14] = [
    "0",
    "-1",
    "1",
    "65536",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "-1e308",
    "1e-308",
    "1e999",
    "nan",
    "99999999999999999999999999999999999999999",
];
const TOKENS: [&str; 16] = [
    "\0",
    "\r\n",
    "\n\n",
    "{",
    "}",
    "[[[[[[[[",
    "]",
    "\"",
    "=",
    ",",
    "../../../etc/passwd",
    "%2e%2e%2f",
    "\u{202e}ü",
    "null",
    "\"\"\"",
    "#",
];

/// The memory of this process, counted.
struct Counted;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller of this promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller of this promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTED: Counted = Counted;

/// Changes an input here and there; `others` are the corpus, to take pieces from.
fn mutate(random: &mut Pcg64, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..random.random_range(1..=6) {
        let at = random.random_range(0..=bytes.len());
        let some = at + random.random_range(0..=(bytes.len() - at).min(64));
        match random.random_range(0..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8_u32),
            1 if at < bytes.len() => bytes[at] = random.next_u32().to_le_bytes()[0],
            2 => drop(bytes.drain(at..some)),
            3 => bytes.truncate(at),
            4 => {
                let again = bytes[at..some].repeat(random.random_range(1..40));
                bytes.splice(at..at, again);
            }
            5 => {
                let other = &others[random.random_range(0..others.len())];
                let from = random.random_range(0..=other.len());
                bytes.splice(at..some, other[from..].iter().copied());
            }
            6 => drop(bytes.splice(at..at, TOKENS[random.random_range(0..TOKENS.len())].bytes())),
            // A number becomes an extreme one.
            _ => {
                let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|ahead| at + ahead) else { continue };
                let length = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
                bytes.splice(from..from + length, EXTREMES[random.random_range(0..EXTREMES.len())].bytes());
            }
        }
        bytes.truncate(1 << 18);
    }
}

/// What went wrong with an input, if anything.
fn tried(target: entry::Target, bytes: &[u8], patience: Duration) -> Result<(), String> {
    let (begin, before) = (Instant::now(), NOW.load(Relaxed));
    MOST.store(before, Relaxed);
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| target(bytes)));
    let (took, most) = (begin.elapsed(), MOST.load(Relaxed).saturating_sub(before));
    match ended {
        Err(_) => Err("it panics".to_owned()),
        Ok(()) if took > patience => Err(format!("it takes {took:?}")),
        Ok(()) if most > MOST_BYTES => Err(format!("it takes {} MiB", most >> 20)),
        Ok(()) => Ok(()),
    }
}

/// One test, as memory is counted for the whole process.
#[test]
fn no_input_brings_it_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut failures = Vec::new();
    for (number, (name, target)) in entry::TARGETS.into_iter().enumerate() {
        let mut files: Vec<_> = std::fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 3, "{name} has a corpus");
        let corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        let mut random = Pcg64::seed_from_u64(20_180_703 + number as u64);
        let begin = Instant::now();
        let forked = name == "hdf5_sample";
        let (least, patience) = if forked { (FORKED_RUNS, FORKED_PATIENCE) } else { (RUNS, PATIENCE) };
        let mut fail = |what: String, bytes: &[u8]| {
            let shown: String = bytes.escape_ascii().to_string().chars().take(2000).collect();
            failures.push(format!("{name}: {what}: {shown}"));
        };
        for (file, bytes) in files.iter().zip(&corpus) {
            if let Err(what) = tried(target, bytes, patience) {
                fail(format!("{}: {what}", file.display()), bytes);
            }
        }
        // Longer by hand: one target, for so many seconds.
        let (chosen, long) = (std::env::var("HYCLUS_FUZZ").ok(), std::env::var("HYCLUS_FUZZ_S").ok().and_then(|s| s.parse().ok()));
        if chosen.is_some_and(|chosen| chosen != name) {
            continue;
        }
        let mut runs = 0;
        while runs < least || long.is_some_and(|long| begin.elapsed() < Duration::from_secs(long)) {
            let run = runs;
            runs += 1;
            let mut bytes = corpus[run % corpus.len()].clone();
            mutate(&mut random, &mut bytes, &corpus);
            if let Err(what) = tried(target, &bytes, patience) {
                fail(format!("run {run}: {what}"), &bytes);
            }
        }
        println!("{name:16} {} files, {runs} mutations, {:.1} s", corpus.len(), begin.elapsed().as_secs_f64());
    }
    println!(
        "the HDF5 library broke down over {} inputs, and did not end over {}",
        entry::BROKEN.load(Relaxed),
        entry::ENDLESS.load(Relaxed)
    );
    assert!(failures.is_empty(), "{} inputs:\n{}", failures.len(), failures[..failures.len().min(5)].join("\n"));
}
