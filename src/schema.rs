//! Every name inside a sample's HDF5 file, once: writers and readers share them.
//!
//! The modules follow the tree of the file. A group's own name is a constant of the module of its parent.
//!
//! ```text
//! /                           entry
//! /entry                      title, times, the groups below                       module entry
//! /entry/reflectance          the cube on the common grid                          module grid
//! /entry/mean                 the mean spectrum and its uncertainty                module mean
//! /entry/minerals             the minerals of each pixel                           module minerals
//! /entry/<camera>_native      the cube on a camera's own grid                      module grid
//! /entry/sample               the sample's names, keys and footprint               modules sample, footprint
//! /entry/instrument/<camera>  the detector and its settings                        module detector
//! /entry/calibration/<camera> the references, or the scale                         module calibration
//! /entry/ledger/<camera>      the camera's lines on the sample                     module ledger
//! /entry/process              the program, its configuration and the encoder       module process
//! ```
//!
//! # Format versions
//!
//! Three kinds of files state the version of their format, each counted on its own from 1:
//!
//! | files | where | constant |
//! | --- | --- | --- |
//! | `samples/*.h5` | root attribute [`attribute::FORMAT_VERSION`], an integer | [`FORMAT_VERSION`] |
//! | `part-*.parquet` | key-value metadata `hyclus.format_version` | `publish::FORMAT_VERSION` |
//! | `scan.json` | key `format_version` | `ScanRecord::FORMAT_VERSION` |
//!
//! - A version is raised only when a reader of the version before would break. A new name that a reader may pass over raises nothing.
//! - A file that states no version has version 1.
//! - A program reads its own version and all older ones. It refuses a newer one with an error that says to update hyclus.
//! - `hyclus inspect` shows a newer HDF5 or Parquet file under a warning.
//! - A record of a newer format is logged and passed over where all scans are listed. A command that names the scan gives the error.
//! - `tests/formats/` keeps a scan of each version. `tests/formats/make.sh` adds the one of a raised version.

/// Format version of the HDF5 files that this program writes.
pub const FORMAT_VERSION: u32 = 1;

/// The name of the root group's only member.
pub(crate) const ENTRY: &str = "entry";

/// The path of what lies below `/entry`.
pub(crate) fn path<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().fold(format!("/{ENTRY}"), |path, name| format!("{path}/{name}"))
}

/// Names of attributes, wherever they stand.
pub(crate) mod attribute {
    // Of the root, beside the NeXus ones.
    pub(crate) const FORMAT_VERSION: &str = "hyclus_format_version";
    pub(crate) const CONVENTIONS: &str = "Conventions";
    pub(crate) const TITLE: &str = "title";
    pub(crate) const HISTORY: &str = "history";

    // NeXus.
    pub(crate) const CLASS: &str = "NX_class";
    pub(crate) const DEFAULT: &str = "default";
    pub(crate) const SIGNAL: &str = "signal";
    pub(crate) const AXES: &str = "axes";
    pub(crate) const INTERPRETATION: &str = "interpretation";

    /// The attribute that says which axis of the signal a dataset belongs to.
    pub(crate) fn indices(dataset: &str) -> String {
        format!("{dataset}_indices")
    }

    // CF.
    pub(crate) const UNITS: &str = "units";
    pub(crate) const UNITS_METADATA: &str = "units_metadata";
    pub(crate) const LONG_NAME: &str = "long_name";
    pub(crate) const STANDARD_NAME: &str = "standard_name";
    pub(crate) const CALENDAR: &str = "calendar";
    pub(crate) const FILL_VALUE: &str = "_FillValue";
    pub(crate) const COORDINATES: &str = "coordinates";
    pub(crate) const ANCILLARY: &str = "ancillary_variables";
    pub(crate) const FLAG_VALUES: &str = "flag_values";
    pub(crate) const FLAG_MASKS: &str = "flag_masks";
    pub(crate) const FLAG_MEANINGS: &str = "flag_meanings";

    // Uncertainties, as the Python package obsarray reads them.
    pub(crate) const UNC_COMPS: &str = "unc_comps";
    pub(crate) const PDF_SHAPE: &str = "pdf_shape";

    /// The attribute of uncertainty dimension `number`, from 1: `dim`, `form`, `params` or `units`.
    pub(crate) fn err_corr(number: usize, what: &str) -> String {
        format!("err_corr_{number}_{what}")
    }

    // Dimension scales of HDF5.
    pub(crate) const SCALE_CLASS: &str = "CLASS";
    pub(crate) const SCALE_NAME: &str = "NAME";
    pub(crate) const DIMENSION_LIST: &str = "DIMENSION_LIST";
    pub(crate) const REFERENCE_LIST: &str = "REFERENCE_LIST";
}

/// The field of an `NXcollection` that would have none, because NeXus asks for content.
pub(crate) const DESCRIPTION: &str = "description";

/// NeXus classes of groups.
pub(crate) mod class {
    pub(crate) const ROOT: &str = "NXroot";
    pub(crate) const ENTRY: &str = "NXentry";
    pub(crate) const DATA: &str = "NXdata";
    pub(crate) const SAMPLE: &str = "NXsample";
    pub(crate) const INSTRUMENT: &str = "NXinstrument";
    pub(crate) const DETECTOR: &str = "NXdetector";
    pub(crate) const PROCESS: &str = "NXprocess";
    pub(crate) const COLLECTION: &str = "NXcollection";
}

/// Below `/entry`.
pub(crate) mod entry {
    pub(crate) const TITLE: &str = "title";
    pub(crate) const IDENTIFIER: &str = "entry_identifier";
    pub(crate) const START_TIME: &str = "start_time";
    pub(crate) const END_TIME: &str = "end_time";
    pub(crate) const REFLECTANCE: &str = "reflectance";
    pub(crate) const MEAN: &str = "mean";
    pub(crate) const MINERALS: &str = "minerals";
    pub(crate) const SAMPLE: &str = "sample";
    pub(crate) const INSTRUMENT: &str = "instrument";
    pub(crate) const CALIBRATION: &str = "calibration";
    pub(crate) const LEDGER: &str = "ledger";
    pub(crate) const PROCESS: &str = "process";

    /// The group of a camera's own grid.
    pub(crate) fn native(camera: &str) -> String {
        format!("{camera}_native")
    }
}

/// Below `/entry/reflectance` and `/entry/<camera>_native`.
pub(crate) mod grid {
    pub(crate) const REFLECTANCE: &str = "reflectance";
    pub(crate) const MASK: &str = "mask";
    pub(crate) const QUALITY: &str = "quality";
    pub(crate) const LINE: &str = "line";
    pub(crate) const PIXEL: &str = "pixel";
    pub(crate) const WAVELENGTH: &str = "wavelength";
    pub(crate) const TIME: &str = "time";
    pub(crate) const FWHM: &str = "fwhm";

    /// Coefficients of the powers of reflectance in its variance by the noise of lines.
    pub(crate) const RANDOM_VARIANCE: [&str; 2] = ["random_variance_0", "random_variance_1"];
    /// Coefficients of the powers of reflectance in its variance by the noise of references.
    pub(crate) const COLUMN_VARIANCE: [&str; 3] = ["column_variance_0", "column_variance_1", "column_variance_2"];
    /// Relative standard uncertainty that all values have in common.
    pub(crate) const U_COMMON: &str = "u_common";
    /// Share of the variance of one line that a line of the cube has.
    pub(crate) const LINE_SQUARES: &str = "line_squares";
    /// Numbers of the cameras, and the camera of each band.
    pub(crate) const CAMERA: &str = "camera";
    pub(crate) const CAMERA_INDEX: &str = "camera_index";
    /// The attribute of the cube that says how these give the uncertainty of a value.
    pub(crate) const UNCERTAINTY: &str = "uncertainty";

    /// The axes of the cube, in order.
    pub(crate) const AXES: [&str; 3] = [LINE, PIXEL, WAVELENGTH];
}

/// Below `/entry/mean`.
pub(crate) mod mean {
    pub(crate) const REFLECTANCE: &str = "reflectance";
    pub(crate) const WAVELENGTH: &str = "wavelength";
    /// NeXus' name for the standard uncertainty of the signal.
    pub(crate) const ERRORS: &str = "reflectance_errors";
    pub(crate) const U_RANDOM: &str = "u_random";
    pub(crate) const U_COLUMN: &str = "u_column";
    pub(crate) const U_COMMON: &str = "u_common";
    pub(crate) const SNR: &str = "snr";
    pub(crate) const PIXELS: &str = "pixels";
    pub(crate) const VALID_NM: &str = "valid_nm";
}

/// Below `/entry/minerals`.
pub(crate) mod minerals {
    pub(crate) const LINE: &str = "line";
    pub(crate) const PIXEL: &str = "pixel";
    /// The axes of the maps, in order.
    pub(crate) const AXES: [&str; 2] = [LINE, PIXEL];
    pub(crate) const FEATURES: &str = "features";
    /// Number, name and unit of each feature, and its figures over the sample.
    pub(crate) const FEATURE: &str = "feature";
    pub(crate) const NAME: &str = "name";
    pub(crate) const UNIT: &str = "unit";
    pub(crate) const MEDIAN: &str = "median";
    pub(crate) const SPREAD: &str = "spread";

    /// What the groups tell of a mineral.
    pub(crate) const GROUPS: [&str; 2] = ["electronic, VNIR", "vibrational, SWIR"];

    // Attributes of the group.
    pub(crate) const LIBRARY: &str = "library";
    pub(crate) const LIBRARY_SHA256: &str = "library_sha256";
    pub(crate) const METHOD: &str = "method";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const PIXELS: &str = "pixels";
    pub(crate) const NOT_IDENTIFIED: &str = "not_identified";

    // Attributes of a map of minerals: the share of each code, and its interval.
    pub(crate) const SHARE: &str = "share";
    pub(crate) const SHARE_LOW: &str = "share_low";
    pub(crate) const SHARE_HIGH: &str = "share_high";

    /// The mineral of a group, 1 or 2.
    pub(crate) fn winner(group: usize) -> String {
        format!("winner_{group}")
    }

    /// Its score.
    pub(crate) fn score(group: usize) -> String {
        format!("score_{group}")
    }

    /// The second best mineral of a group.
    pub(crate) fn runner_up(group: usize) -> String {
        format!("runner_up_{group}")
    }

    /// Its score.
    pub(crate) fn runner_up_score(group: usize) -> String {
        format!("runner_up_score_{group}")
    }
}

/// Below `/entry/sample`.
pub(crate) mod sample {
    pub(crate) const NAME: &str = "name";
    pub(crate) const CONTAINER: &str = "container";
    pub(crate) const TRAY: &str = "tray";
    pub(crate) const FOOTPRINT: &str = "footprint";
    pub(crate) const VARS: &str = "vars";
    /// The attribute that lists the sample keys.
    pub(crate) const KEYS: &str = "keys";
    /// The attribute that lists what is doubtful.
    pub(crate) const DOUBTS: &str = "doubts";

    /// The attribute of `vars` for a number that has no name.
    pub(crate) const UNNAMED: &str = "unnamed";

    /// The dataset of a sample key: its own name, unless the group has that already.
    pub(crate) fn key(key: &str) -> String {
        if [NAME, CONTAINER, TRAY, FOOTPRINT, VARS].contains(&key) { format!("{key}_") } else { key.to_owned() }
    }
}

/// Below `/entry/sample/footprint`.
pub(crate) mod footprint {
    pub(crate) const X: &str = "x";
    pub(crate) const Y: &str = "y";
    pub(crate) const WIDTH: &str = "width";
    pub(crate) const LENGTH: &str = "length";
    pub(crate) const SHAPE: &str = "shape";
    pub(crate) const SOURCE: &str = "source";
}

/// Below `/entry/instrument/<camera>`.
pub(crate) mod detector {
    pub(crate) const LOCAL_NAME: &str = "local_name";
    pub(crate) const MODEL: &str = "model";
    pub(crate) const SERIAL_NUMBER: &str = "serial_number";
    pub(crate) const COUNT_TIME: &str = "count_time";
    pub(crate) const FRAME_RATE: &str = "frame_rate";
    pub(crate) const BINNING_SPATIAL: &str = "binning_spatial";
    pub(crate) const BINNING_SPECTRAL: &str = "binning_spectral";
    pub(crate) const PIXELS: &str = "pixels";
    pub(crate) const SATURATION_VALUE: &str = "saturation_value";
    pub(crate) const VALUES: &str = "values";
    pub(crate) const WAVELENGTH: &str = "wavelength";
    pub(crate) const FWHM: &str = "fwhm";

    // Figures under the names of EMVA 1288.
    pub(crate) const SYSTEM_GAIN: &str = "overall_system_gain";
    pub(crate) const SYSTEM_GAIN_U: &str = "standard_uncertainty";
    pub(crate) const DARK_NOISE: &str = "temporal_dark_noise";
    pub(crate) const DSNU: &str = "dsnu";
    pub(crate) const SATURATION_CAPACITY: &str = "saturation_capacity";
    pub(crate) const DYNAMIC_RANGE: &str = "dynamic_range";
    pub(crate) const SNR_MAX: &str = "snr_max";

    /// The signal-to-noise ratio of each band at a level.
    pub(crate) fn snr(level: &str) -> String {
        format!("snr_{level}")
    }
}

/// Below `/entry/calibration/<camera>`.
pub(crate) mod calibration {
    pub(crate) const KIND: &str = "kind";
    pub(crate) const SCALE: &str = "scale";
    pub(crate) const IGNORE: &str = "ignore";
    pub(crate) const PIXEL: &str = "pixel";
    pub(crate) const WAVELENGTH: &str = "wavelength";
    pub(crate) const DARK: &str = "dark";
    pub(crate) const DARK_SD: &str = "dark_sd";
    pub(crate) const WHITE: &str = "white";
    pub(crate) const WHITE_SD: &str = "white_sd";
    pub(crate) const BAD_PIXEL: &str = "bad_pixel";
    pub(crate) const DARK_AFTER: &str = "dark_after";
    pub(crate) const LIGHT_CHANGE: &str = "light_change";
    pub(crate) const WHITE_DARK: &str = "white_dark";
    pub(crate) const PANEL_REFLECTANCE: &str = "panel_reflectance";
    /// Attribute of the panel's reflectance: the light on the panel over that on the samples, which it holds.
    pub(crate) const HEIGHT_FACTOR: &str = "height_factor";
    pub(crate) const PANEL_EVENNESS: &str = "panel_evenness";
    pub(crate) const PANEL_UNCERTAINTY: &str = "panel_uncertainty";
    pub(crate) const PANEL_CERTIFICATE: &str = "panel_certificate";
    pub(crate) const PANEL_CERTIFICATE_SHA256: &str = "panel_certificate_sha256";

    /// What the calibration undid, as attributes of the group.
    pub(crate) const WAVELENGTH_SHIFT_NM: &str = "wavelength_shift_nm";
    pub(crate) const SMILE_NM: &str = "smile_nm";
    pub(crate) const LINEARITY: &str = "linearity";
    pub(crate) const STRAY_LIGHT: &str = "stray_light";
    pub(crate) const KEYSTONE_PX: &str = "keystone_px";
    pub(crate) const YAW_DEG: &str = "yaw_deg";
    /// Attribute of the group.
    pub(crate) const LEVEL: &str = "level";

    // Attributes of a reference.
    pub(crate) const TIME: &str = "time";
    pub(crate) const FRAMES: &str = "frames";
    pub(crate) const EXPOSURE_US: &str = "exposure_us";
    pub(crate) const FRAME_RATE_HZ: &str = "frame_rate_hz";
    pub(crate) const BINNING: &str = "binning";
    pub(crate) const TEMPERATURE_C: &str = "temperature_c";
    /// Of the dark after the scan: the times between which the dark level is interpolated.
    pub(crate) const INTERPOLATED: &str = "interpolated";
}

/// Below `/entry/ledger/<camera>`: datasets with one value per line.
pub(crate) mod ledger {
    pub(crate) const FRAME: &str = "frame";
    pub(crate) const TIME: &str = "time";
    pub(crate) const DEVICE_TIME: &str = "device_time";
    pub(crate) const POSITION: &str = "position";
    pub(crate) const Y: &str = "y";
    pub(crate) const EXPOSURE: &str = "exposure";
    pub(crate) const TEMPERATURE: &str = "temperature";
    pub(crate) const STATUS: &str = "status";
}

/// Below `/entry/process`.
pub(crate) mod process {
    pub(crate) const PROGRAM: &str = "program";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const COMMIT: &str = "commit";
    pub(crate) const SCAN: &str = "scan";
    pub(crate) const CONFIGURATION: &str = "configuration";
    pub(crate) const CONFIGURATION_SHA256: &str = "configuration_sha256";
    pub(crate) const ENCODER: &str = "encoder";
    pub(crate) const ENCODER_SHA256: &str = "encoder_sha256";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_key_takes_no_name_of_its_group() {
        assert_eq!([sample::key("plant"), sample::key("name"), sample::key("vars")], ["plant", "name_", "vars_"]);
    }

    #[test]
    fn a_path_starts_at_the_entry() {
        assert_eq!(path([]), "/entry");
        assert_eq!(path([&*entry::native("vnir"), grid::LINE]), "/entry/vnir_native/line");
    }
}
