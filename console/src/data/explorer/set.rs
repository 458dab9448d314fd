//! The points of some scans in memory.

use crate::data::Data;
use crate::data::answer::{Answer, problem, unreadable, wrong};
use crate::data::place::{self, Stamp};
use crate::data::scans::Listed;
use axum::http::StatusCode;
use hyclus::publish::{DataSet, Points, PublishedPart, published};
use hyclus_study::cloud::Cloud;
use hyclus_study::pca::Pca;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Most points of a set.
const MOST_ROWS: u64 = 4_000_000;
/// Most numbers of all embeddings of a set.
const MOST_NUMBERS: u64 = 256 << 20;
/// Sets that are kept.
const MOST_SETS: usize = 2;

/// A part, and the first of its points.
pub struct Part {
    pub first: usize,
    pub file: PublishedPart,
}

/// A sample and the number of its points.
pub struct Sample {
    pub listed: Listed,
    pub rows: usize,
}

/// The first components of a set's points, and the points along two of them.
pub struct Projected {
    pub pca: Pca,
    pub points: Vec<[f32; 2]>,
}

/// The points of some scans.
pub struct Set {
    /// Names the points: the scans, and the versions of their parts.
    pub key: String,
    pub samples: Vec<Sample>,
    pub points: Points,
    pub parts: Vec<Part>,
    pub dimensions: usize,
    pub models: Vec<String>,
    /// Centres of the bands of the spectra in the parts. Empty where a part has none.
    pub wavelengths_nm: Vec<f64>,
    projected: OnceLock<Projected>,
    /// The minerals of the points, once they were asked for.
    pub(super) minerals: OnceLock<Arc<super::minerals::Minerals>>,
    clusters: Mutex<BTreeMap<usize, Arc<Vec<u16>>>>,
    elbows: Mutex<BTreeMap<usize, (Vec<f64>, usize)>>,
}

/// The sets, the one used last in front.
#[derive(Default)]
pub struct Sets {
    sets: Mutex<VecDeque<Arc<Set>>>,
    /// One set is read at a time. Who wants the same one finds it then.
    loading: Mutex<()>,
}

impl Set {
    /// The points as rows of numbers.
    pub fn cloud(&self) -> Answer<Cloud<'_>> {
        Cloud::new(&self.points.embedding, self.dimensions).map_err(unreadable)
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.sample.len()
    }

    /// The components, and the points along the first two. They are computed once.
    pub fn projected(&self) -> Answer<&Projected> {
        if let Some(projected) = self.projected.get() {
            return Ok(projected);
        }
        let cloud = self.cloud()?;
        let pca = cloud.principal().map_err(|error| wrong(format!("{error}; choose scans with more embeddings")))?;
        let points = cloud.projected(&pca);
        Ok(self.projected.get_or_init(|| Projected { pca, points }))
    }

    /// The cluster of each point. They are found once for each number of clusters.
    pub fn clusters(&self, clusters: usize) -> Answer<Arc<Vec<u16>>> {
        let lock = || self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = lock().get(&clusters) {
            return Ok(Arc::clone(of));
        }
        let of = Arc::new(self.cloud()?.clusters(clusters).map_err(|error| wrong(error.to_string()))?);
        lock().insert(clusters, Arc::clone(&of));
        Ok(of)
    }

    /// The elbow of k-means, up to so many clusters. It is computed once.
    pub fn elbow(&self, most: usize) -> Answer<(Vec<f64>, usize)> {
        let lock = || self.elbows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(elbow) = lock().get(&most) {
            return Ok(elbow.clone());
        }
        let elbow = self.cloud()?.elbow(most).map_err(|error| wrong(error.to_string()))?;
        lock().insert(most, elbow.clone());
        Ok(elbow)
    }

    /// The values of a sample key with the samples of each, in order. Samples without the key are left out.
    pub fn by_key(&self, key: &str) -> BTreeMap<&str, Vec<u32>> {
        let mut values: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (sample, number) in self.samples.iter().zip(0..) {
            if let Some(value) = sample.listed.keys.get(key) {
                values.entry(value).or_default().push(number);
            }
        }
        values
    }
}

impl Data {
    /// The points of some scans.
    pub(in crate::data) fn set(&self, scans: &[String]) -> Answer<Arc<Set>> {
        let key = self.key(scans)?;
        let find = || {
            let mut sets = self.sets.sets.lock().unwrap_or_else(PoisonError::into_inner);
            let at = sets.iter().position(|set| set.key == key)?;
            let set = sets.remove(at)?;
            sets.push_front(Arc::clone(&set));
            Some(set)
        };
        if let Some(set) = find() {
            return Ok(set);
        }
        let _one = self.sets.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = find() {
            return Ok(set);
        }
        {
            // What is put away frees its memory before the next is read.
            let mut sets = self.sets.sets.lock().unwrap_or_else(PoisonError::into_inner);
            sets.truncate(MOST_SETS - 1);
        }
        let set = Arc::new(self.load(scans, key.clone())?);
        let mut sets = self.sets.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.push_front(Arc::clone(&set));
        Ok(set)
    }

    /// The versions of all parts of some scans, as text.
    fn key(&self, scans: &[String]) -> Answer<String> {
        let mut key = String::new();
        for scan in scans {
            place::scan_folder(&self.root, scan)?;
            let folder = DataSet::main(&self.root).scan_folder(scan);
            let mut parts: Vec<(String, Option<Stamp>)> = Vec::new();
            if std::fs::symlink_metadata(&folder).is_ok_and(|about| about.is_dir()) {
                for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                    let Ok(name) = entry.file_name().into_string() else { continue };
                    let stamp = place::stamp(&entry.path());
                    if stamp.is_none() {
                        return Err(unreadable(format!(
                            "{} is no regular file; a link in the data set is not followed",
                            entry.path().display()
                        )));
                    }
                    parts.push((name, stamp));
                }
            }
            parts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            key.push_str(&format!("{scan}:{parts:?};"));
        }
        Ok(key)
    }

    fn load(&self, scans: &[String], key: String) -> Answer<Set> {
        let failed = |error: hyclus::publish::PublishError| unreadable(error);
        let mut files = Vec::new();
        for scan in scans {
            let parts = published(&DataSet::main(&self.root), scan).map_err(failed)?;
            files.extend(parts.into_iter().map(|part| (scan.clone(), part)));
        }
        let rows: u64 = files.iter().map(|(_, part)| part.rows).sum();
        if rows < 2 {
            return Err(wrong("the chosen scans have no embeddings; choose scans that an encoder has looked at"));
        }
        let dimensions: BTreeSet<Option<usize>> = files.iter().map(|(_, part)| part.dimensions()).collect();
        let models: BTreeSet<String> = files.iter().map(|(_, part)| part.encoder().unwrap_or("unknown").to_owned()).collect();
        let (&[Some(dimensions)], 1) = (dimensions.iter().copied().collect::<Vec<_>>().as_slice(), models.len()) else {
            let short: Vec<&str> = models.iter().map(|model| model.get(..12).unwrap_or(model)).collect();
            let detail =
                format!("the embeddings are of different models ({}), and cannot be compared; choose scans of one model", short.join(", "));
            return Err(wrong(detail));
        };
        if rows > MOST_ROWS || rows.saturating_mul(dimensions as u64) > MOST_NUMBERS {
            let detail = format!(
                "the chosen scans have {rows} embeddings of {dimensions} numbers, more than fit into memory here (4 million); choose fewer scans"
            );
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        let count = usize::try_from(rows).unwrap_or(0);
        let mut points = Points::default();
        points.embedding.reserve_exact(count * dimensions);
        let mut set_parts = Vec::new();
        let mut scan_of: Vec<String> = Vec::new();
        let wavelengths = files.first().map(|(_, part)| part.wavelengths_nm()).unwrap_or_default();
        let spectra = files.iter().all(|(_, part)| part.has_spectra() && part.wavelengths_nm() == wavelengths);
        for (scan, file) in files {
            if scan_of.last() != Some(&scan) {
                points.next_scan();
            }
            let first = points.sample.len();
            file.points(&mut points).map_err(failed)?;
            scan_of.resize(points.samples.len(), scan);
            set_parts.push(Part { first, file });
        }
        let mut rows_of = vec![0; points.samples.len()];
        points.sample.iter().for_each(|sample| rows_of[*sample as usize] += 1);
        let summaries = self.scans();
        let of_scan = |scan: &String| summaries.iter().find(|summary| summary.id() == scan);
        let stored: BTreeMap<&str, &[Listed]> =
            scans.iter().filter_map(|scan| Some((scan.as_str(), of_scan(scan)?.stored.as_slice()))).collect();
        let listed = |(i, (name, container)): (usize, &(String, String))| {
            let scan = scan_of.get(i).cloned().unwrap_or_default();
            let known = stored.get(scan.as_str()).and_then(|list| list.iter().find(|one| one.name == *name && one.container == *container));
            let unlisted = || Listed {
                scan: scan.clone(),
                sample: name.clone(),
                container: container.clone(),
                keys: BTreeMap::new(),
                vars: BTreeMap::new(),
                name: name.clone(),
            };
            Sample { listed: known.cloned().unwrap_or_else(unlisted), rows: rows_of[i] }
        };
        let samples = points.samples.iter().enumerate().map(listed).collect();
        Ok(Set {
            key,
            samples,
            points,
            parts: set_parts,
            dimensions,
            models: models.into_iter().collect(),
            wavelengths_nm: if spectra { wavelengths } else { Vec::new() },
            projected: OnceLock::new(),
            minerals: OnceLock::new(),
            clusters: Mutex::default(),
            elbows: Mutex::default(),
        })
    }
}
