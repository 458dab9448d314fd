//! Headers in every way of writing.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod written;

use replay::envi::{ByteOrder, DataType, Header, HeaderError, Interleave, Warning};
use written::header;

const REST: &str = "interleave = bil\ndata type = 12\nbyte order = 0\n";

fn parse(text: &str) -> (Header, Vec<Warning>) {
    Header::parse(text).unwrap()
}

fn clean(text: &str) -> Header {
    let (header, warnings) = parse(text);
    assert_eq!(warnings, []);
    header
}

fn fault(text: &str) -> HeaderError {
    Header::parse(text).unwrap_err()
}

#[test]
fn keys_come_in_any_case_and_order_with_any_end_of_line() {
    let header = clean(
        "ENVI\r\nFWHM={ 5,\r\n 6 }\r\nWavelength = {\r\n400.5,\r\n; a remark\r\n500.25\r\n}\r\nBYTE ORDER = 0\r\nData  Type = 12\r\n\
         Interleave=BiL\r\nBands = 2\r\n; a remark\r\nLINES = 3\r\nSamples = 4\r\nWavelength Units = Nanometers\r\n\r\n",
    );
    assert_eq!((header.samples, header.lines, header.bands), (4, 3, 2));
    assert_eq!((header.data_type, header.interleave, header.byte_order), (DataType::U16, Interleave::Bil, ByteOrder::Little));
    assert_eq!(header.wavelengths_nm, Some(vec![400.5, 500.25]));
    assert_eq!(header.fwhm_nm, Some(vec![5.0, 6.0]));
    assert_eq!(header.header_offset, 0);
    assert!(header.other.is_empty());
}

#[test]
fn every_known_key_is_read_and_every_other_is_kept() {
    let header = clean(&header(
        4,
        3,
        2,
        &format!(
            "{REST}description = {{\nFile Imported {{by}} hand}}\nfile type = ENVI Standard\nsensor type = FX10\nheader offset = 128\nfps = 50.0\n\
             tint = 2.5\nbinning = {{4, 2}}\nreflectance scale factor = 10000\ndata ignore value = -9999\nbbl = {{1, 0}}\n\
             errors = {{dropped 3}}\ndefault bands = {{2, 1, 1}}\nSCB  temperature = 28.19\nMap Info = {{a, b,\n c}}"
        ),
    ));
    assert_eq!(header.description.as_deref(), Some("File Imported {by} hand"));
    assert_eq!(header.file_type, "ENVI Standard");
    assert_eq!(header.sensor_type.as_deref(), Some("FX10"));
    assert_eq!(header.header_offset, 128);
    assert_eq!((header.fps, header.tint_ms, header.binning), (Some(50.0), Some(2.5), Some((4, 2))));
    assert_eq!((header.reflectance_scale, header.data_ignore), (Some(10_000.0), Some(-9999.0)));
    assert_eq!(header.good_bands, Some(vec![true, false]));
    assert_eq!(header.errors.as_deref(), Some("dropped 3"));
    assert_eq!(header.default_bands, Some(vec![2, 1, 1]));
    let kept = [("scb temperature", "28.19"), ("map info", "{a, b,\nc}")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(header.other, kept);
    assert_eq!(header.get("Map  info"), Some("{a, b,\nc}"));
    assert_eq!(header.data_bytes(), Some(128 + 4 * 3 * 2 * 2));
}

#[test]
fn a_band_is_good_or_bad_and_nothing_else() {
    let with = |list: &str| header(4, 3, 3, &format!("{REST}bbl = {{{list}}}"));
    for (list, expected) in [("1, 0, 1", [true, false, true]), ("1.0 0.0 1.000", [true, false, true]), ("0,0,0", [false; 3])] {
        assert_eq!(clean(&with(list)).good_bands, Some(expected.to_vec()));
    }
    for list in ["1, 0.5, 1", "1, 2, 1", "1, -1, 1"] {
        assert!(matches!(fault(&with(list)), HeaderError::Value { key: "bbl", .. }), "{list}");
    }
    for list in ["1, 0", "1, 0, 1, 1"] {
        assert!(matches!(fault(&with(list)), HeaderError::Count { key: "bbl", bands: 3, .. }), "{list}");
    }
}

#[test]
fn gains_and_offsets_are_one_number_for_each_band() {
    let header = |line: &str| header(4, 3, 2, &format!("{REST}{line}"));
    let read = clean(&header("data gain values = {2, 0.5}\ndata offset values = {-1, 0}\ndata reflectance gain values = {1e-4\n, 2e-4}"));
    assert_eq!((read.gain, read.offset), (Some(vec![2.0, 0.5]), Some(vec![-1.0, 0.0])));
    assert_eq!((read.reflectance_gain, read.reflectance_offset), (Some(vec![1e-4, 2e-4]), None));
    assert!(matches!(fault(&header("data gain values = {2}")), HeaderError::Count { key: "data gain values", .. }));
    assert!(matches!(fault(&header("data gain values = {2, 0}")), HeaderError::Value { key: "data gain values", .. }));
    assert!(matches!(fault(&header("data offset values = {2, nan}")), HeaderError::Value { key: "data offset values", .. }));
}

#[test]
fn a_million_lines_of_nonsense_take_no_longer_than_they_are() {
    let start = std::time::Instant::now();
    let different: String = (0..400_000).map(|n| format!("key {n} = {n}\n")).collect();
    let (read, warnings) = parse(&header(4, 3, 2, &format!("{REST}{different}{different}{}", "no key\n".repeat(200_000))));
    assert_eq!((read.get("key 399999"), read.get("key 0")), (Some("399999"), Some("0")));
    assert_eq!((warnings.len(), warnings.last()), (21, Some(&Warning::More { count: 600_000 - 20 })));
    let list = vec!["1.5"; 1_000_000].join(", ");
    let one = fault(&header(4, 3, 2, &format!("{REST}data gain values = {{{list}}}")));
    assert!(matches!(one, HeaderError::Count { found: 1_000_000, .. }), "{one}");
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn no_errors_is_no_error() {
    for none in ["errors = {none}", "errors = {None}", "errors = {}", ""] {
        assert_eq!(clean(&header(4, 3, 2, &format!("{REST}{none}"))).errors, None);
    }
}

#[test]
fn byte_order_is_read_or_guessed_with_a_warning() {
    let with = |order: &str| parse(&header(4, 3, 2, &format!("interleave = bil\ndata type = 12\n{order}")));
    assert_eq!(with("byte order = 1"), (Header { byte_order: ByteOrder::Big, ..with("byte order = 0").0 }, vec![]));
    assert_eq!(with("byte order = 0").0.byte_order, ByteOrder::Little);
    let (absent, warnings) = with("");
    assert_eq!((absent.byte_order, warnings), (ByteOrder::Little, vec![Warning::NoByteOrder]));
    let wrong = fault(&header(4, 3, 2, "interleave = bil\ndata type = 12\nbyte order = 2"));
    assert!(matches!(wrong, HeaderError::Value { key: "byte order", line: 9, .. }), "{wrong}");
}

#[test]
fn interleave_and_data_type_come_in_every_kind() {
    let words = [("BIL", Interleave::Bil), ("bip", Interleave::Bip), ("Bsq", Interleave::Bsq)];
    for (word, expected) in words {
        let text = header(4, 3, 2, &format!("interleave = {word}\ndata type = 4\nbyte order = 0"));
        assert_eq!(clean(&text).interleave, expected);
    }
    let kinds = [
        (1, DataType::U8, 1),
        (2, DataType::I16, 2),
        (3, DataType::I32, 4),
        (4, DataType::F32, 4),
        (5, DataType::F64, 8),
        (12, DataType::U16, 2),
        (13, DataType::U32, 4),
    ];
    for (code, expected, bytes) in kinds {
        let text = header(4, 3, 2, &format!("interleave = bil\ndata type = {code}\nbyte order = 0"));
        assert_eq!(clean(&text).data_type, expected);
        assert_eq!((expected.code(), expected.bytes()), (code, bytes));
    }
    for code in ["6", "14", "u16", "-1"] {
        let text = header(4, 3, 2, &format!("interleave = bil\ndata type = {code}\nbyte order = 0"));
        assert!(matches!(fault(&text), HeaderError::Value { key: "data type", .. }));
    }
}

#[test]
fn a_key_that_is_needed_is_named() {
    let whole = format!("ENVI\nsamples = 4\nlines = 3\nbands = 2\n{REST}");
    clean(&whole);
    for key in ["samples", "lines", "bands", "interleave", "data type"] {
        let without: String = whole.lines().filter(|line| !line.starts_with(key)).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(fault(&without), HeaderError::Missing { key }, "{without}");
    }
    assert_eq!(fault("ENVI\n").to_string(), "the header lacks `samples`; add it");
}

#[test]
fn lists_are_as_long_as_there_are_bands() {
    for key in ["wavelength", "fwhm", "bbl"] {
        let text = format!("ENVI\nsamples = 4\nlines = 3\nbands = 2\n{REST}wavelength units = nm\n{key} = {{1, 2, 3}}");
        assert_eq!(fault(&text), HeaderError::Count { key, bands: 2, found: 3 });
    }
}

#[test]
fn wavelengths_become_nanometres() {
    let with = |wavelengths: &str, units: &str| {
        parse(&format!("ENVI\nsamples = 4\nlines = 3\nbands = 2\n{REST}wavelength = {{{wavelengths}}}\nfwhm = {{0.01, 0.02}}\n{units}"))
    };
    for units in ["nm", "NM", "Nanometers", "{nm}"] {
        assert_eq!(with("400, 2500", &format!("wavelength units = {units}")).0.wavelengths_nm, Some(vec![400.0, 2500.0]));
    }
    for units in ["um", "Micrometers", "\u{b5}m", "microns"] {
        let (header, warnings) = with("0.5 2.5", &format!("wavelength units = {units}"));
        assert_eq!((header.wavelengths_nm, header.fwhm_nm, warnings), (Some(vec![500.0, 2500.0]), Some(vec![10.0, 20.0]), vec![]));
    }
    for units in ["", "wavelength units = Unknown", "wavelength units ="] {
        let (header, warnings) = with("0.5, 2.5", units);
        assert_eq!(header.wavelengths_nm, Some(vec![500.0, 2500.0]));
        assert_eq!(warnings, [Warning::UnitsGuessed { taken: "um", largest: 2.5 }]);
        let (header, warnings) = with("500, 2500", units);
        assert_eq!(header.wavelengths_nm, Some(vec![500.0, 2500.0]));
        assert_eq!(warnings, [Warning::UnitsGuessed { taken: "nm", largest: 2500.0 }]);
    }
    let wavenumbers = format!("ENVI\nsamples = 4\nlines = 3\nbands = 1\n{REST}wavelength = {{4000}}\nwavelength units = Wavenumber");
    assert!(matches!(fault(&wavenumbers), HeaderError::Value { key: "wavelength units", line: 9, .. }));
    let (_, warnings) = with("700, 650", "wavelength units = nm");
    assert_eq!(warnings, [Warning::NotIncreasing { band: 2, wavelength_nm: 650.0, before_nm: 700.0 }]);
}

#[test]
fn what_cannot_be_a_header_is_refused_with_its_line() {
    assert!(matches!(fault(""), HeaderError::NotEnvi { .. }));
    assert!(matches!(fault("PNG\nsamples = 1"), HeaderError::NotEnvi { .. }));
    let cut = format!("ENVI\nsamples = 4\nlines = 3\nbands = 2\n{REST}wavelength = {{400,\n500");
    assert_eq!(fault(&cut), HeaderError::Unclosed { key: "wavelength".to_owned(), line: 8 });
    for (key, value) in [("samples", "0"), ("bands", "0"), ("samples", "-4"), ("lines", "many"), ("samples", "1e3")] {
        let text = format!("ENVI\n{key} = {value}\nsamples = 4\nlines = 3\nbands = 2\n{REST}");
        let first: Vec<&str> = text.lines().enumerate().filter(|(i, l)| *i < 2 || !l.starts_with(key)).map(|(_, l)| l).collect();
        let wrong = fault(&first.join("\n"));
        assert!(matches!(&wrong, HeaderError::Value { key: k, line: 2, .. } if *k == key), "{wrong}");
    }
    for wrong in ["fps = 0", "fps = fast", "tint = -1", "reflectance scale factor = 0", "header offset = -1", "wavelength = {a, b}"] {
        let text = format!("ENVI\nsamples = 4\nlines = 3\nbands = 2\n{REST}{wrong}");
        assert!(matches!(fault(&text), HeaderError::Value { line: 8, .. }), "{wrong}");
    }
}

#[test]
fn doubts_are_told_and_nothing_is_lost() {
    let (header, warnings) = parse(&header(4, 3, 2, &format!("{REST}binning = {{2}}\nno key here\nfps = 20\nfps = 30\n= 5")));
    assert_eq!((header.fps, header.binning, header.get("binning")), (Some(30.0), None, Some("{2}")));
    let messages: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "line 11 is no `key = value`; passed over",
            "line 13: `fps` comes again; the last one counts",
            "line 14 is no `key = value`; passed over",
            "line 10: `binning = {2}` is not a list of whole numbers; kept as text only",
        ]
    );
}

#[test]
fn the_exposure_of_a_camera_with_two_detectors_is_that_of_the_first() {
    let header = clean(&header(4, 3, 2, &format!("{REST}tint1 = 28.000000\ntint2 = 7.9992")));
    assert_eq!((header.tint_ms, header.exposure_ms()), (None, Some(28.0)));
}

#[test]
fn what_is_written_has_the_keys_that_others_look_for() {
    let mut header = Header::new(4, 3, 2, DataType::U16, Interleave::Bil);
    header.wavelengths_nm = Some(vec![400.0, 410.5]);
    header.fps = Some(50.0);
    header.tint_ms = Some(2.0);
    header.binning = Some((1, 2));
    header.default_bands = Some(vec![2, 1, 1]);
    header.sensor_type = Some("FX10".to_owned());
    let mut text = Vec::new();
    header.write(&mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "ENVI\nfile type = ENVI\nsensor type = FX10\nsamples = 4\nlines = 3\nbands = 2\nerrors = {none}\ninterleave = bil\ndata type = 12\n\
         header offset = 0\nbyte order = 0\ndefault bands = {2, 1, 1}\nfps = 50\ntint = 2\nbinning = {1, 2}\nwavelength units = nm\n\
         wavelength = {\n400,\n410.5\n}\n"
    );
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![0.001..1e6_f64, Just(1e-300), Just(1e300)]
    }

    prop_compose! {
        fn any_header()(
            shape in (1..10_000_usize, 0..100_000_usize, 1..20_usize),
            kinds in (0..7_usize, 0..3_usize, any::<bool>(), any::<u64>()),
            texts in proptest::option::of(("[a-zA-Z{};=, ]{0,20}[a-z]", "[a-zA-Z{};=,]{1,20}", "[a-z;{} ]{0,9}[b-d](\n[a-z;{}]{1,5}){0,3}")),
            numbers in proptest::option::of((number(), number(), any::<(u32, u32)>(), number(), -1e5..1e5_f64)),
            lists in proptest::option::of((any::<u64>(), proptest::collection::vec(any::<u32>(), 1..4), 300.0..400.0_f64, 0.1..30.0_f64)),
            other in proptest::collection::btree_map("x[a-z0-9]{0,5}( [a-z]{1,5})?", "[a-zA-Z0-9{};=,.:]{0,20}", 0..5),
        ) -> Header {
            let (samples, lines, bands) = shape;
            let order = [Interleave::Bil, Interleave::Bip, Interleave::Bsq][kinds.1];
            let mut header = Header::new(samples, lines, bands, DataType::ALL[kinds.0], order);
            header.byte_order = if kinds.2 { ByteOrder::Big } else { ByteOrder::Little };
            header.header_offset = kinds.3;
            if let Some((description, sensor, errors)) = texts {
                header.description = Some(description.trim().to_owned());
                header.sensor_type = Some(sensor);
                header.errors = Some(errors.trim().to_owned());
            }
            if let Some((fps, tint, binning, scale, ignore)) = numbers {
                (header.fps, header.tint_ms, header.binning) = (Some(fps), Some(tint), Some(binning));
                (header.reflectance_scale, header.data_ignore) = (Some(scale), Some(ignore));
            }
            if let Some((good, default_bands, first, step)) = lists {
                header.good_bands = Some((0..bands).map(|band| good >> band & 1 == 1).collect());
                header.default_bands = Some(default_bands);
                header.wavelengths_nm = Some((0..bands).map(|band| first + step * band as f64).collect());
                header.fwhm_nm = Some(vec![step; bands]);
            }
            header.other = other.into_iter().collect();
            header
        }
    }

    /// A header for comparison. Its texts are on one line, the rest is exact.
    fn on_one_line(mut header: Header) -> Header {
        for text in [&mut header.description, &mut header.errors, &mut header.sensor_type].into_iter().flatten() {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        for (_, value) in &mut header.other {
            *value = value.trim_start_matches('{').trim_end_matches('}').to_owned();
        }
        header
    }

    fn round(header: &Header) -> Header {
        let mut text = Vec::new();
        header.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        Header::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).0
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = Header::parse(&text);
            let _ = Header::parse(&format!("ENVI\n{text}"));
        }

        #[test]
        fn no_mixture_of_keys_makes_the_reader_panic(
            lines in proptest::collection::vec(("samples|lines|bands|data type|interleave|byte order|wavelength|fwhm|bbl|binning|wavelength units|errors|fps|default bands", " = ?", "[0-9{},. a-z\n-]{0,12}|bil|12|\\{1,2\\}|nm"), 0..20)
        ) {
            let text: String = lines.iter().map(|(key, equals, value)| format!("{key}{equals}{value}\n")).collect();
            let _ = Header::parse(&format!("ENVI\n{text}"));
            let _ = Header::parse(&format!("ENVI\nsamples=2\nlines=2\nbands=1\ndata type=12\ninterleave=bil\n{text}"));
        }

        #[test]
        fn what_was_written_is_read_again(header in any_header()) {
            let read = round(&header);
            prop_assert_eq!(on_one_line(read.clone()), on_one_line(header));
            // A header that was read once stays exactly the same.
            prop_assert_eq!(round(&read), read);
        }
    }
}
