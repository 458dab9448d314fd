//! What was found in each pixel.

/// The code of a pixel that was not judged, in a map of a whole sample.
pub const NOT_JUDGED: u16 = u16::MAX;

/// Minerals and features of pixels, in the order of their spectra.
///
/// The code of a mineral is its number in the library, from 1. The code 0 means "not identified".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Minerals {
    /// Code of the best mineral of group 1 (electronic) and of group 2 (vibrational), `[group][pixel]`.
    pub winner: [Vec<u16>; 2],
    /// Score of the winner: the fit to the library's power, times the depth. Where none won, that of the runner-up.
    pub score: [Vec<f32>; 2],
    /// Code of the second best mineral, `[group][pixel]`. Where none won, that of the best one that was refused.
    pub runner_up: [Vec<u16>; 2],
    /// Score of the runner-up, `[group][pixel]`.
    pub runner_up_score: [Vec<f32>; 2],
    /// Features `[pixel][feature]`. NaN means that there is none.
    pub features: Vec<f32>,
}

impl Minerals {
    /// The number of pixels.
    pub fn pixels(&self) -> usize {
        self.winner[0].len()
    }

    /// Appends the pixels of `other`, which have the same features.
    pub fn append(&mut self, other: &Self) {
        for group in 0..2 {
            self.winner[group].extend_from_slice(&other.winner[group]);
            self.score[group].extend_from_slice(&other.score[group]);
            self.runner_up[group].extend_from_slice(&other.runner_up[group]);
            self.runner_up_score[group].extend_from_slice(&other.runner_up_score[group]);
        }
        self.features.extend_from_slice(&other.features);
    }

    /// Makes room for `pixels` pixels of `features` features. Nothing is allocated where there is room already.
    pub(super) fn resize(&mut self, pixels: usize, features: usize) {
        for codes in self.winner.iter_mut().chain(&mut self.runner_up) {
            codes.resize(pixels, 0);
        }
        for scores in self.score.iter_mut().chain(&mut self.runner_up_score) {
            scores.resize(pixels, 0.0);
        }
        self.features.resize(pixels * features, f32::NAN);
    }
}
