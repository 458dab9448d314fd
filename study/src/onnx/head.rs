//! Heads of a regression as ONNX models: from mean reflectance to a value, its interval and the distance of the sample.
//!
//! A head keeps the contract of an encoder: its four numbers are [`NUMBERS`].

use super::graph::{FLOAT, INT64, IR_VERSION, OPERATORS, value};
use super::proto::{Attribute, Entry, GraphProto, Initializer, Model, Node, OperatorSet};
use super::{ExportError, list, write};
use crate::regress::conformal;
use crate::regress::pretreat::{LEAST_LIGHT, LEAST_SPREAD, Start};
use crate::regress::{Head, HeadModel, View};
use nalgebra::{DMatrix, DVector};
use prost::Message;
use std::path::Path;

/// Texts of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadText {
    /// Name of the model.
    pub name: String,
    /// Name of the label.
    pub target: String,
    /// Unit of the label.
    pub unit: String,
}

/// The numbers of a head's output `[N, 4]`, in their order.
pub const NUMBERS: [&str; 4] = ["value", "lower", "upper", "distance"];

/// Name of the output.
const OUTPUT: &str = "judged";
/// Type of an attribute that is an integer.
const INT: i32 = 2;

/// A graph in the making, whose operators have names for their results.
#[derive(Default)]
struct Graph(GraphProto);

impl Graph {
    fn node(&mut self, op_type: &str, input: &[&str], name: &str) -> String {
        self.several(op_type, input, &[name]);
        name.to_owned()
    }

    fn several(&mut self, op_type: &str, input: &[&str], output: &[&str]) {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let node =
            Node { input: own(input), output: own(output), name: output[0].to_owned(), op_type: op_type.to_owned(), attribute: vec![] };
        self.0.node.push(node);
    }

    /// Columns side by side.
    fn joined(&mut self, input: &[&str], name: &str) {
        self.node("Concat", input, name);
        let axis = Attribute { name: "axis".to_owned(), int: 1, ints: Vec::new(), kind: INT };
        self.0.node.last_mut().into_iter().for_each(|node| node.attribute.push(axis.clone()));
    }

    fn constant(&mut self, name: &str, data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        self.0.initializer.push(Initializer { dims, data_type, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    /// A constant `[rows, columns]`.
    fn matrix(&mut self, name: &str, values: &DMatrix<f64>) -> String {
        let rows = values.row_iter().flat_map(|row| row.iter().map(|value| *value as f32).collect::<Vec<_>>());
        self.constant(name, FLOAT, &[values.nrows(), values.ncols()], rows.flat_map(f32::to_le_bytes).collect())
    }

    /// A constant `[1, columns]`.
    fn row(&mut self, name: &str, values: &DVector<f64>) -> String {
        self.matrix(name, &DMatrix::from_row_slice(1, values.len(), values.as_slice()))
    }

    fn whole(&mut self, name: &str, value: usize) -> String {
        self.constant(name, INT64, &[1], (value as i64).to_le_bytes().to_vec())
    }

    /// Columns `from..to` of a result.
    fn columns(&mut self, of: &str, from: usize, to: usize, name: &str) -> String {
        let (from, to) = (self.whole(&format!("{name}.from"), from), self.whole(&format!("{name}.to"), to));
        let axis = self.whole(&format!("{name}.axis"), 1);
        self.node("Slice", &[of, &from, &to, &axis], name)
    }

    /// Spectra after the first step of a pretreatment. Left out bands may have any value.
    fn started(&mut self, model: &HeadModel, of: &str) -> String {
        let name = |part: &str| format!("start.{of}.{part}");
        let (bands, kept) = (model.weights.len(), &model.pretreatment.kept);
        let mut mask = DVector::zeros(bands);
        kept.iter().for_each(|band| mask[*band] = 1.0);
        let column = |factor: f64| DMatrix::from_column_slice(bands, 1, (&mask * factor).as_slice());
        match model.pretreatment.start {
            Start::Reflectance => "spectrum".to_owned(),
            Start::Absorbance => {
                let least = self.number(&name("least"), LEAST_LIGHT);
                let light = self.node("Max", &["spectrum", &least], &name("light"));
                let logarithm = self.node("Log", &[&light], &name("logarithm"));
                let factor = self.number(&name("factor"), -std::f64::consts::LOG10_E);
                self.node("Mul", &[&logarithm, &factor], &name("absorbance"))
            }
            Start::Variates => {
                let mean = self.matrix(&name("mean_weights"), &column(1.0 / kept.len() as f64));
                let mean = self.node("MatMul", &["spectrum", &mean], &name("mean"));
                let centred = self.node("Sub", &["spectrum", &mean], &name("centred"));
                let squares = self.node("Mul", &[&centred, &centred], &name("squares"));
                let count = (kept.len().max(2) - 1) as f64;
                let weights = self.matrix(&name("variance_weights"), &column(1.0 / count));
                let variance = self.node("MatMul", &[&squares, &weights], &name("variance"));
                let spread = self.node("Sqrt", &[&variance], &name("root"));
                let least = self.number(&name("least"), LEAST_SPREAD);
                let spread = self.node("Max", &[&spread, &least], &name("spread"));
                self.node("Div", &[&centred, &spread], &name("variates"))
            }
        }
    }

    fn number(&mut self, name: &str, value: f64) -> String {
        self.matrix(name, &DMatrix::from_element(1, 1, value))
    }
}

/// Writes a head. `reference` are mean spectra with which the model's loader tests it.
///
/// # Errors
///
/// [`ExportError::Write`] for a file that cannot be written.
pub fn export_head(head: &Head, text: &HeadText, wavelengths_nm: &[f64], reference: &[Vec<f32>], path: &Path) -> Result<(), ExportError> {
    let bands = wavelengths_nm.len();
    let mut graph = Graph::default();
    graph.0.name = "hyclus".to_owned();
    graph.0.input = vec![value("spectrum", bands)];
    let values = all_values(&mut graph, &head.models, bands);
    let models = head.models.len();
    graph.columns(&values, 0, 1, NUMBERS[0]);
    let without = graph.columns(&values, 1, models, "without");
    intervals(&mut graph, head, &without);
    distance(&mut graph, head);
    graph.joined(&NUMBERS, OUTPUT);
    graph.0.output = vec![value(OUTPUT, NUMBERS.len())];
    let input: Vec<f32> = reference.concat();
    let spectra = DMatrix::from_row_iterator(reference.len(), bands, input.iter().map(|value| f64::from(*value)));
    let judged = head.judge(&spectra);
    let output: Vec<f32> = judged.iter().flat_map(|j| [j.value, j.lower, j.upper, j.distance].map(|number| number as f32)).collect();
    let mut about = vec![("kind", "head".to_owned()), ("name", text.name.clone()), ("wavelengths_nm", format!("{wavelengths_nm:?}"))];
    about.extend([("target", text.target.clone()), ("unit", text.unit.clone()), ("level", head.level.to_string())]);
    about.extend([("accept", head.accept.to_string()), ("samples", head.calibration.len().to_string())]);
    about.extend([("model", head.described.clone()), ("interval", "CV+".to_owned()), ("reference_input", list(&input))]);
    about.push(("reference_output", list(&output)));
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "hyclus-study".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph.0),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPERATORS }],
        metadata_props: about.into_iter().map(|(key, value)| Entry { key: format!("hyclus.{key}"), value }).collect(),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| ExportError::Write { path: folder.to_owned(), source })?;
    }
    write(path, model.encode_to_vec())
}

/// Values `[N, models]` of all models. Those with one pretreatment share its operators.
fn all_values(graph: &mut Graph, models: &[HeadModel], bands: usize) -> String {
    let same = |a: &HeadModel, b: &HeadModel| {
        let (a, b) = (&a.pretreatment, &b.pretreatment);
        a.start == b.start && (a.start != Start::Variates || a.kept == b.kept)
    };
    let mut kinds: Vec<usize> = Vec::new();
    let kind: Vec<usize> = (0..models.len())
        .map(|i| {
            kinds.iter().position(|first| same(&models[*first], &models[i])).unwrap_or_else(|| {
                kinds.push(i);
                kinds.len() - 1
            })
        })
        .collect();
    let mut sum = String::new();
    let mut constants = DVector::from_iterator(models.len(), models.iter().map(|model| model.intercept));
    for (k, first) in kinds.iter().enumerate() {
        let first = &models[*first];
        let last = graph.started(first, &k.to_string());
        // The first model's centre serves all, which keeps float32 exact.
        let centre = graph.row(&format!("centre.{k}"), &first.centre);
        let last = graph.node("Sub", &[&last, &centre], &format!("from_centre.{k}"));
        let mut weights = DMatrix::zeros(bands, models.len());
        for (i, model) in models.iter().enumerate().filter(|(i, _)| kind[*i] == k) {
            weights.set_column(i, &model.weights);
            constants[i] += model.weights.dot(&(&first.centre - &model.centre));
        }
        let weights = graph.matrix(&format!("weights.{k}"), &weights);
        let part = graph.node("MatMul", &[&last, &weights], &format!("part.{k}"));
        sum = if sum.is_empty() { part } else { graph.node("Add", &[&sum, &part], &format!("sum.{k}")) };
    }
    let constants = graph.row("intercepts", &constants);
    graph.node("Add", &[&sum, &constants], "values")
}

/// The interval of CV+ from the values `[N, models]` of the models without a fold.
fn intervals(graph: &mut Graph, head: &Head, without: &str) {
    let samples = head.calibration.len();
    let mut model_of_sample = DMatrix::zeros(head.models.len() - 1, samples);
    head.calibration.iter().enumerate().for_each(|(i, (model, _))| model_of_sample[(model - 1, i)] = 1.0);
    let model_of_sample = graph.matrix("model_of_sample", &model_of_sample);
    let centres = graph.node("MatMul", &[without, &model_of_sample], "centres");
    let errors = graph.row("errors", &DVector::from_iterator(samples, head.calibration.iter().map(|(_, error)| *error)));
    // The place from the upper end, as TopK counts. A sample too few would lie beyond the end.
    let place = samples + 1 - conformal::place(samples, head.level).min(samples);
    let count = graph.whole("place", place);
    let above = graph.node("Add", &[&centres, &errors], "above");
    graph.several("TopK", &[&above, &count], &["highest", "highest_at"]);
    graph.columns("highest", place - 1, place, NUMBERS[2]);
    let below = graph.node("Sub", &[&errors, &centres], "below");
    graph.several("TopK", &[&below, &count], &["lowest", "lowest_at"]);
    let lower = graph.columns("lowest", place - 1, place, "lower_negative");
    graph.node("Neg", &[&lower], NUMBERS[1]);
}

/// The largest distance of all views.
fn distance(graph: &mut Graph, head: &Head) {
    let mut largest = String::new();
    for (i, view) in head.views.iter().enumerate() {
        let of_view = distance_in_view(graph, head, view, i);
        largest = if i == 0 { of_view } else { graph.node("Max", &[&largest, &of_view], &format!("largest.{i}")) };
    }
    graph.node("Identity", &[&largest], NUMBERS[3]);
}

fn distance_in_view(graph: &mut Graph, head: &Head, view: &View, i: usize) -> String {
    let name = |part: &str| format!("view.{i}.{part}");
    let (domain, features) = (&view.domain, view.domain.mean.len());
    let centred = match &view.pretreatment {
        None => {
            let mean = graph.row(&name("mean"), &domain.mean);
            graph.node("Sub", &["spectrum", &mean], &name("centred"))
        }
        Some(pretreatment) => {
            // The features of the mean are the mean of the features.
            let started = graph.started(&head.models[0], "view");
            let mean = graph.row(&name("mean"), &head.models[0].centre);
            let from_mean = graph.node("Sub", &[&started, &mean], &name("from_mean"));
            let weights = graph.matrix(&name("feature_weights"), &pretreatment.feature_weights());
            graph.node("MatMul", &[&from_mean, &weights], &name("centred"))
        }
    };
    let scale = graph.row(&name("scale"), &domain.scale);
    let scaled = graph.node("Mul", &[&centred, &scale], &name("scaled"));
    let components = graph.matrix(&name("components"), &domain.components);
    let scores = graph.node("MatMul", &[&scaled, &components], &name("scores"));
    let back = graph.matrix(&name("back"), &domain.components.transpose());
    let modelled = graph.node("MatMul", &[&scores, &back], &name("modelled"));
    let residual = graph.node("Sub", &[&scaled, &modelled], &name("residual"));
    let squares = graph.node("Mul", &[&residual, &residual], &name("residual_squares"));
    let factor = graph.matrix(&name("q"), &DMatrix::from_element(features, 1, view.limits.q));
    let q = graph.node("MatMul", &[&squares, &factor], &name("of_q"));
    let squares = graph.node("Mul", &[&scores, &scores], &name("score_squares"));
    let weights = DMatrix::from_iterator(domain.variances.len(), 1, domain.variances.iter().map(|variance| view.limits.t2 / variance));
    let weights = graph.matrix(&name("t2"), &weights);
    let t2 = graph.node("MatMul", &[&squares, &weights], &name("of_t2"));
    graph.node("Add", &[&q, &t2], &name("distance"))
}
