use super::*;
use ndarray::Array2;
use rand::{RngExt, SeedableRng};

fn groups(n: usize, d: usize) -> Array2<f32> {
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(1);
    Array2::from_shape_fn((n, d), |(i, f)| (i % 3 * (f + 1)) as f32 + random.random::<f32>())
}

#[test]
fn groups_come_apart() {
    let values = groups(300, 4);
    let config = TsneConfig { perplexity: 20.0, iterations: 500, ..TsneConfig::default() };
    let map = embed(values.view(), &config, |_| {}).unwrap();
    for i in 0..300 {
        let nearest = (0..300)
            .filter(|&j| j != i)
            .min_by(|&a, &b| {
                let far = |j: usize| (map.points[[i, 0]] - map.points[[j, 0]]).hypot(map.points[[i, 1]] - map.points[[j, 1]]);
                far(a).total_cmp(&far(b))
            })
            .unwrap();
        assert_eq!(nearest % 3, i % 3, "the nearest on the map is of the same group");
    }
}

#[test]
fn threads_change_nothing() {
    let values = groups(250, 5);
    let config = TsneConfig { perplexity: 15.0, iterations: 120, exaggerated_iterations: 60, ..TsneConfig::default() };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| embed(values.view(), &config, |_| {}).unwrap())
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn one_column_is_mapped() {
    let map = embed(
        groups(90, 1).view(),
        &TsneConfig { perplexity: 10.0, iterations: 50, exaggerated_iterations: 25, ..TsneConfig::default() },
        |_| {},
    );
    assert!(map.unwrap().points.iter().all(|v| v.is_finite()));
}

#[test]
fn equal_rows_are_mapped() {
    let config = TsneConfig { perplexity: 10.0, iterations: 50, exaggerated_iterations: 25, ..TsneConfig::default() };
    let map = embed(Array2::ones((90, 3)).view(), &config, |_| {});
    assert!(map.unwrap().points.iter().all(|v| v.is_finite()));
}

#[test]
fn bad_input_is_refused() {
    let config = TsneConfig::default();
    let few = embed(groups(121, 3).view(), &config, |_| {}).unwrap_err();
    assert_eq!(few, TsneError::TooFew { points: 121, perplexity: 40.0, needed: 121 });
    assert!(few.to_string().contains("tsne.perplexity"), "{few}");
    let mut values = groups(200, 3);
    values[[7, 2]] = f32::NAN;
    assert_eq!(embed(values.view(), &config, |_| {}).unwrap_err(), TsneError::NotFinite { row: 7, column: 2 });
    let config = TsneConfig { perplexity: f64::NAN, ..config };
    assert!(matches!(embed(groups(200, 3).view(), &config, |_| {}), Err(TsneError::Setting { key: "perplexity", .. })));
}
