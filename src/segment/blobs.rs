//! Connected runs of bright pixels, followed from row to row.

/// A connected region that grows row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blob {
    /// First and last row.
    pub rows: (i64, i64),
    /// First pixel and the one after the last.
    pub extent: (usize, usize),
    /// Pixels.
    pub area: usize,
    /// What the segmentation made of it.
    pub fate: Fate,
    /// Whether it was cut off from what lies before it along the belt.
    pub follows: bool,
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not yet decided.
    Pending,
    /// Too small.
    Ignored,
    /// It matches no container, or nobody can tell which.
    Unnamed,
    /// It is an open or closed sample of this number.
    Sample(u16),
    /// It is several samples beside each other: an index into [`Blobs::parts`].
    Parts(usize),
    /// It turned out to be part of another blob.
    Merged(usize),
}

/// A run of bright pixels in a row: first pixel, the one after the last, and its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub from: usize,
    pub to: usize,
    pub blob: usize,
}

/// One of several samples that touch: its number, and the pixel after its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub number: u16,
    pub to: usize,
}

/// The number of a part that is no sample.
pub(super) const NOBODY: u16 = u16::MAX;

/// The blobs of a scan. Those that ended and were dealt with stay: there are few.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    pub all: Vec<Blob>,
    /// What blobs that are several samples consist of, from left to right.
    pub parts: Vec<Vec<Part>>,
    before: Vec<Run>,
    /// Pairs of samples that touched.
    pub touching: Vec<(u16, u16)>,
}

/// Where a region lies in a picture: rows and pixels, each from the first to the one after the last, and its area in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Rows.
    pub rows: (usize, usize),
    /// Pixels.
    pub pixels: (usize, usize),
    /// Pixels on it.
    pub area: usize,
}

/// The connected regions of a picture that are brighter than `threshold`. Rows without a value are taken for the row before.
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

    /// Whether two pixels of this row lie under the same blob of the row before, or under none: a stretch between two containers
    /// is never filled.
    fn same(&self, a: usize, b: usize) -> bool {
        let under = |pixel: usize| self.before.iter().find(|run| run.from <= pixel && pixel < run.to).map(|run| self.root(run.blob));
        match (under(a), under(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }

    fn merge(&mut self, a: usize, b: usize) -> usize {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return a;
        }
        let samples = |blob: usize| !self.samples(blob).is_empty();
        let (into, from) = match (samples(a), samples(b)) {
            // Those beside each other are told apart by where they lie; of others, what follows belongs to the first.
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

    /// The samples that a blob consists of, from left to right; empty where it has none.
    pub fn samples(&self, blob: usize) -> Vec<Part> {
        match self.all[blob].fate {
            Fate::Sample(number) => vec![Part { number, to: usize::MAX }],
            Fate::Parts(parts) => self.parts[parts].clone(),
            _ => Vec::new(),
        }
    }

    /// Makes blob `a` the samples of both, if they lie beside each other.
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

    /// The numbers of the samples a run lies on, each with its first pixel and the one after the last.
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

    /// Cuts a blob before `row`; what follows is a blob of its own. `rows` are the numbers and runs of the rows that still wait.
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
