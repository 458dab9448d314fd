//! Graphs of ONNX operators. Each operator takes the result of the one before.

use super::proto::{
    Attribute, Dimension, Entry, GraphProto, Initializer, Model, Node, OperatorSet, TensorShape, TensorType, Type, ValueInfo,
};
use prost::Message;

/// Version of the file format.
pub(super) const IR_VERSION: i64 = 8;
/// Version of the operators.
pub(super) const OPERATORS: i64 = 17;
pub(super) const FLOAT: i32 = 1;
pub(super) const INT64: i32 = 7;
const INTS: i32 = 7;

/// A graph in the making, with one input `[N, width]`.
pub(super) struct Graph {
    graph: GraphProto,
    last: String,
}

impl Graph {
    pub fn new(input: &str, width: usize) -> Self {
        let graph = GraphProto { name: "hyclus".to_owned(), input: vec![value(input, width)], ..GraphProto::default() };
        Self { graph, last: input.to_owned() }
    }

    /// Adds an operator on the last result and `more`.
    fn node(&mut self, op_type: &str, more: Vec<String>, attribute: Vec<Attribute>) {
        let name = format!("{}_{}", op_type.to_lowercase(), self.graph.node.len());
        let mut input = vec![std::mem::replace(&mut self.last, name.clone())];
        input.extend(more);
        self.graph.node.push(Node { input, output: vec![name.clone()], name, op_type: op_type.to_owned(), attribute });
    }

    fn constant(&mut self, name: &str, data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        self.graph.initializer.push(Initializer { dims, data_type, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.constant(name, FLOAT, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    pub fn unary(&mut self, op_type: &str) {
        self.node(op_type, Vec::new(), Vec::new());
    }

    /// Adds an operator with a constant for every column.
    pub fn binary(&mut self, op_type: &str, name: &str, values: &[f32]) {
        let constant = self.floats(name, &[values.len()], values);
        self.node(op_type, vec![constant], Vec::new());
    }

    /// Adds a product with a matrix `[rows][columns]`.
    pub fn multiply(&mut self, name: &str, values: &[f32], (rows, columns): (usize, usize)) {
        let constant = self.floats(name, &[rows, columns], values);
        self.node("MatMul", vec![constant], Vec::new());
    }

    /// Adds ln K/S of reflectance within `limits`, `K/S = (1 - R)² / (2 R)`, less the mean of each band.
    pub fn log_absorption(&mut self, (lowest, highest): (f32, f32), mean: &[f32]) {
        let limits = [("lowest", lowest), ("highest", highest)].map(|(name, value)| self.floats(name, &[], &[value]));
        self.node("Clip", limits.into(), Vec::new());
        let reflectance = self.last.clone();
        self.unary("Log");
        let log = std::mem::replace(&mut self.last, reflectance);
        self.unary("Neg");
        self.binary("Add", "one", &[1.0]);
        self.unary("Log");
        self.binary("Mul", "two", &[2.0]);
        self.node("Sub", vec![log], Vec::new());
        self.binary("Sub", "ln_2", &[std::f32::consts::LN_2]);
        self.binary("Sub", "mean", mean);
    }

    /// Adds a layer normalisation over the columns.
    pub fn normalise(&mut self, name: &str, gain: &[f32], shift: &[f32]) {
        let more = [("gain", gain), ("shift", shift)].map(|(what, list)| self.floats(&format!("{name}.{what}"), &[list.len()], list));
        self.node("LayerNormalization", more.into(), Vec::new());
    }

    /// Adds `x Φ(x)`, with the standard normal distribution Φ.
    pub fn gelu(&mut self, name: &str) {
        let x = self.last.clone();
        self.binary("Mul", &format!("{name}.scale"), &[std::f32::consts::FRAC_1_SQRT_2]);
        self.unary("Erf");
        self.binary("Add", &format!("{name}.one"), &[1.0]);
        self.node("Mul", vec![x], Vec::new());
        self.binary("Mul", &format!("{name}.half"), &[0.5]);
    }

    fn reshape(&mut self, shape: &[i64]) {
        let name = format!("shape_{}", self.graph.node.len());
        let constant = self.constant(&name, INT64, &[shape.len()], shape.iter().flat_map(|size| size.to_le_bytes()).collect());
        self.node("Reshape", vec![constant], Vec::new());
    }

    /// Turns rows `[N, length * channels]` into `[N, channels, length]`.
    pub fn as_channels(&mut self, length: usize, channels: usize) {
        self.reshape(&[-1, length as i64, channels as i64]);
        self.node("Transpose", Vec::new(), vec![ints("perm", [0, 2, 1])]);
    }

    /// Turns `[N, channels, length]` into rows `[N, length * channels]`.
    pub fn as_rows(&mut self, width: usize) {
        self.node("Transpose", Vec::new(), vec![ints("perm", [0, 2, 1])]);
        self.reshape(&[-1, width as i64]);
    }

    /// Adds `Conv` or `ConvTranspose` with a stride. Zeros stand before and behind the longer signal.
    pub fn convolve(
        &mut self,
        op_type: &str,
        name: &str,
        weight: &[f32],
        shape: [usize; 3],
        bias: &[f32],
        (stride, before, behind): (usize, usize, usize),
    ) {
        let weight = self.floats(&format!("{name}.weight"), &shape, weight);
        let bias = self.floats(&format!("{name}.bias"), &[bias.len()], bias);
        let attributes = vec![ints("kernel_shape", [shape[2]]), ints("strides", [stride]), ints("pads", [before, behind])];
        self.node(op_type, vec![weight, bias], attributes);
    }

    /// Makes the last result an output `[N, width]`. No operator has taken it yet.
    pub fn output(&mut self, name: &str, width: usize) {
        if let Some(last) = self.graph.node.last_mut() {
            last.output = vec![name.to_owned()];
        }
        name.clone_into(&mut self.last);
        self.graph.output.push(value(name, width));
    }

    /// Adds the output `residual` `[N, 1]`: the root mean square of what orthonormal `components` `[component][band]` leave over of the input
    /// less `mean`.
    pub fn residual(&mut self, input: &str, mean: &[f32], components: &[f32]) {
        let (bands, count) = (mean.len(), components.len() / mean.len().max(1));
        let columns: Vec<f32> = (0..bands).flat_map(|band| (0..count).map(move |row| components[row * bands + band])).collect();
        input.clone_into(&mut self.last);
        self.binary("Sub", "span.mean", mean);
        let centred = self.last.clone();
        self.multiply("span.components", &columns, (bands, count));
        self.multiply("span.back", components, (count, bands));
        self.node("Sub", vec![centred], Vec::new());
        let rest = self.last.clone();
        self.node("Mul", vec![rest], Vec::new());
        self.node("ReduceMean", Vec::new(), vec![ints("axes", [1])]);
        self.unary("Sqrt");
        self.output("residual", 1);
    }

    /// The model as bytes.
    pub fn finish(self, metadata: &[(String, String)]) -> Vec<u8> {
        let entry = |(key, value): &(String, String)| Entry { key: key.clone(), value: value.clone() };
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "hyclus-study".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPERATORS }],
            metadata_props: metadata.iter().map(entry).collect(),
        };
        model.encode_to_vec()
    }
}

fn ints<const N: usize>(name: &str, values: [usize; N]) -> Attribute {
    Attribute { name: name.to_owned(), int: 0, ints: values.iter().map(|value| *value as i64).collect(), kind: INTS }
}

/// Description of a float32 value `[N, width]`.
pub(super) fn value(name: &str, width: usize) -> ValueInfo {
    let dynamic = Dimension { value: None, parameter: Some("N".to_owned()) };
    let fixed = Dimension { value: Some(width as i64), parameter: None };
    let tensor = TensorType { element: FLOAT, shape: Some(TensorShape { dimensions: vec![dynamic, fixed] }) };
    ValueInfo { name: name.to_owned(), kind: Some(Type { tensor: Some(tensor) }) }
}
