//! Documents from outside: no key twice, and nothing but what the schema says.
//!
//! Serde's derived readers take a list for an object, field by field, and the last of two equal keys. A request that is wrong would then
//! mean something. So a document is compared with its schema first: the one that describes it to others.

mod schema;
mod unique;

pub use schema::misfits;
pub use unique::parse;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The paths of lists in a document where the schema of `T` wants objects. The document itself is `.`.
pub fn lists_for_objects<T: JsonSchema>(document: &Value) -> Vec<String> {
    let mut schemas = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let schema = schemas.subschema_for::<T>().to_value();
    let found = misfits(document, &schema, &schemas.take_definitions(true));
    found
        .into_iter()
        .filter(|misfit| misfit.list_for_object)
        .map(|misfit| if misfit.path.is_empty() { ".".into() } else { misfit.path })
        .collect()
}
