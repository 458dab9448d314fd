//! The planar form of a model: convolutions along the bands become convolutions of an image with one row.
//!
//! ONNX Runtime has vectorised convolutions for 4-D tensors only. Its `NchwcTransformer` leaves 3-D tensors alone, and these go
//! through a slower general path. `[N, channels, bands]` as `[N, channels, 1, bands]` is the same arithmetic, several times as fast.

pub(crate) mod proto;

use prost::Message;
use proto::{Attribute, Graph, Model, Named, Node, Tensor};
use std::collections::{BTreeSet, HashMap};

/// Operators that work on a 4-D tensor as on a 3-D one: element by element, or channel by channel.
const UNCHANGED: [&str; 14] = [
    "BatchNormalization",
    "Clip",
    "Dropout",
    "Elu",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Tanh",
];

/// The same model with its convolutions along the bands over images of one row.
///
/// `None` means that no convolution can be converted. Metadata and declared shapes of tensors between operators are left out.
pub fn planar(model: &[u8]) -> Option<Vec<u8>> {
    let mut model = Model::decode(model).ok()?;
    let opset = model.opset_import.iter().find(|set| is_standard(&set.domain))?.version;
    let graph = model.graph.as_mut()?;
    // A nested graph can use any tensor of this graph by name, so such a model stays as it is.
    let nested = |bytes: &Vec<u8>| Attribute::decode(&bytes[..]).map_or(true, |a| [Attribute::GRAPH, Attribute::GRAPHS].contains(&a.kind));
    if !model.functions.is_empty() || graph.node.iter().any(|node| node.attribute.iter().any(nested)) {
        return None;
    }
    PlanarGraph::of(graph, opset)?.replace(graph)?;
    model.metadata_props.clear();
    Some(model.encode_to_vec())
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The converted graph while it grows.
struct PlanarGraph {
    nodes: Vec<Node>,
    /// Initializers that are added to those of the graph.
    added: Vec<Tensor>,
    /// Index of each initializer of the graph, by its name.
    initializers: HashMap<String, usize>,
    /// Name of the 4-D tensor for each 3-D tensor that was converted.
    images: HashMap<String, String>,
    /// Converted tensors that also exist in 3-D.
    lines: BTreeSet<String>,
    /// Name of the axes of `Squeeze` and `Unsqueeze`. They are an input from opset 13 on, and an attribute before.
    axes: Option<String>,
    convolutions: usize,
}

impl PlanarGraph {
    /// The converted graph. `None` means that no convolution was converted.
    fn of(graph: &Graph, opset: i64) -> Option<Self> {
        let named = |(i, bytes): (usize, &Vec<u8>)| Some((Tensor::decode(&bytes[..]).ok()?.name, i));
        let initializers = graph.initializer.iter().enumerate().map(named).collect::<Option<_>>()?;
        let axes = (opset >= 13).then(|| "planar#axes".to_owned());
        let axis = axes.iter().map(|name| Tensor {
            dims: vec![1],
            data_type: Tensor::INT64,
            int64_data: vec![2],
            name: name.clone(),
            ..Tensor::default()
        });
        let (added, nodes) = (axis.collect(), Vec::with_capacity(2 * graph.node.len()));
        let mut planar = Self { nodes, added, initializers, images: HashMap::new(), lines: BTreeSet::new(), axes, convolutions: 0 };
        for node in &graph.node {
            match planar.convert(graph, node) {
                Some(node) => planar.nodes.push(node),
                None => {
                    node.input.iter().for_each(|name| planar.line(name));
                    planar.nodes.push(node.clone());
                }
            }
        }
        (planar.convolutions > 0).then_some(planar)
    }

    fn replace(mut self, graph: &mut Graph) -> Option<()> {
        for output in &graph.output {
            self.line(&Named::decode(&output[..]).ok()?.name);
        }
        graph.node = self.nodes;
        graph.initializer.extend(self.added.iter().map(Message::encode_to_vec));
        Some(())
    }

    /// The node over images. `None` means that the node stays as it is.
    fn convert(&mut self, graph: &Graph, node: &Node) -> Option<Node> {
        let [output] = &node.output[..] else { return None };
        if !is_standard(&node.domain) {
            return None;
        }
        let mut converted = node.clone();
        match &node.op_type[..] {
            "Conv" => {
                let (tensor, weight) = (node.input.first()?, node.input.get(1)?);
                let attribute = widened(node)?;
                converted.input[1] = self.weight(graph, weight)?;
                converted.input[0] = self.image(tensor);
                converted.attribute = attribute;
                self.convolutions += 1;
            }
            "MaxPool" | "AveragePool" => {
                converted.input[0].clone_from(self.images.get(node.input.first()?)?);
                converted.attribute = widened(node)?;
            }
            "Add" => {
                let image = |name: &String| self.images.get(name).cloned();
                converted.input = node.input.iter().map(image).collect::<Option<_>>()?;
            }
            other if UNCHANGED.contains(&other) => converted.input[0].clone_from(self.images.get(node.input.first()?)?),
            _ => return None,
        }
        converted.output = vec![self.name(output)];
        Some(converted)
    }

    /// A new name for the image of a tensor.
    fn name(&mut self, tensor: &str) -> String {
        let image = format!("{tensor}#planar");
        self.images.insert(tensor.to_owned(), image.clone());
        image
    }

    /// The name of a tensor's image. The image is made where it does not exist.
    fn image(&mut self, tensor: &str) -> String {
        if let Some(image) = self.images.get(tensor) {
            return image.clone();
        }
        let image = self.name(tensor);
        self.lines.insert(tensor.to_owned());
        self.reshape("Unsqueeze", tensor, &image);
        image
    }

    /// Gives a tensor its 3-D shape again where it exists only as an image.
    fn line(&mut self, tensor: &str) {
        if let Some(image) = self.images.get(tensor).cloned()
            && self.lines.insert(tensor.to_owned())
        {
            self.reshape("Squeeze", &image, tensor);
        }
    }

    fn reshape(&mut self, operator: &str, from: &str, to: &str) {
        let axes = Attribute { name: "axes".into(), ints: vec![2], kind: Attribute::INTS, ..Attribute::default() };
        self.nodes.push(Node {
            input: [from.to_owned()].into_iter().chain(self.axes.clone()).collect(),
            output: vec![to.to_owned()],
            name: format!("{to}#{operator}"),
            op_type: operator.to_owned(),
            attribute: if self.axes.is_some() { Vec::new() } else { vec![axes.encode_to_vec()] },
            ..Node::default()
        });
    }

    /// The name of the initializer `[out, in, 1, taps]` of a kernel `[out, in, taps]`.
    fn weight(&mut self, graph: &Graph, name: &str) -> Option<String> {
        let converted = format!("{name}#planar");
        if self.added.iter().any(|tensor| tensor.name == converted) {
            return Some(converted);
        }
        let tensor = Tensor::decode(&graph.initializer[*self.initializers.get(name)?][..]).ok()?;
        let [out, channels, taps] = tensor.dims[..] else { return None };
        let values = usize::try_from(out.checked_mul(channels)?.checked_mul(taps)?).ok()?;
        let held = tensor.raw_data.len() == 4 * values || tensor.float_data.len() == values;
        if tensor.data_type != Tensor::FLOAT || !held {
            return None;
        }
        self.added.push(Tensor { dims: vec![out, channels, 1, taps], name: converted.clone(), ..tensor });
        Some(converted)
    }
}

/// The attributes of a convolution or a pooling along one axis, over a window one row high.
fn widened(node: &Node) -> Option<Vec<Vec<u8>>> {
    let one = |bytes: &Vec<u8>| {
        let attribute = Attribute::decode(&bytes[..]).ok()?;
        let ints = match (&attribute.name[..], &attribute.ints[..]) {
            ("kernel_shape" | "strides" | "dilations", &[size]) => vec![1, size],
            ("pads", &[before, behind]) => vec![0, before, 0, behind],
            ("kernel_shape" | "strides" | "dilations" | "pads", _) => return None,
            _ => return Some(bytes.clone()),
        };
        Some(Attribute { ints, ..attribute }.encode_to_vec())
    };
    node.attribute.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::planar;
    use crate::encode::fixture::{models, python};

    #[test]
    fn convolutions_over_images_compute_the_same() {
        let Some(folder) = models() else { return };
        // Wanted: the numbers of kernels, and of `Squeeze` operators before operators that need 3-D tensors.
        for (name, wanted) in [("channel", "1 1"), ("conv_pools", "2 1"), ("conv_branches", "2 2"), ("conv_same", "2 1")] {
            let (model, converted) = (folder.path().join(format!("{name}.onnx")), folder.path().join("converted.onnx"));
            std::fs::write(&converted, planar(&std::fs::read(&model).unwrap()).unwrap()).unwrap();
            let said = python("tests/python/check_planar.py", &[&model, &converted]).unwrap();
            assert_eq!(said.trim(), wanted, "{name}");
        }
    }

    #[test]
    fn other_models_are_left_alone() {
        let Some(folder) = models() else { return };
        for name in ["dense", "conv_computed", "text"] {
            let model = std::fs::read(folder.path().join(format!("{name}.onnx"))).unwrap();
            assert_eq!(planar(&model), None, "{name}");
        }
    }
}
