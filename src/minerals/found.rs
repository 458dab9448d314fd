//! What is found on one sample.

use crate::identify::{Feature, Identifier, Library, METHOD_VERSION, Minerals, Mixture, NOT_IDENTIFIED, Scratch};
use crate::scan::MineralsRecord;
use crate::segment::Sample;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The library and its names, for all samples of a scan.
#[derive(Debug)]
pub struct About {
    /// The library's name.
    pub library: String,
    /// SHA-256 of the library, lower-case hexadecimal.
    pub sha256: String,
    /// Names of the minerals. The code of the first is 1.
    pub minerals: Vec<String>,
    /// The features, in the order of their values.
    pub features: Vec<Feature>,
}

impl About {
    /// The names of a library on a rig's bands.
    pub fn new(library: &Library, identifier: &Identifier) -> Self {
        Self {
            library: library.name().to_owned(),
            sha256: library.sha256().to_owned(),
            minerals: identifier.minerals().to_vec(),
            features: identifier.features().to_vec(),
        }
    }

    /// The name of a mineral by its code.
    pub fn mineral(&self, code: u16) -> &str {
        let name = usize::from(code).checked_sub(1).and_then(|at| self.minerals.get(at));
        name.map_or(NOT_IDENTIFIED, String::as_str)
    }

    /// The record of a scan that is identified by it.
    pub fn record(&self) -> MineralsRecord {
        MineralsRecord { library: self.library.clone(), library_sha256: self.sha256.clone(), method: METHOD_VERSION, pending: None }
    }
}

/// Bytes of a pixel beside its features.
const PIXEL_BYTES: usize = 33;

/// The minerals of a sample's judged pixels, in the order of lines and pixels.
#[derive(Debug)]
pub struct Found {
    /// The sample.
    pub sample: Arc<Sample>,
    /// Number of its part in the data set.
    pub part: u32,
    /// The names.
    pub about: Arc<About>,
    /// Centres of the pixels across the tray, mm.
    pub pixels_mm: Vec<f64>,
    /// Centre of each line along the tray, mm.
    pub lines_mm: Vec<f64>,
    /// Time of each line, ns since 1970-01-01T00:00:00Z.
    pub times_ns: Vec<i64>,
    /// Line of each judged pixel.
    pub line: Vec<u32>,
    /// Pixel of each judged pixel across.
    pub pixel: Vec<u32>,
    /// Flags of each judged pixel.
    pub quality: Vec<u8>,
    /// The minerals of each judged pixel.
    pub minerals: Minerals,
    /// What their spectra add up to.
    pub mixture: Mixture,
    budget: Option<Arc<Budget>>,
    held: u64,
}

impl Found {
    /// A sample without a line.
    pub fn new(sample: &Arc<Sample>, about: &Arc<About>, pixels_mm: Vec<f64>) -> Self {
        Self {
            sample: Arc::clone(sample),
            part: 0,
            about: Arc::clone(about),
            pixels_mm,
            lines_mm: Vec::new(),
            times_ns: Vec::new(),
            line: Vec::new(),
            pixel: Vec::new(),
            quality: Vec::new(),
            minerals: Minerals::default(),
            mixture: Mixture::default(),
            budget: None,
            held: 0,
        }
    }

    /// Has its memory counted.
    pub(super) fn counted(mut self, budget: &Arc<Budget>) -> Self {
        self.budget = Some(Arc::clone(budget));
        self
    }

    /// Number of judged pixels.
    pub fn len(&self) -> usize {
        self.line.len()
    }

    /// Whether no pixel was judged.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Counts its memory. Gives false where there is more than the limit.
    pub(super) fn count(&mut self) -> bool {
        let Some(budget) = &self.budget else { return true };
        let bytes = (self.len() * (PIXEL_BYTES + 4 * self.about.features.len()) + self.lines_mm.len() * 16 + self.mixture.bytes()) as u64;
        let more = bytes - self.held;
        self.held = bytes;
        budget.used.fetch_add(more, Ordering::Relaxed) + more <= budget.limit
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.used.fetch_sub(self.held, Ordering::Relaxed);
        }
    }
}

/// The memory of all samples that are not written yet.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    /// At most `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }
}

/// Where and when a line was seen.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Line of the sample's cube.
    pub line: u32,
    /// Its centre along the tray, mm.
    pub y_mm: f64,
    /// Its time, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
}

/// Judges lines, with memory of its own that is used again.
#[derive(Debug)]
pub struct Reader {
    identifier: Arc<Identifier>,
    scratch: Scratch,
    bands: usize,
    spectra: Vec<f32>,
    out: Minerals,
}

impl Reader {
    /// A reader of spectra of `bands` bands.
    pub fn new(identifier: Arc<Identifier>, bands: usize) -> Self {
        let scratch = identifier.scratch();
        Self { identifier, scratch, bands, spectra: Vec::new(), out: Minerals::default() }
    }

    /// Judges the pixels of a line that `takes` picks. `write` writes the spectra of some pixels, `[pixel][band]`.
    pub fn line(
        &mut self,
        place: Place,
        quality: &[u8],
        takes: impl Fn(usize) -> bool,
        mut write: impl FnMut(Range<usize>, &mut [f32]),
        to: &mut Found,
    ) {
        to.lines_mm.push(place.y_mm);
        to.times_ns.push(place.time_ns);
        let (bands, before) = (self.bands, to.line.len());
        self.spectra.clear();
        let mut pixel = 0;
        while pixel < quality.len() {
            let first = pixel;
            while pixel < quality.len() && takes(pixel) {
                pixel += 1;
            }
            if pixel > first {
                let from = self.spectra.len();
                self.spectra.resize(from + (pixel - first) * bands, 0.0);
                write(first..pixel, &mut self.spectra[from..]);
                to.line.extend(std::iter::repeat_n(place.line, pixel - first));
                to.pixel.extend((first..pixel).map(|pixel| u32::try_from(pixel).unwrap_or(u32::MAX)));
                to.quality.extend_from_slice(&quality[first..pixel]);
            }
            pixel += 1;
        }
        if to.line.len() > before {
            self.identifier.identify(&self.spectra, &mut self.scratch, &mut self.out);
            to.minerals.append(&self.out);
            let winner = &self.out.winner;
            let pixels = to.pixel[before..].iter().zip(self.spectra.chunks_exact(bands)).enumerate();
            let judged = pixels.map(|(at, (pixel, spectrum))| (*pixel as usize, [winner[0][at], winner[1][at]], spectrum));
            to.mixture.line(place.line, to.pixels_mm.len(), judged);
        }
    }
}
