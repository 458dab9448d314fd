//! Connected regions of bright pixels, followed from row to row.

/// A connected region that grows row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blob {
    /// First and last row.
    pub rows: (i64, i64),
    /// First pixel and the one after the last.
    pub extent: (usize, usize),
    /// Number of pixels.
    pub area: usize,
    /// The segmentation's decision.
    pub fate: Fate,
    /// Whether the blob was cut off from another one before it along the belt.
    pub follows: bool,
}

/// The segmentation's decision on a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The decision is open.
    Pending,
    /// The blob is too small.
    Ignored,
    /// The blob matches no container, or not certainly one.
    Unnamed,
    /// The blob is an open or closed sample of this number.
    Sample(u16),
    /// The blob is several samples beside each other. The value is an index into [`Blobs::parts`].
    Parts(usize),
    /// The blob has become part of another blob.
    Merged(usize),
}

/// A run of bright pixels in a row: the first pixel, the one after the last, and the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub from: usize,
    pub to: usize,
    pub blob: usize,
}

/// One of several samples that touch: the sample's number, and the pixel after its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub number: u16,
    pub to: usize,
}

/// The number of a part that is no sample.
pub(super) const NOBODY: u16 = u16::MAX;

/// The blobs of a scan. Blobs that have ended stay in the list, because they are few.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    pub all: Vec<Blob>,
    /// Samples of each blob that is several, from left to right.
    pub parts: Vec<Vec<Part>>,
    /// Runs of the row before.
    before: Vec<Run>,
    /// Pairs of samples that touched.
    pub touching: Vec<(u16, u16)>,
}

/// The extent of a region in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First row, and the one after the last.
    pub rows: (usize, usize),
    /// First pixel, and the one after the last.
    pub pixels: (usize, usize),
    /// Number of pixels of the region.
    pub area: usize,
}

/// The connected regions of a picture that are brighter than `threshold`. A pixel without a value keeps its state of the row before.
///
/// Dark stretches of up to `bridge` pixels inside a region are filled.
pub fn regions(picture: &super::Picture, threshold: f32, bridge: usize) -> Vec<Extent> {
    let (mut blobs, mut runs, mut bright) = (Blobs::default(), Vec::new(), vec![false; picture.width]);
    for (row, values) in picture.values.chunks_exact(picture.width).enumerate() {
        for (bright, value) in bright.iter_mut().zip(values).filter(|(_, value)| value.is_finite()) {
            *bright = *value > threshold;
        }
        blobs.row(i64::try_from(row).unwrap_or(i64::MAX), &bright, bridge, &mut runs);
    }
    let index = |row: i64| usize::try_from(row).unwrap_or(0);
    blobs
        .all
        .iter()
        .filter(|blob| blob.fate == Fate::Pending)
        .map(|blob| Extent { rows: (index(blob.rows.0), index(blob.rows.1) + 1), pixels: blob.extent, area: blob.area })
        .collect()
}

impl Blobs {
    /// The blob that `blob` has become part of.
    pub fn root(&self, mut blob: usize) -> usize {
        while let Fate::Merged(into) = self.all[blob].fate {
            blob = into;
        }
        blob
    }

    /// Connects the bright pixels of the next row. Dark stretches of up to `bridge` pixels inside a run are filled.
    pub fn row(&mut self, row: i64, bright: &[bool], bridge: usize, runs: &mut Vec<Run>) {
        runs.clear();
        let mut pixel = 0;
        while pixel < bright.len() {
            if !bright[pixel] {
                pixel += 1;
                continue;
            }
            let from = pixel;
            while pixel < bright.len() && bright[pixel] {
                pixel += 1;
            }
            match runs.last_mut() {
                Some(last) if from - last.to <= bridge && self.same(last.from, from) => last.to = pixel,
                _ => runs.push(Run { from, to: pixel, blob: usize::MAX }),
            }
        }
        for run in runs.iter_mut() {
            // Diagonal neighbours count as connected.
            let touched: Vec<usize> =
                self.before.iter().filter(|b| b.from <= run.to && run.from <= b.to).map(|b| self.root(b.blob)).collect();
            run.blob = match touched.split_first() {
                None => {
                    self.all.push(Blob { rows: (row, row), extent: (run.from, run.to), area: 0, fate: Fate::Pending, follows: false });
                    self.all.len() - 1
                }
                Some((first, rest)) => rest.iter().fold(*first, |into, other| self.merge(into, *other)),
            };
            let blob = &mut self.all[run.blob];
            blob.rows.1 = row;
            blob.extent = (blob.extent.0.min(run.from), blob.extent.1.max(run.to));
            blob.area += run.to - run.from;
        }
        self.before.clone_from(runs);
    }

    /// Whether two pixels of this row lie under the same blob of the row before. So a stretch between two containers is never filled.
    fn same(&self, a: usize, b: usize) -> bool {
        let under = |pixel: usize| self.before.iter().find(|run| run.from <= pixel && pixel < run.to).map(|run| self.root(run.blob));
        match (under(a), under(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }

    /// Merges two blobs and gives the one that remains.
    fn merge(&mut self, a: usize, b: usize) -> usize {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return a;
        }
        let samples = |blob: usize| !self.samples(blob).is_empty();
        let (into, from) = match (samples(a), samples(b)) {
            // Samples beside each other are kept apart by their positions. Of others, the pixels that follow belong to the first.
            (true, true) if !self.join(a, b) => return a,
            (false, true) => (b, a),
            _ => (a, b),
        };
        let other = self.all[from].clone();
        let blob = &mut self.all[into];
        blob.rows = (blob.rows.0.min(other.rows.0), blob.rows.1.max(other.rows.1));
        blob.extent = (blob.extent.0.min(other.extent.0), blob.extent.1.max(other.extent.1));
        blob.area += other.area;
        self.all[from].fate = Fate::Merged(into);
        into
    }

    /// The samples of a blob, from left to right. The list is empty where it has none.
    pub fn samples(&self, blob: usize) -> Vec<Part> {
        match self.all[blob].fate {
            Fate::Sample(number) => vec![Part { number, to: usize::MAX }],
            Fate::Parts(parts) => self.parts[parts].clone(),
            _ => Vec::new(),
        }
    }

    /// Gives blob `a` the samples of both, if they lie beside each other. The result is false if they do not.
    fn join(&mut self, a: usize, b: usize) -> bool {
        let (left, right) = if self.all[a].extent.0 <= self.all[b].extent.0 { (a, b) } else { (b, a) };
        let (l, r) = (self.all[left].extent, self.all[right].extent);
        let (mut parts, others) = (self.samples(left), self.samples(right));
        for (x, y) in parts.iter().flat_map(|x| others.iter().map(move |y| (x.number, y.number))) {
            if x != NOBODY && y != NOBODY && !self.touching.contains(&(x.min(y), x.max(y))) {
                self.touching.push((x.min(y), x.max(y)));
            }
        }
        if l.1.saturating_sub(r.0) * 4 > (l.1 - l.0).min(r.1 - r.0) {
            return false;
        }
        if let Some(last) = parts.last_mut() {
            last.to = usize::midpoint(l.1, r.0);
        }
        parts.extend(others);
        self.all[a].fate = Fate::Parts(self.parts.len());
        self.parts.push(parts);
        true
    }

    /// Calls `each` for every sample under a run, with its number, its first pixel and the one after the last.
    pub fn on(&self, run: &Run, mut each: impl FnMut(u16, usize, usize)) {
        match self.all[self.root(run.blob)].fate {
            Fate::Sample(number) => each(number, run.from, run.to),
            Fate::Parts(parts) => {
                let mut from = run.from;
                for part in &self.parts[parts] {
                    let to = run.to.min(part.to);
                    if to > from {
                        each(part.number, from, to);
                        from = to;
                    }
                }
            }
            _ => {}
        }
    }

    /// Cuts a blob before `row`. The rest is a new blob. `rows` are the numbers and runs of the rows that still wait.
    pub fn cut<'a>(&mut self, blob: usize, row: i64, rows: impl Iterator<Item = (i64, &'a mut Vec<Run>)>) {
        let new = self.all.len();
        let last = self.all[blob].rows.1;
        let mut rest = Blob { rows: (row, last), extent: (usize::MAX, 0), area: 0, fate: Fate::Pending, follows: true };
        for run in rows.filter(|(at, _)| *at >= row).flat_map(|(_, runs)| runs) {
            if self.root(run.blob) == blob {
                run.blob = new;
                rest.extent = (rest.extent.0.min(run.from), rest.extent.1.max(run.to));
                rest.area += run.to - run.from;
            }
        }
        for i in 0..self.before.len() {
            if self.root(self.before[i].blob) == blob {
                self.before[i].blob = new;
            }
        }
        self.all[blob].rows.1 = row - 1;
        self.all[blob].area -= rest.area;
        self.all.push(rest);
    }
}
