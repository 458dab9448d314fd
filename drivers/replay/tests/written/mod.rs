//! Tiny images and captures for the tests. They are written without the code under test where that matters.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Shape of every image here. No two axes are alike. None is a multiple of a transposition's block.
pub const LINES: usize = 3;
pub const BANDS: usize = 37;
pub const PIXELS: usize = 41;

/// The value at a place. No two are alike.
pub fn value(line: usize, band: usize, pixel: usize) -> usize {
    (line * BANDS + band) * PIXELS + pixel
}

/// The text of a header with every needed key, and `more` lines.
pub fn header(samples: usize, lines: usize, bands: usize, more: &str) -> String {
    let wavelengths: Vec<String> = (0..bands).map(|band| format!("{}", 400 + 10 * band)).collect();
    format!(
        "ENVI\nsamples = {samples}\nlines = {lines}\nbands = {bands}\nwavelength units = nm\nwavelength = {{{}}}\n{more}\n",
        wavelengths.join(", ")
    )
}

/// The order of an image's places in the file.
pub fn places(interleave: &str) -> Vec<(usize, usize, usize)> {
    let mut places = Vec::new();
    let (outer, middle, inner) = match interleave {
        "bil" => (LINES, BANDS, PIXELS),
        "bip" => (LINES, PIXELS, BANDS),
        _ => (BANDS, LINES, PIXELS),
    };
    for a in 0..outer {
        for b in 0..middle {
            for c in 0..inner {
                places.push(match interleave {
                    "bil" => (a, b, c),
                    "bip" => (a, c, b),
                    _ => (b, a, c),
                });
            }
        }
    }
    places
}

/// A camera's capture in the Lumo layout: 12 pixels x 5 bands of 16-bit counts.
pub struct Capture {
    pub lines: usize,
    pub fps: f64,
    pub references: bool,
    /// Frame numbers of the lines. `None` for a capture without a table.
    pub frames: Option<Vec<u64>>,
}

impl Capture {
    pub const TIME_NS: u64 = 1_530_000_000_000_000_000;

    /// Writes the capture `NAME` and returns the folder to open.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let capture = folder.join("capture");
        fs::create_dir_all(&capture).unwrap();
        let more = format!(
            "sensor type = TEST 1\ninterleave = bil\ndata type = 12\nbyte order = 0\nfps = {}\ntint = 1.5\nbinning = {{4, 2}}",
            self.fps
        );
        let image = |name: &str, lines: usize, base: usize| {
            fs::write(capture.join(format!("{name}.hdr")), header(12, lines, 5, &more)).unwrap();
            let counts = (0..lines * 60).flat_map(|i| u16::try_from((base + i) % 60_000).unwrap().to_le_bytes());
            fs::write(capture.join(format!("{name}.raw")), counts.collect::<Vec<u8>>()).unwrap();
        };
        image("NAME", self.lines, 0);
        if self.references {
            image("DARKREF_NAME", 4, 1000);
            image("WHITEREF_NAME", 5, 2000);
        }
        if let Some(frames) = &self.frames {
            let mut table = String::from("line,frame,time_ns,position_mm,status\n");
            for (line, frame) in frames.iter().enumerate() {
                let since = (frame - frames[0]) as f64 / self.fps;
                let time = Self::TIME_NS + (since * 1e9) as u64;
                writeln!(table, "{line},{frame},{time},{},ok", since * 40.0 - 5.0).unwrap();
            }
            fs::write(capture.join("NAME.lines.csv"), table).unwrap();
        }
        folder.to_owned()
    }
}
