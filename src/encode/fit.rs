//! A model with the resampling of spectra in its own graph, so that programs elsewhere give the daemon's numbers.

use crate::context::EncoderContext;
use crate::planar::planar;
use crate::planar::proto::{Attribute, Dimension, Entry, Model, Named, Node, Shape, Tensor, TensorType, TypeInfo, ValueInfo};
use crate::srf::{BandMatrix, SIDE_BY_SIDE, Weights};
use prost::Message;

/// Metadata key of the bands that are read, a JSON list. Absent: all.
const READS: &str = "hyclus.reads";
/// Metadata key of the SHA-256 of the model that was fitted.
const SHA256: &str = "hyclus.sha256";
/// Metadata key of the model's name.
const NAME: &str = "hyclus.name";
/// First version of the standard operators with the axes of `Unsqueeze` as an input.
const AXES_AS_INPUT: i64 = 13;

/// The model's bytes, extended by `matrix` in front. Its input becomes `[N, bands]`, its outputs stay. With `as_planar`, its convolutions
/// run over images, as in the daemon.
///
/// # Errors
/// The graph has a form that cannot be extended.
pub(super) fn fitted(
    model: &[u8],
    as_planar: bool,
    matrix: Option<&BandMatrix>,
    bands: usize,
    about: &EncoderContext,
) -> Result<Vec<u8>, String> {
    let bytes = if as_planar { planar(model).ok_or("its convolutions cannot run over images")? } else { model.to_vec() };
    let mut model = Model::decode(&bytes[..]).map_err(|error| error.to_string())?;
    let standard = model.opset_import.iter().find(|set| matches!(&set.domain[..], "" | "ai.onnx"));
    let opset = standard.ok_or("it names no version of the standard operators")?.version;
    let graph = model.graph.as_mut().ok_or("it has no graph")?;
    let constants: Vec<String> =
        graph.initializer.iter().filter_map(|bytes| Tensor::decode(&bytes[..]).ok()).map(|tensor| tensor.name).collect();
    let is_constant = |bytes: &Vec<u8>| Named::decode(&bytes[..]).is_ok_and(|input| constants.contains(&input.name));
    let place = graph.input.iter().position(|input| !is_constant(input)).ok_or("it has no input")?;
    let input = ValueInfo::decode(&graph.input[place][..]).map_err(|error| error.to_string())?;
    let dims = input.kind.and_then(|kind| kind.tensor).and_then(|tensor| tensor.shape).map(|shape| shape.dims).unwrap_or_default();
    let rows = dims.first().cloned().ok_or("its input has no shape")?;
    let mut front = Front::new(&input.name);
    let mut last = match matrix {
        Some(matrix) => front.resample(matrix),
        None => front.measured.clone(),
    };
    if dims.len() == 3 {
        last = front.channel(&last, opset);
    }
    front.node("Identity", &[&last], &input.name, None);
    let dims = vec![rows, Dimension { value: i64::try_from(bands).ok(), name: None }];
    let tensor = TensorType { element: Tensor::FLOAT, shape: Some(Shape { dims }) };
    let spectra = ValueInfo { name: front.measured.clone(), kind: Some(TypeInfo { tensor: Some(tensor) }) };
    graph.input[place] = spectra.encode_to_vec();
    front.nodes.append(&mut graph.node);
    graph.node = front.nodes;
    graph.initializer.extend(front.constants.iter().map(Message::encode_to_vec));
    model.metadata_props =
        vec![Entry { key: NAME.to_owned(), value: about.name.clone() }, Entry { key: SHA256.to_owned(), value: about.sha256.clone() }];
    if let Some(matrix) = matrix {
        model.metadata_props.push(Entry { key: READS.to_owned(), value: serde_json::json!(matrix.reads()).to_string() });
    }
    Ok(model.encode_to_vec())
}

/// The nodes in front of a model, while they grow. Each of them reads and writes float32 `[N, _]`.
struct Front {
    /// Name of the input of measured spectra.
    measured: String,
    prefix: String,
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
}

impl Front {
    /// The front of a model with an input of that name. Names with a hash sign are ours.
    fn new(input: &str) -> Self {
        Self { measured: format!("{input}#measured"), prefix: format!("{input}#fit"), nodes: Vec::new(), constants: Vec::new() }
    }

    fn name(&self) -> String {
        format!("{}{}", self.prefix, self.nodes.len() + self.constants.len())
    }

    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attribute: Option<Attribute>) {
        self.nodes.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: operator.to_owned(),
            attribute: attribute.iter().map(Message::encode_to_vec).collect(),
            ..Node::default()
        });
    }

    fn of(&mut self, operator: &str, a: &str, b: &str) -> String {
        let output = self.name();
        self.node(operator, &[a, b], &output, None);
        output
    }

    #[expect(clippy::cast_possible_wrap, reason = "numbers of bands are far below 2^63")]
    fn gather(&mut self, from: &str, columns: &[usize]) -> String {
        let name = self.name();
        self.constants.push(Tensor {
            dims: vec![columns.len() as i64],
            data_type: Tensor::INT64,
            int64_data: columns.iter().map(|&column| column as i64).collect(),
            name: name.clone(),
            ..Tensor::default()
        });
        let output = self.name();
        let axis = Attribute { name: "axis".into(), i: 1, kind: Attribute::INT, ..Attribute::default() };
        self.node("Gather", &[from, &name], &output, Some(axis));
        output
    }

    fn measured(&mut self, bands: &[usize]) -> String {
        let from = self.measured.clone();
        self.gather(&from, bands)
    }

    #[expect(clippy::cast_possible_wrap, reason = "numbers of bands are far below 2^63")]
    fn weights(&mut self, values: Vec<f32>) -> String {
        let name = self.name();
        let dims = vec![values.len() as i64];
        self.constants.push(Tensor { dims, data_type: Tensor::FLOAT, float_data: values, name: name.clone(), ..Tensor::default() });
        name
    }

    /// The wanted bands, each by the same operations in the same order as [`BandMatrix::apply`]: so every bit is the same.
    fn resample(&mut self, matrix: &BandMatrix) -> String {
        let (rows, weights) = matrix.rows();
        let (mut bands, mut between, mut kernels) = (Vec::new(), Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            match row {
                Weights::Band(band) => bands.push((at, *band)),
                Weights::Between(below, weight) => between.push((at, *below, *weight)),
                Weights::Kernel(first, range) => kernels.push((at, *first, &weights[range.clone()])),
            }
        }
        let (mut parts, mut order) = (Vec::new(), Vec::new());
        if !bands.is_empty() {
            let columns: Vec<usize> = bands.iter().map(|(_, band)| *band).collect();
            parts.push(self.measured(&columns));
            order.extend(bands.iter().map(|(at, _)| *at));
        }
        if !between.is_empty() {
            let below: Vec<usize> = between.iter().map(|(_, below, _)| *below).collect();
            let above: Vec<usize> = below.iter().map(|below| below + 1).collect();
            let (below, above) = (self.measured(&below), self.measured(&above));
            let weights = self.weights(between.iter().map(|(_, _, weight)| *weight).collect());
            let step = self.of("Sub", &above, &below);
            let step = self.of("Mul", &step, &weights);
            parts.push(self.of("Add", &below, &step));
            order.extend(between.iter().map(|(at, ..)| *at));
        }
        if !kernels.is_empty() {
            parts.push(self.kernels(&kernels.iter().map(|(_, first, weights)| (*first, *weights)).collect::<Vec<_>>()));
            order.extend(kernels.iter().map(|(at, ..)| *at));
        }
        let all = if let [part] = &parts[..] {
            part.clone()
        } else {
            let output = self.name();
            let axis = Attribute { name: "axis".into(), i: 1, kind: Attribute::INT, ..Attribute::default() };
            let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
            self.node("Concat", &inputs, &output, Some(axis));
            output
        };
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &at)| places[at] = place);
        if places.iter().enumerate().all(|(at, place)| at == *place) { all } else { self.gather(&all, &places) }
    }

    /// Sums by weights: eight partial sums side by side, first of what does not fill a block, then block by block, then as a tree.
    fn kernels(&mut self, kernels: &[(usize, &[f32])]) -> String {
        let blocks = kernels.iter().map(|(_, weights)| weights.len() / SIDE_BY_SIDE).max().unwrap_or(0);
        let mut sums: Option<String> = None;
        for block in 0..=blocks {
            // Kernel by kernel within each of the eight sums. A weight of 0 fills up: it adds nothing to a value that is read anyway.
            let taps: Vec<(usize, f32)> = (0..SIDE_BY_SIDE)
                .flat_map(|side| {
                    kernels.iter().map(move |(first, weights)| {
                        let whole = weights.len() / SIDE_BY_SIDE * SIDE_BY_SIDE;
                        let tap = match block.checked_sub(1) {
                            None => Some(whole + side).filter(|tap| *tap < weights.len()),
                            Some(block) => Some(block * SIDE_BY_SIDE + side).filter(|tap| *tap < whole),
                        };
                        tap.map_or((*first, 0.0), |tap| (first + tap, weights[tap]))
                    })
                })
                .collect();
            if taps.iter().all(|(_, weight)| *weight == 0.0) {
                continue;
            }
            let values = self.measured(&taps.iter().map(|(band, _)| *band).collect::<Vec<_>>());
            let weights = self.weights(taps.iter().map(|(_, weight)| *weight).collect());
            let products = self.of("Mul", &values, &weights);
            sums = Some(match sums {
                Some(sums) => self.of("Add", &sums, &products),
                None => products,
            });
        }
        let sums = sums.unwrap_or_default();
        let of = |sides: [usize; 4], count: usize| {
            sides[..count].iter().flat_map(|side| (0..kernels.len()).map(move |kernel| side * kernels.len() + kernel)).collect::<Vec<_>>()
        };
        let (low, high) = (self.gather(&sums, &of([0, 1, 2, 3], 4)), self.gather(&sums, &of([4, 5, 6, 7], 4)));
        let four = self.of("Add", &low, &high);
        let (low, high) = (self.gather(&four, &of([0, 1, 0, 0], 2)), self.gather(&four, &of([2, 3, 0, 0], 2)));
        let two = self.of("Add", &low, &high);
        let (low, high) = (self.gather(&two, &of([0; 4], 1)), self.gather(&two, &of([1; 4], 1)));
        self.of("Add", &low, &high)
    }

    /// The spectra with an axis of one channel.
    fn channel(&mut self, from: &str, opset: i64) -> String {
        let output = self.name();
        if opset >= AXES_AS_INPUT {
            let axes = format!("{output}#axes");
            let one = Tensor { dims: vec![1], data_type: Tensor::INT64, int64_data: vec![1], name: axes.clone(), ..Tensor::default() };
            self.constants.push(one);
            self.node("Unsqueeze", &[from, &axes], &output, None);
        } else {
            let axes = Attribute { name: "axes".into(), ints: vec![1], kind: Attribute::INTS, ..Attribute::default() };
            self.node("Unsqueeze", &[from], &output, Some(axes));
        }
        output
    }
}
