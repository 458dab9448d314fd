//! Keys and values as a [`Header`].

use super::encoding::{ByteOrder, DataType, Interleave};
use super::error::{HeaderError, Warning};
use super::header::Header;
use super::text::{Entry, entries, inner, parts, shorten};

/// Wavelengths below this are µm, those above nm. No optical wavelength is below 100 nm, or above 100 µm.
const LARGEST_UM: f64 = 100.0;

/// The entries that are not taken yet.
struct Keys {
    entries: Vec<Entry>,
}

impl Keys {
    /// Takes a key out. One without a value counts as absent.
    fn take(&mut self, key: &str) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(place)).filter(|entry| !inner(&entry.value).is_empty())
    }

    fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn need(&mut self, key: &'static str) -> Result<Entry, HeaderError> {
        self.take(key).ok_or(HeaderError::Missing { key })
    }

    fn size(&mut self, key: &'static str, least: usize, expected: &'static str) -> Result<usize, HeaderError> {
        let entry = self.need(key)?;
        let size = inner(&entry.value).parse().ok().filter(|size| *size >= least);
        size.ok_or_else(|| wrong(key, &entry, expected))
    }

    fn number(&mut self, key: &'static str, positive: bool) -> Result<Option<f64>, HeaderError> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        let expected = if positive { "a positive number" } else { "a number" };
        let value: f64 = inner(&entry.value).parse().map_err(|_| wrong(key, &entry, expected))?;
        if positive && !(value.is_finite() && value > 0.0) { Err(wrong(key, &entry, expected)) } else { Ok(Some(value)) }
    }

    /// One finite number for each band.
    fn per_band(&mut self, key: &'static str, bands: usize) -> Result<Option<Vec<f64>>, HeaderError> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        let values = parts(&entry.value)
            .map(|part| part.parse().ok().filter(|value: &f64| value.is_finite()))
            .collect::<Option<Vec<f64>>>()
            .ok_or_else(|| wrong(key, &entry, "a list of numbers"))?;
        if values.len() != bands {
            return Err(HeaderError::Count { key, bands, found: values.len() });
        }
        Ok(Some(values))
    }

    /// One factor for each band. A factor of zero would leave nothing of the numbers.
    fn gains(&mut self, key: &'static str, bands: usize) -> Result<Option<Vec<f64>>, HeaderError> {
        let Some(entry) = self.find(key).cloned() else { return Ok(None) };
        let gains = self.per_band(key, bands)?;
        let zero = gains.iter().flatten().any(|gain| *gain == 0.0);
        if zero { Err(wrong(key, &entry, "a list of factors other than zero")) } else { Ok(gains) }
    }

    /// `bbl`, the multiplier of each band: 1 for a good one, 0 for a bad one.
    fn good_bands(&mut self, bands: usize) -> Result<Option<Vec<bool>>, HeaderError> {
        let (key, expected) = ("bbl", "a list of 1 (good band) and 0 (bad band)");
        let Some(entry) = self.find(key).cloned() else { return Ok(None) };
        let Some(values) = self.per_band(key, bands)? else { return Ok(None) };
        let sound = values.iter().all(|value| *value == 0.0 || *value == 1.0);
        if sound { Ok(Some(values.iter().map(|value| *value != 0.0).collect())) } else { Err(wrong(key, &entry, expected)) }
    }

    /// A list that reading does not depend on. A malformed one stays among the other keys.
    fn whole_numbers(&mut self, key: &'static str, wanted: Option<usize>, warnings: &mut Vec<Warning>) -> Option<Vec<u32>> {
        let entry = self.find(key)?;
        let expected = "a list of whole numbers";
        match parts(&entry.value).map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>() {
            Some(values) if !values.is_empty() && wanted.is_none_or(|wanted| wanted == values.len()) => {
                self.take(key);
                Some(values)
            }
            _ => {
                warnings.push(Warning::NotUnderstood { key, line: entry.line, value: shorten(&entry.value), expected });
                None
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).map(|entry| inner(&entry.value).to_owned())
    }
}

fn wrong(key: &'static str, entry: &Entry, expected: &'static str) -> HeaderError {
    HeaderError::Value { key, line: entry.line, value: shorten(&entry.value), expected }
}

impl Header {
    /// Reads a header's text. Returns the doubts about it too.
    ///
    /// # Errors
    /// [`HeaderError`] with the key that is missing or makes no sense, and its line.
    pub fn parse(text: &str) -> Result<(Self, Vec<Warning>), HeaderError> {
        let mut warnings = Vec::new();
        let mut keys = Keys { entries: entries(text, &mut warnings)? };
        let samples = keys.size("samples", 1, "a whole number from 1")?;
        let lines = keys.size("lines", 0, "a whole number")?;
        let bands = keys.size("bands", 1, "a whole number from 1")?;
        let mut header = Self::new(samples, lines, bands, data_type(&mut keys)?, interleave(&mut keys)?);
        header.byte_order = byte_order(&mut keys, header.data_type, &mut warnings)?;
        if let Some(entry) = keys.take("header offset") {
            header.header_offset = inner(&entry.value).parse().map_err(|_| wrong("header offset", &entry, "a whole number of bytes"))?;
        }
        if let Some(file_type) = keys.text("file type") {
            header.file_type = file_type;
        }
        header.description = keys.text("description");
        header.sensor_type = keys.text("sensor type");
        header.errors = keys.text("errors").filter(|errors| !errors.eq_ignore_ascii_case("none"));
        header.fps = keys.number("fps", true)?;
        header.tint_ms = keys.number("tint", true)?;
        header.reflectance_scale = keys.number("reflectance scale factor", true)?;
        header.data_ignore = keys.number("data ignore value", false)?;
        header.gain = keys.gains("data gain values", bands)?;
        header.offset = keys.per_band("data offset values", bands)?;
        header.reflectance_gain = keys.gains("data reflectance gain values", bands)?;
        header.reflectance_offset = keys.per_band("data reflectance offset values", bands)?;
        header.good_bands = keys.good_bands(bands)?;
        header.binning = keys.whole_numbers("binning", Some(2), &mut warnings).map(|values| (values[0], values[1]));
        header.default_bands = keys.whole_numbers("default bands", None, &mut warnings);
        wavelengths(&mut keys, &mut header, &mut warnings)?;
        header.other = keys.entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        Ok((header, warnings))
    }
}

fn data_type(keys: &mut Keys) -> Result<DataType, HeaderError> {
    let entry = keys.need("data type")?;
    let code: Option<u32> = inner(&entry.value).parse().ok();
    DataType::ALL
        .into_iter()
        .find(|kind| Some(kind.code()) == code)
        .ok_or_else(|| wrong("data type", &entry, "one of 1, 2, 3, 4, 5, 12 and 13"))
}

fn interleave(keys: &mut Keys) -> Result<Interleave, HeaderError> {
    let entry = keys.need("interleave")?;
    [Interleave::Bil, Interleave::Bip, Interleave::Bsq]
        .into_iter()
        .find(|order| inner(&entry.value).eq_ignore_ascii_case(order.word()))
        .ok_or_else(|| wrong("interleave", &entry, "one of bil, bip and bsq"))
}

fn byte_order(keys: &mut Keys, data_type: DataType, warnings: &mut Vec<Warning>) -> Result<ByteOrder, HeaderError> {
    let Some(entry) = keys.take("byte order") else {
        if data_type.bytes() > 1 {
            warnings.push(Warning::NoByteOrder);
        }
        return Ok(ByteOrder::Little);
    };
    match inner(&entry.value) {
        "0" => Ok(ByteOrder::Little),
        "1" => Ok(ByteOrder::Big),
        _ => Err(wrong("byte order", &entry, "0 (little endian) or 1 (big endian)")),
    }
}

fn wavelengths(keys: &mut Keys, header: &mut Header, warnings: &mut Vec<Warning>) -> Result<(), HeaderError> {
    let mut centres = keys.per_band("wavelength", header.bands)?;
    let mut widths = keys.per_band("fwhm", header.bands)?;
    let Some(measured) = centres.as_deref().or(widths.as_deref()) else { return Ok(()) };
    let units = keys.take("wavelength units");
    let line = units.as_ref().map_or(0, |entry| entry.line);
    let factor = match units.as_ref().map(|entry| inner(&entry.value).to_lowercase()).as_deref() {
        Some("nm" | "nanometer" | "nanometers" | "nanometre" | "nanometres") => 1.0,
        Some("um" | "\u{b5}m" | "\u{3bc}m" | "micrometer" | "micrometers" | "micrometre" | "micrometres" | "micron" | "microns") => 1000.0,
        None | Some("unknown") => {
            let largest = measured.iter().copied().fold(f64::MIN, f64::max);
            // A width alone tells less. No hyperspectral camera has bands wider than 100 nm or narrower than 0.1 nm.
            let limit = if centres.is_some() { LARGEST_UM } else { 0.1 };
            let (taken, factor) = if largest < limit { ("um", 1000.0) } else { ("nm", 1.0) };
            warnings.push(Warning::UnitsGuessed { taken, largest });
            factor
        }
        Some(_) => {
            let value = units.as_ref().map_or_else(String::new, |entry| shorten(&entry.value));
            return Err(HeaderError::Value { key: "wavelength units", line, value, expected: "nm, nanometers, um or micrometers" });
        }
    };
    if factor != 1.0 {
        for list in [&mut centres, &mut widths].into_iter().flatten() {
            list.iter_mut().for_each(|value| *value *= factor);
            if let Some(value) = list.iter().find(|value| !value.is_finite()) {
                return Err(HeaderError::Value {
                    key: "wavelength",
                    line,
                    value: value.to_string(),
                    expected: "numbers of a size that light has",
                });
            }
        }
    }
    if let Some(centres) = &centres
        && let Some(place) = centres.windows(2).position(|pair| pair[1] <= pair[0])
    {
        warnings.push(Warning::NotIncreasing { band: place + 2, wavelength_nm: centres[place + 1], before_nm: centres[place] });
    }
    (header.wavelengths_nm, header.fwhm_nm) = (centres, widths);
    Ok(())
}
