//! The JSON schema of a tray map, for programs that write one. `Tray::check` reads maps, and says what is wrong in its own words.

use super::{FARTHEST_MM, HIGHEST_MM, LONGEST, MEASURED_MM, MOST_COLUMNS, MOST_CONTAINERS, MOST_KEYS, MOST_ROWS};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

/// The schema of a tray map.
pub fn map_schema(_: &mut SchemaGenerator) -> Schema {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"});
    let place = json!({"type": "number", "minimum": -MEASURED_MM, "maximum": FARTHEST_MM});
    let size = json!({"type": "number", "exclusiveMinimum": 0.0, "maximum": FARTHEST_MM});
    let container = json!({
        "type": "object",
        "description": "The container also gives each of `keys`, as a string or a number. Its place is `at` of a grid, or `x_mm` and \
                        `y_mm` with `diameter_mm`, or with `width_mm` and `length_mm`. Places do not overlap. Where a worklist is held, \
                        `barcode` alone says what it holds.",
        "anyOf": [{"required": ["sample"]}, {"required": ["barcode"]}],
        "properties": {
            "at": {"type": "string", "description": "Row letter and column number of the grid", "pattern": "^[A-Z][1-9][0-9]?$"},
            "sample": name,
            "x_mm": place, "y_mm": place, "width_mm": size, "length_mm": size, "diameter_mm": size,
            "height_mm": {"type": "number", "minimum": -HIGHEST_MM, "maximum": HIGHEST_MM},
            "vars": {
                "type": "object", "description": "Numbers of the container, carried through to its results", "maxProperties": MOST_KEYS,
                "additionalProperties": {"type": "number"},
            },
        },
        "additionalProperties": {"type": ["string", "number"], "minLength": 1, "maxLength": LONGEST},
    });
    json_schema!({
        "type": "object",
        "description": "The tray map: which sample lies in which container",
        "x-checked-by": "Tray::check",
        "required": ["tray", "container"],
        "properties": {
            "tray": name,
            "keys": {"type": "array", "description": "The sample keys that every container gives", "items": name, "maxItems": MOST_KEYS},
            "grid": {
                "type": "object", "required": ["rows", "columns"], "additionalProperties": false,
                "properties": {
                    "rows": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
                    "columns": {"type": "integer", "minimum": 1, "maximum": MOST_COLUMNS},
                },
            },
            "container": {"type": "array", "minItems": 1, "maxItems": MOST_CONTAINERS, "items": container},
        },
        "additionalProperties": false,
    })
}
