//! The bands that readers want to see.

use arrayvec::ArrayVec;
use std::collections::BTreeMap;

/// Most bands of one source that the tap gives.
pub const MOST_BANDS: usize = 12;

/// Longest list of sources.
const MOST_SOURCES: usize = 16;

/// Bands of one source.
pub type Bands = ArrayVec<u16, MOST_BANDS>;

/// The bands that a reader wants, by source. A source that is not named gives the bands of its natural picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes(pub BTreeMap<String, Bands>);

/// A list of wishes that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a list of bands: {problem}; write bands=vnir:10,20,30;grid:5, with at most {MOST_BANDS} bands of a source")]
pub struct WishError {
    text: String,
    problem: &'static str,
}

impl Wishes {
    /// Reads `vnir:10,20,30;grid:5`.
    ///
    /// # Errors
    /// The text has another form, or names too many bands.
    pub fn parse(text: &str) -> Result<Self, WishError> {
        let wrong = |problem| WishError { text: text.chars().take(200).collect(), problem };
        let mut wishes = BTreeMap::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (source, list) = part.split_once(':').ok_or_else(|| wrong("a source and its bands are parted by `:`"))?;
            let mut bands = Bands::new();
            for band in list.split(',') {
                let band: u16 = band.trim().parse().map_err(|_| wrong("a band is a number"))?;
                if !bands.contains(&band) {
                    bands.try_push(band).map_err(|_| wrong("there are too many bands"))?;
                }
            }
            if wishes.insert(source.trim().to_owned(), bands).is_some() {
                return Err(wrong("a source comes twice"));
            }
            if wishes.len() > MOST_SOURCES {
                return Err(wrong("there are too many sources"));
            }
        }
        Ok(Self(wishes))
    }
}

/// The bands of a source that all readers together want, out of `bands`. The first readers win where there are too many.
pub(super) fn union(wishes: &[(u64, Wishes)], source: &str, rgb: &[u16], bands: usize) -> Bands {
    let mut all = Bands::new();
    for (_, wish) in wishes {
        let wanted = wish.0.get(source).map_or(rgb, |bands| bands.as_slice());
        for band in wanted.iter().filter(|band| usize::from(**band) < bands) {
            if !all.contains(band) && !all.is_full() {
                all.push(*band);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_and_wrong_ones_refused() {
        let wishes = Wishes::parse("vnir:10,20,10;grid:5;").unwrap();
        assert_eq!(wishes.0["vnir"].as_slice(), [10, 20]);
        assert_eq!(wishes.0["grid"].as_slice(), [5]);
        assert_eq!(Wishes::parse("").unwrap(), Wishes::default());
        for wrong in ["vnir", "vnir:x", "vnir:", "a:1;a:2", "vnir:-1", "vnir:70000", "v:0,1,2,3,4,5,6,7,8,9,10,11,12"] {
            let error = Wishes::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("vnir:10,20,30"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_union_keeps_to_the_bands_that_exist() {
        let all = [(1, Wishes::parse("vnir:10,20").unwrap()), (2, Wishes::parse("vnir:20,500,3").unwrap()), (3, Wishes::default())];
        assert_eq!(union(&all, "vnir", &[7, 8, 9], 100).as_slice(), [10, 20, 3, 7, 8, 9]);
        assert_eq!(union(&all, "swir", &[1], 2).as_slice(), [1]);
    }
}
