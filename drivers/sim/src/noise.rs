//! Seeded randomness. Hashes are independent of order. A table of normal deviates is fast.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Normal deviates in the table. Rows of a frame start anywhere in it.
const DEVIATES: usize = 1 << 16;

/// Mixes 64 bits (the finaliser of SplitMix64).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A hash of words, the same on every machine and in every version (FNV-1a, mixed).
pub(crate) fn hash(seed: u64, words: &[&str]) -> u64 {
    let mut state = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ 0xcbf2_9ce4_8422_2325;
    for word in words {
        for byte in word.bytes().chain([0]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    mix(state)
}

/// A number from 0 to below 1 out of 64 random bits.
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

pub(crate) fn rng(seed: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed)
}

/// A normal deviate (Box and Muller).
pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(rng.next_u64())).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(rng.next_u64())).cos()
}

/// An approximate normal deviate (sum of four uniform ones) that belongs to a place.
pub(crate) fn at_place(seed: u64, i: i64, j: i64) -> f32 {
    let bits = mix(seed ^ mix((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (j as u64)));
    let sum: u64 = (0..4).map(|k| (bits >> (16 * k)) & 0xffff).sum();
    (sum as f32 / 65_536.0 - 2.0) * 3.0_f32.sqrt()
}

/// A table of normal deviates. The longest row follows again at its end, and every row is one slice.
pub(crate) struct Deviates {
    table: Vec<f32>,
    row: usize,
}

impl Deviates {
    pub fn new(seed: u64, row: usize) -> Self {
        let mut rng = rng(seed);
        let mut table: Vec<f32> = (0..DEVIATES).map(|_| normal(&mut rng) as f32).collect();
        table.extend((0..row).map(|_| normal(&mut rng) as f32));
        Self { table, row }
    }

    /// A row of deviates, chosen by 64 random bits.
    pub fn row(&self, bits: u64) -> &[f32] {
        let from = (bits >> 48) as usize % DEVIATES;
        &self.table[from..from + self.row]
    }
}
