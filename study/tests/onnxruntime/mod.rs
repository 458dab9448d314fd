//! ONNX Runtime from Rust, as the daemon calls it.

use std::path::Path;
use std::sync::OnceLock;

/// Runs a model on inputs of `width` numbers. Gives its outputs with their names, in their order.
pub fn outputs(model: &Path, input: &[f32], width: usize) -> Vec<(String, Vec<f32>)> {
    static ENVIRONMENT: OnceLock<ort::environment::Environment> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let library = std::env::var_os("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH names libonnxruntime.so, as `make test` sets it");
        ort::init_from(library).unwrap().with_telemetry(false).build().unwrap()
    });
    let mut session = ort::session::Session::builder(environment).unwrap().commit_from_file(model).unwrap();
    let input = ort::value::Tensor::from_array(([input.len() / width, width], input.to_vec())).unwrap();
    let names: Vec<String> = session.outputs().iter().map(|output| output.name().to_owned()).collect();
    let outputs = session.run(ort::inputs![input]).unwrap();
    let value = |name: &String| outputs[name.as_str()].try_extract_tensor::<f32>().unwrap().1.to_vec();
    names.iter().map(|name| (name.clone(), value(name))).collect()
}
