//! What the tests share: running the program, its files, and small recordings of a scene whose reflectance is known.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Width of the view, mm; speed of the belt, mm/s; lines per second: a line every millimetre.
pub const VIEW_MM: f64 = 40.0;
pub const SPEED: f64 = 20.0;
pub const RATE: f64 = 20.0;
/// Length of the scene, mm.
pub const LENGTH_MM: usize = 60;
/// Dark level, and counts above it for a reflectance of one.
pub const DARK: f64 = 200.0;
pub const FULL: f64 = 3000.0;
/// The two containers: left and right edge (mm), and between which lines both lie (mm).
pub const BOXES: [(f64, f64); 2] = [(4.0, 17.0), (23.0, 36.0)];
pub const ALONG: (f64, f64) = (15.0, 35.0);

/// How the program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Fails unless it ended well; gives what it printed as JSON.
    pub fn record(&self) -> Value {
        self.ended_with(0)
    }

    /// Fails unless it ended with an incomplete scan; gives what it printed as JSON.
    pub fn incomplete(&self) -> Value {
        self.ended_with(1)
    }

    fn ended_with(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// Runs `hyclus`.
pub fn hyclus(arguments: &[String]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
    command.args(arguments).env_remove("HYCLUS_LOG").env_remove("HYCLUS_LOG_FORMAT").stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Every file below a folder, by its path relative to it; none where there is no folder.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), path);
            }
        }
    }
    found
}

/// A line-scan camera that sees the scene.
#[derive(Debug, Clone)]
pub struct Camera {
    pub name: &'static str,
    pub pixels: usize,
    pub wavelengths: Vec<f64>,
    pub offset_mm: f64,
}

impl Camera {
    pub fn new(name: &'static str, pixels: usize, bands: usize, nm: (f64, f64), offset_mm: f64) -> Self {
        let step = (nm.1 - nm.0) / (bands - 1) as f64;
        Self { name, pixels, wavelengths: (0..bands).map(|band| nm.0 + band as f64 * step).collect(), offset_mm }
    }

    /// Its section of the configuration, playing `folder`.
    pub fn section(&self, folder: &Path) -> String {
        format!(
            "[[camera]]\nname = \"{}\"\noffset_mm = {:?}\nfield_of_view_mm = {VIEW_MM:?}\nexposure_us = 2000.0\nframe_rate_hz = {RATE:?}\n\
             device = {{ kind = \"replay\", path = \"{}\", bits = 12 }}\n",
            self.name,
            self.offset_mm,
            folder.display()
        )
    }

    /// Records the scene with up to `noise` counts added or taken away, and the references, into `folder`.
    pub fn record(&self, folder: &Path, noise: f64) {
        self.record_scene(folder, noise, LENGTH_MM, &reflectance);
    }

    /// Records a scene as [`Camera::record_scene`] does, and averages it over each pixel and line, as a camera does.
    pub fn record_averaged(&self, folder: &Path, length_mm: usize, reflectance: &dyn Fn(f64, f64, f64) -> f64) {
        const PARTS: usize = 10;
        let (pixel_mm, line_mm) = (VIEW_MM / self.pixels as f64, SPEED / RATE);
        let part = |i: usize| (i as f64 + 0.5) / PARTS as f64 - 0.5;
        let averaged = |x: f64, y: f64, nm: f64| {
            let places = (0..PARTS).flat_map(|i| (0..PARTS).map(move |j| (x + part(i) * pixel_mm, y + part(j) * line_mm)));
            places.map(|(x, y)| reflectance(x, y, nm)).sum::<f64>() / (PARTS * PARTS) as f64
        };
        self.record_scene(folder, 0.0, length_mm, &averaged);
    }

    /// Records another scene of this length, mm: `reflectance` by place across and along (mm) and wavelength (nm).
    pub fn record_scene(&self, folder: &Path, noise: f64, length_mm: usize, reflectance: &dyn Fn(f64, f64, f64) -> f64) {
        let capture = folder.join("capture");
        fs::create_dir_all(&capture).unwrap();
        let mut lottery = Lottery(u64::from(self.name.as_bytes()[0]) + self.pixels as u64);
        let pixel_mm = VIEW_MM / self.pixels as f64;
        let mut image = |name: String, lines: usize, reflectance: &dyn Fn(f64, f64, f64) -> f64, noise: f64| {
            let mut counts: Vec<u8> = Vec::new();
            for line in 0..lines {
                let y = line as f64 * SPEED / RATE - self.offset_mm;
                for nm in &self.wavelengths {
                    for pixel in 0..self.pixels {
                        let value = DARK + FULL * reflectance((pixel as f64 + 0.5) * pixel_mm, y, *nm) + noise * lottery.draw();
                        counts.extend((value.round() as u16).to_le_bytes());
                    }
                }
            }
            fs::write(capture.join(format!("{name}.raw")), counts).unwrap();
            fs::write(capture.join(format!("{name}.hdr")), header(lines, self.pixels, &self.wavelengths)).unwrap();
        };
        image(format!("DARKREF_{}", self.name), 5, &|_, _, _| 0.0, noise / 4.0);
        image(format!("WHITEREF_{}", self.name), 5, &|_, _, _| 0.95, noise / 4.0);
        image(self.name.to_owned(), length_mm + self.offset_mm as usize, reflectance, noise);
    }
}

/// Reflectance of the scene: two containers that brighten with the wavelength, on a dark tray.
pub fn reflectance(x_mm: f64, y_mm: f64, nm: f64) -> f64 {
    let inside = BOXES.iter().any(|(left, right)| (*left..*right).contains(&x_mm)) && (ALONG.0..ALONG.1).contains(&y_mm);
    if inside { 0.2 + nm / 5000.0 } else { 0.02 }
}

fn header(lines: usize, pixels: usize, wavelengths: &[f64]) -> String {
    let list: Vec<String> = wavelengths.iter().map(|nm| nm.to_string()).collect();
    format!(
        "ENVI\nsamples = {pixels}\nlines = {lines}\nbands = {}\ninterleave = bil\ndata type = 12\nbyte order = 0\nfps = {RATE}\ntint = 2.0\n\
         wavelength units = nm\nwavelength = {{{}}}\n",
        wavelengths.len(),
        list.join(", ")
    )
}

/// Numbers from -1 to 1 that are the same in every run (`SplitMix64`).
struct Lottery(u64);

impl Lottery {
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// Recordings of some cameras, a configuration and a tray map that fit them, in a folder of their own.
pub struct Rig {
    pub folder: TempDir,
    pub cameras: Vec<Camera>,
    /// Text of the configuration.
    pub config: String,
    /// Text of the tray map.
    pub tray: String,
}

pub const TRAY: &str = "tray = \"T1\"\nkeys = [\"plant\", \"month\"]\n[grid]\nrows = 1\ncolumns = 2\n\
    [[container]]\nat = \"A1\"\nsample = \"left\"\nplant = \"P1\"\nmonth = \"2018-07\"\n\
    [[container]]\nat = \"A2\"\nsample = \"right\"\nplant = \"P2\"\nmonth = \"2018-08\"\n";

impl Rig {
    pub fn new(cameras: &[Camera], noise: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = format!(
            "[rig]\nname = \"test\"\ndata_dir = \"data\"\n[conveyor]\nspeed_mm_per_s = {SPEED:?}\ndevice = {{ kind = \"recorded\" }}\n\
             [references]\npanel = {{ reflectance = 0.95 }}\n[grid]\npixel_mm = 1.0\n"
        );
        for camera in cameras {
            let recording = folder.path().join(camera.name);
            camera.record(&recording, noise);
            config.push_str(&camera.section(&recording));
        }
        Self { folder, cameras: cameras.to_vec(), config, tray: TRAY.to_owned() }
    }

    /// Two cameras of few bands.
    pub fn pair(noise: f64) -> Self {
        Self::new(&[Camera::new("vnir", 40, 7, (400.0, 1000.0), 0.0), Camera::new("swir", 20, 5, (1100.0, 2300.0), 12.0)], noise)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Arguments of `process` into the data root `out`; writes configuration and tray map.
    pub fn arguments(&self, out: &str) -> Vec<String> {
        let (config, tray) = (self.path(&format!("{out}.rig.toml")), self.path(&format!("{out}.tray.toml")));
        fs::write(&config, &self.config).unwrap();
        fs::write(&tray, &self.tray).unwrap();
        let shown = |path: &Path| path.display().to_string();
        let mut arguments = ["--json", "process", "--config"].map(str::to_owned).to_vec();
        arguments.extend([shown(&config), "--tray".into(), shown(&tray), "--out".into(), shown(&self.path(out))]);
        for camera in &self.cameras {
            arguments.extend(["--capture".into(), format!("{}={}", camera.name, self.path(camera.name).display())]);
        }
        arguments
    }

    /// Processes the recordings into the data root `out`.
    pub fn process(&self, out: &str) -> Ended {
        hyclus(&self.arguments(out))
    }

    /// Adds an encoder to the configuration: a matrix of 4 columns for the spectra of `bands` bands. False where Python is left out.
    pub fn encode(&mut self, bands: usize) -> bool {
        let Some(model) = encoder(self.folder.path(), bands) else { return false };
        write!(self.config, "[encoder]\nmodel = \"{}\"\n", model.display()).unwrap();
        true
    }
}

/// Makes an encoder in `folder`: `encoder.onnx`, and its matrix in `encoder.npy`. None where Python is left out.
pub fn encoder(folder: &Path, bands: usize) -> Option<PathBuf> {
    crate::python::run("process_model.py", &[folder, Path::new(&bands.to_string())]);
    let model = folder.join("encoder.onnx");
    if model.is_file() {
        return Some(model);
    }
    assert!(std::env::var_os("HYCLUS_SKIP_PYTHON").is_some(), "process_model.py wrote no model");
    None
}

/// Makes an encoder as [`encoder`] does, for spectra at these wavelengths, nm.
pub fn encoder_at(folder: &Path, nm: &[f64]) -> Option<PathBuf> {
    let list: Vec<String> = nm.iter().map(f64::to_string).collect();
    crate::python::run("process_model.py", &[folder, Path::new(&nm.len().to_string()), Path::new(&list.join(","))]);
    let model = folder.join("encoder.onnx");
    model.is_file().then_some(model)
}

/// `name` in the folder that is shared beside the repository, or in the one that `HYCLUS_TEST_SHARED` names.
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    present(std::env::var_os("HYCLUS_TEST_SHARED").map_or_else(beside, PathBuf::from).join(name), "HYCLUS_TEST_SHARED")
}

/// A real measurement, from `HYCLUS_TEST_DATA` or the shared folder.
pub fn measured(name: &str) -> Option<PathBuf> {
    match std::env::var_os("HYCLUS_TEST_DATA") {
        Some(folder) => present(PathBuf::from(folder).join(name), "HYCLUS_TEST_DATA"),
        None => shared(&format!("data/{name}")),
    }
}

fn present(path: PathBuf, variable: &str) -> Option<PathBuf> {
    let there = path.exists();
    if !there {
        println!("skipped: {} is absent; set {variable}", path.display());
    }
    there.then(|| path.canonicalize().unwrap())
}

/// The one file below a data root whose name ends so.
pub fn only(out: &Path, ending: &str) -> PathBuf {
    let found: Vec<PathBuf> = files(out).into_values().filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "{ending} in {}: {found:?}", out.display());
    found.into_iter().next().unwrap()
}
