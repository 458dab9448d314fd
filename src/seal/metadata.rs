//! The metadata of a sealed scan, in the form of RO-Crate 1.1 (<https://www.researchobject.org/ro-crate/specification/1.1/>).

use super::error::{SealError, failed};
use super::files::{Listed, SealedFile};
use super::{METADATA, record_path};
use crate::hdf::{File, Follow, Object};
use crate::scan::{LineCounts, ScanRecord};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The profile that the metadata conforms to.
const CONFORMS_TO: &str = "https://w3id.org/ro/crate/1.1";

/// What people say of a sealed scan.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Name of the person who seals it.
    pub by: String,
    /// Address of that person's ORCID record.
    pub orcid: Option<String>,
    /// Address of the licence of the data.
    pub license: Option<String>,
    /// What the scan is.
    pub description: Option<String>,
}

/// An address on the web, as an option gives it.
///
/// # Errors
/// It is none.
pub fn address(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let web = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if plain && web.is_some_and(|rest| !rest.is_empty()) { Ok(text.to_owned()) } else { Err("it must begin with https://".to_owned()) }
}

/// The user's full name, or else the name of the account.
pub fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let named = user.map(|user| {
        let full = user.gecos.to_string_lossy().split(',').next().unwrap_or_default().trim().to_owned();
        if full.is_empty() { user.name } else { full }
    });
    named.map_or_else(|| "unknown".to_owned(), |name| crate::terminal::plain(&name).into_owned())
}

/// The metadata of a scan with these files, sealed at `time` (ISO 8601, UTC).
pub(super) fn text(scan: &ScanRecord, files: &[SealedFile], data_dir: &Path, about: &About, time: &str) -> Result<String, SealError> {
    let person = about.orcid.clone().unwrap_or_else(|| "#person".to_owned());
    let refer = |id: &str| json!({"@id": id});
    let all = |ids: &[String]| ids.iter().map(|id| json!({"@id": id})).collect::<Vec<_>>();
    let what = format!("Hyperspectral scan of the tray {} with {} sample(s)", scan.tray.tray, scan.samples.len());
    let mut root = json!({
        "@id": "./", "@type": "Dataset", "name": format!("Scan {}", scan.id), "identifier": scan.id,
        "description": about.description.as_ref().unwrap_or(&what), "datePublished": time, "author": refer(&person),
        "hasPart": files.iter().map(|file| json!({"@id": file.path})).collect::<Vec<_>>(), "mentions": refer("#scan"),
    });
    if let Some(license) = &about.license {
        root["license"] = refer(license);
    }
    let mut graph = vec![
        json!({"@id": METADATA, "@type": "CreativeWork", "conformsTo": refer(CONFORMS_TO), "about": refer("./")}),
        root,
        json!({"@id": person, "@type": "Person", "name": about.by}),
        json!({"@id": "#hyclus", "@type": "SoftwareApplication", "name": "hyclus", "version": scan.version, "softwareVersion": scan.version}),
    ];
    graph.extend(about.license.iter().map(|license| json!({"@id": license, "@type": "CreativeWork", "name": license})));
    let cameras = cameras(scan, data_dir);
    let encoders = encoders(scan);
    let instruments = [vec!["#rig".to_owned(), "#hyclus".to_owned()], ids(&encoders)].concat();
    let samples = samples(scan);
    graph.push(json!({
        "@id": "#scan", "@type": "CreateAction", "name": what, "agent": refer(&person), "startTime": scan.started,
        "endTime": scan.ended, "instrument": all(&instruments), "object": all(&ids(&samples)), "result": refer("./"),
        "actionStatus": refer(if scan.complete == Some(true) { "http://schema.org/CompletedActionStatus" } else { "http://schema.org/FailedActionStatus" }),
        "error": scan.reason,
    }));
    let configuration = property("#configuration", "configuration_sha256", &scan.configuration_sha256);
    graph.push(json!({
        "@id": "#rig", "@type": "IndividualProduct", "name": "hyperspectral conveyor rig", "hasPart": all(&ids(&cameras)),
        "additionalProperty": refer("#configuration"),
    }));
    graph.push(configuration);
    graph.extend(cameras);
    graph.extend(encoders);
    graph.extend(samples);
    let sample_of: BTreeMap<String, usize> =
        scan.samples.iter().enumerate().map(|(n, sample)| (format!("scans/{}/{}", scan.id, sample.file), n)).collect();
    for file in files {
        let (format, description) = kind(&file.path);
        let mut entry = json!({
            "@id": file.path, "@type": "File", "name": file.path.rsplit('/').next(), "description": description,
            "encodingFormat": format, "contentSize": file.bytes.to_string(), "sha256": file.sha256,
        });
        if let Some(n) = sample_of.get(&file.path) {
            entry["about"] = refer(&format!("#sample-{n}"));
        }
        graph.push(entry);
    }
    graph.iter_mut().for_each(without_nulls);
    // Version 1.1 has no term for the hash.
    let context = json!([format!("{CONFORMS_TO}/context"), {"sha256": "http://schema.org/sha256"}]);
    let text = serde_json::to_string_pretty(&json!({"@context": context, "@graph": graph}));
    text.map(|text| text + "\n").map_err(|error| failed(Path::new(METADATA), "written")(error.into()))
}

/// Whether a text is the metadata of a scan.
pub(super) fn is_of(text: &str, id: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|document| entity(&document, "./").is_some_and(|root| root["identifier"] == id))
}

/// The files in the metadata of a scan. Or what is wrong with it: it is a text from outside.
pub(super) fn files(text: &str, id: &str) -> Result<Listed, String> {
    let document = crate::json::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let root = entity(&document, "./").ok_or("it has no data set `./`")?;
    if root["identifier"] != id {
        return Err(format!("it is the seal of {}", root["identifier"]));
    }
    let mut files = Listed::new();
    for entry in graph(&document).filter(|entry| entry["@type"] == "File") {
        let of = |key: &str| entry[key].as_str().ok_or_else(|| format!("a file in it has no `{key}`"));
        let (path, sha256) = (of("@id")?.to_owned(), of("sha256")?.to_owned());
        let bytes = of("contentSize")?.parse().map_err(|_| format!("the size of {path} in it is no number"))?;
        // A path never leads out of the data root.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\0') {
            return Err(format!("it names {path:?}, which is no path below a data root"));
        }
        files.insert(path.clone(), SealedFile { path, bytes, sha256 });
    }
    if !files.contains_key(&record_path(id)) {
        return Err("it does not list scan.json".into());
    }
    Ok(files)
}

fn graph(document: &Value) -> impl Iterator<Item = &Value> {
    document["@graph"].as_array().into_iter().flatten()
}

fn entity<'a>(document: &'a Value, id: &str) -> Option<&'a Value> {
    graph(document).find(|entry| entry["@id"] == id)
}

fn ids(entities: &[Value]) -> Vec<String> {
    let top = entities.iter().filter(|entity| entity["@type"] != "PropertyValue");
    top.filter_map(|entity| entity["@id"].as_str().map(str::to_owned)).collect()
}

fn property(id: &str, name: &str, value: &dyn std::fmt::Display) -> Value {
    json!({"@id": id, "@type": "PropertyValue", "name": name, "value": value.to_string()})
}

/// An entity and its properties, each an entity of its own, as RO-Crate wants it.
fn with_properties(mut entity: Value, properties: Vec<(String, String)>) -> Vec<Value> {
    let id = entity["@id"].as_str().unwrap_or_default().to_owned();
    let properties: Vec<Value> =
        properties.iter().enumerate().map(|(n, (name, value))| property(&format!("{id}-{n}"), name, value)).collect();
    if !properties.is_empty() {
        entity["additionalProperty"] = properties.iter().map(|property| json!({"@id": property["@id"]})).collect();
    }
    [vec![entity], properties].concat()
}

/// The cameras: model and serial number of the first sample's file, and the counts of the scan.
fn cameras(scan: &ScanRecord, data_dir: &Path) -> Vec<Value> {
    let file = scan.samples.first().map(|sample| data_dir.join("scans").join(&scan.id).join(&sample.file));
    let file = file.and_then(|path| File::open(&path, Follow::Inside).ok());
    let instrument = file.and_then(|file| file.object("entry/instrument").ok());
    let of = |camera: &str, name: &str| instrument.as_ref().and_then(|all| text_below(all, camera, name)).filter(|text| !text.is_empty());
    let entity = |(n, (name, counts)): (usize, (&String, &LineCounts))| {
        let LineCounts { received, lost, expected, .. } = counts;
        let camera = json!({
            "@id": format!("#camera-{n}"), "@type": "IndividualProduct", "name": name, "model": of(name, "model"),
            "serialNumber": of(name, "serial_number"),
        });
        let counts = [("lines received", received), ("lines lost", lost), ("lines expected", expected)];
        with_properties(camera, counts.map(|(name, count)| (name.to_owned(), count.to_string())).into())
    };
    scan.cameras.iter().enumerate().flat_map(entity).collect()
}

fn text_below(all: &Object, camera: &str, name: &str) -> Option<String> {
    let path = std::ffi::CString::new(format!("{camera}/{name}")).ok()?;
    all.below(&path).ok()?.values().ok()?.texts().ok()?.into_iter().next()
}

/// The models that encoded and identified the samples.
fn encoders(scan: &ScanRecord) -> Vec<Value> {
    let model = |id: String, name: String, sha256: &str| {
        with_properties(json!({"@id": id, "@type": "SoftwareApplication", "name": name}), vec![("sha256".into(), sha256.to_owned())])
    };
    let main = scan.encoder_sha256.iter().map(|sha256| ("main", sha256));
    let others = scan.encoders.iter().filter_map(|(name, record)| Some((name.as_str(), record.encoder_sha256.as_ref()?)));
    let encoders = main.chain(others).flat_map(|(name, sha256)| model(format!("#encoder-{name}"), format!("encoder {name}"), sha256));
    let heads = scan.heads.iter().filter(|(_, record)| !record.head_sha256.is_empty());
    let heads = heads.flat_map(|(name, record)| model(format!("#head-{name}"), format!("head {name}"), &record.head_sha256));
    let library = scan.minerals.iter().filter(|minerals| !minerals.library_sha256.is_empty());
    let library = library
        .flat_map(|minerals| model("#library".into(), format!("library of minerals {}", minerals.library), &minerals.library_sha256));
    encoders.chain(heads).chain(library).collect()
}

/// The samples with their keys and numbers.
fn samples(scan: &ScanRecord) -> Vec<Value> {
    let entity = |(n, sample): (usize, &crate::scan::SampleRecord)| {
        let container = scan.container_of(sample);
        let keys = container.into_iter().flat_map(|container| &container.keys).map(|(name, value)| (name.clone(), value.clone()));
        let vars = container.into_iter().flat_map(|container| &container.vars).map(|(name, value)| (name.clone(), value.to_string()));
        let sample = json!({"@id": format!("#sample-{n}"), "@type": "Thing", "name": sample.sample, "description": format!("in the container {}", sample.container)});
        with_properties(sample, keys.chain(vars).collect())
    };
    scan.samples.iter().enumerate().flat_map(entity).collect()
}

/// Media type of a file, and what it is.
fn kind(path: &str) -> (&'static str, &'static str) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name.rsplit('.').next().unwrap_or_default() {
        "json" => ("application/json", "record of the scan: request, outcome, losses, and every file"),
        "h5" => ("application/x-hdf5", "reflectance of one sample, in the layout of NeXus"),
        "parquet" if folder.starts_with("minerals/") => ("application/vnd.apache.parquet", "minerals of each pixel of a sample"),
        "parquet" => ("application/vnd.apache.parquet", "embedding of each valid spectrum"),
        "png" => ("image/png", "picture of the tray"),
        "hdr" => ("text/plain", "header of an ENVI image"),
        "raw" => ("application/octet-stream", "counts of a camera, as an ENVI image"),
        "csv" => ("text/csv", "times and places of the lines of a camera"),
        "txt" => ("text/plain", "certificate of the white panel"),
        _ => ("application/octet-stream", "file of the scan"),
    }
}

/// Removes members without a value.
fn without_nulls(entity: &mut Value) {
    if let Value::Object(members) = entity {
        let kept: Map<String, Value> = std::mem::take(members).into_iter().filter(|(_, value)| !value.is_null()).collect();
        *members = kept;
    }
}
