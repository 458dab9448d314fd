//! The figures of a classification. The definitions are those of scikit-learn's `classification_report` and `confusion_matrix`.

use ndarray::Array2;
use serde::Serialize;
use std::fmt::Write;

/// Precision, recall and F1, with the number of their rows. A quotient with a divisor of 0 is 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Share of this class among the rows classified as it.
    pub precision: f64,
    /// Share of the rows of this class that are classified as it.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
}

/// Comparison of a classification with the true classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Figures of each class.
    pub of: Vec<Figures>,
    /// Share of correctly classified rows.
    pub accuracy: f64,
    /// Mean over the classes.
    pub macro_mean: Figures,
    /// Mean over the classes, weighted by their support.
    pub weighted_mean: Figures,
    /// Confusion matrix `[true class][given class]`, in rows.
    #[serde(skip)]
    pub confusion: Array2<u64>,
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Report {
    /// Compares the classes `given` with the true ones in `right`. Both are below `classes.len()`.
    ///
    /// # Panics
    ///
    /// Panics where both differ in length, or name a class that does not exist.
    pub fn new(classes: &[String], right: &[u16], given: &[u16]) -> Self {
        assert_eq!(right.len(), given.len(), "a class was given to every row");
        let k = classes.len();
        let mut confusion = Array2::zeros((k, k));
        for (&r, &g) in right.iter().zip(given) {
            confusion[[usize::from(r), usize::from(g)]] += 1;
        }
        let of: Vec<Figures> = (0..k)
            .map(|c| {
                let (hit, support, said) = (confusion[[c, c]], confusion.row(c).sum(), confusion.column(c).sum());
                Figures { precision: share(hit, said), recall: share(hit, support), f1: share(2 * hit, support + said), support }
            })
            .collect();
        let n = right.len() as u64;
        let mean = |weight: &dyn Fn(&Figures) -> f64| {
            let total: f64 = of.iter().map(weight).sum();
            let over = |value: fn(&Figures) -> f64| of.iter().map(|f| value(f) * weight(f)).sum::<f64>() / total;
            Figures { precision: over(|f| f.precision), recall: over(|f| f.recall), f1: over(|f| f.f1), support: n }
        };
        Self {
            accuracy: share((0..k).map(|c| confusion[[c, c]]).sum(), n),
            macro_mean: mean(&|_| 1.0),
            weighted_mean: mean(&|f| f.support as f64),
            classes: classes.to_vec(),
            of,
            confusion,
        }
    }

    /// The table as text, in the layout of scikit-learn.
    pub fn text(&self, digits: usize) -> String {
        let width = self.classes.iter().map(|c| c.chars().count()).max().unwrap_or(0).max("weighted avg".len()).max(digits);
        let mut text = format!("{:>width$}  {:>9} {:>9} {:>9} {:>9}\n\n", "", "precision", "recall", "f1-score", "support");
        let row = |text: &mut String, name: &str, f: &Figures| {
            let line = format!("{name:>width$}  {:>9.digits$} {:>9.digits$} {:>9.digits$} {:>9}", f.precision, f.recall, f.f1, f.support);
            writeln!(text, "{line}").expect("text takes everything");
        };
        self.classes.iter().zip(&self.of).for_each(|(name, f)| row(&mut text, name, f));
        let all = self.macro_mean.support;
        writeln!(text, "\n{:>width$}  {:>9} {:>9} {:>9.digits$} {all:>9}", "accuracy", "", "", self.accuracy)
            .expect("text takes everything");
        row(&mut text, "macro avg", &self.macro_mean);
        row(&mut text, "weighted avg", &self.weighted_mean);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_by_hand() {
        let classes = ["fine".to_owned(), "coarse".to_owned(), "never".to_owned()];
        let report = Report::new(&classes, &[0, 0, 0, 1, 1, 0], &[0, 0, 1, 1, 1, 2]);
        assert_eq!(report.confusion, ndarray::array![[2, 1, 1], [0, 2, 0], [0, 0, 0]]);
        assert_eq!(report.accuracy, 4.0 / 6.0);
        assert_eq!(report.of[0], Figures { precision: 1.0, recall: 0.5, f1: 2.0 / 3.0, support: 4 });
        assert_eq!(report.of[1], Figures { precision: 2.0 / 3.0, recall: 1.0, f1: 0.8, support: 2 });
        assert_eq!(report.of[2], Figures { precision: 0.0, recall: 0.0, f1: 0.0, support: 0 });
        assert_eq!(report.macro_mean.recall, 0.5);
        assert_eq!(report.weighted_mean.recall, report.accuracy);
    }
}
