//! The columns of a white reference.

use super::Column;
use contract::Layout;

/// Number of columns over the line.
const COLUMNS: usize = 8;

/// The mean light of columns of pixels. `signal` is white above dark in counts, and `bad` is not 0 for a bad element, both
/// `[band][pixel]`. A bad element has the value between its good neighbours in the spectrum.
pub fn columns(signal: &[f32], bad: &[u8], layout: Layout) -> Vec<Column> {
    let Layout { pixels, bands, .. } = layout;
    let columns = COLUMNS.min(pixels);
    let of_column = |column: usize| {
        let range = column * pixels / columns..(column + 1) * pixels / columns;
        #[expect(clippy::cast_precision_loss, reason = "numbers of pixels")]
        let places: Vec<f64> = range.clone().map(|pixel| (2 * pixel + 1) as f64 / pixels as f64 - 1.0).collect();
        let (mut values, mut n) = (vec![0.0; bands], 0.0);
        for pixel in range {
            if let Some(spectrum) = spectrum(signal, bad, (pixel, pixels, bands)) {
                values.iter_mut().zip(spectrum).for_each(|(sum, value)| *sum += value);
                n += 1.0;
            }
        }
        values.iter_mut().for_each(|value| *value /= n);
        let mean = |power: i32| {
            #[expect(clippy::cast_precision_loss, reason = "numbers of pixels")]
            let n = places.len() as f64;
            places.iter().map(|place| place.powi(power)).sum::<f64>() / n
        };
        (n > 0.0).then(|| Column { place: mean(1), square: mean(2), values })
    };
    (0..columns).filter_map(of_column).collect()
}

/// The spectrum of a pixel, without bad elements; `None` where it has none but these.
fn spectrum(signal: &[f32], bad: &[u8], (pixel, pixels, bands): (usize, usize, usize)) -> Option<Vec<f64>> {
    let at = |band: usize| band * pixels + pixel;
    let good: Vec<usize> = (0..bands).filter(|band| bad[at(*band)] == 0 && signal[at(*band)].is_finite()).collect();
    let value = |band: usize| f64::from(signal[at(band)]);
    let between = |band: usize| {
        let next = good.partition_point(|good| *good < band);
        match (next.checked_sub(1).map(|before| good[before]), good.get(next)) {
            (_, Some(after)) if *after == band => Some(value(band)),
            (Some(before), Some(after)) => {
                #[expect(clippy::cast_precision_loss, reason = "numbers of bands")]
                let part = (band - before) as f64 / (after - before) as f64;
                Some(value(before) + part * (value(*after) - value(before)))
            }
            (Some(end), None) => Some(value(end)),
            (None, Some(end)) => Some(value(*end)),
            (None, None) => None,
        }
    };
    (0..bands).map(between).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::PixelFormat;

    #[test]
    fn a_bad_element_has_the_value_between_its_neighbours() {
        let layout = Layout { pixels: 16, bands: 5, format: PixelFormat::U16 };
        let mut signal: Vec<f32> = (0..80).map(|at| 100.0 + 10.0 * (at / 16) as f32).collect();
        let mut bad = vec![0; 80];
        for at in [0, 2 * 16 + 1, 4 * 16 + 15] {
            (signal[at], bad[at]) = (9e9, 1);
        }
        let found = columns(&signal, &bad, layout);
        assert_eq!((found.len(), found[1].values.as_slice()), (8, [100.0, 110.0, 120.0, 130.0, 140.0].as_slice()));
        assert_eq!((found[0].values[0], found[0].values[2], found[7].values[4]), (105.0, 120.0, 135.0));
        assert!((found[0].place + 0.875).abs() < 1e-12 && (found[7].place - 0.875).abs() < 1e-12);
        assert_eq!(columns(&signal, &[1; 80], layout), []);
    }
}
