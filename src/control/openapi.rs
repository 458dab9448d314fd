//! The OpenAPI 3.1 document of the control socket.

use super::call::{Content, Route, Takes, Verb};
use crate::problem::{PROBLEM_JSON, Problem};
use axum::http::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into())
}

/// Makes the schemas of requests. The document shows them, and every body is compared with them.
pub(super) fn of_requests() -> SchemaGenerator {
    settings().for_deserialize().into_generator()
}

/// The document of `routes`, with the schemas of the messages.
pub(super) fn document(routes: &[Route]) -> Value {
    // Requests and answers differ in their required fields, so each has a generator of its own.
    let mut requests = of_requests();
    let mut answers = settings().for_serialize().into_generator();
    let problem = answers.subschema_for::<Problem>().to_value();
    let mut paths = Map::new();
    for route in routes {
        let verb = match route.verb {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Put => "put",
            Verb::Delete => "delete",
        };
        let operation = operation(route, &problem, &mut requests, &mut answers);
        if let Some(path) = paths.entry(route.path).or_insert_with(|| json!({})).as_object_mut() {
            path.insert(verb.to_owned(), operation);
        }
    }
    let mut schemas = answers.take_definitions(true);
    schemas.extend(requests.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hyclus",
            "version": crate::VERSION,
            "summary": "Control of a rig for hyperspectral acquisition",
            "description": "HTTP/1.1 over a unix socket. The socket's group and mode decide who may connect, and control.roles \
                            who may do what. Changes are logged with the peer's uid, gid and pid. A request that is no HTTP, or whose \
                            head is larger than 32 KiB, is answered without a body (400, 414, 431) and the connection closed.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "http://localhost", "description": "Over /run/hyclus/control.sock; every request names a host, and any will do"}],
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The operation object of a route.
fn operation(route: &Route, problem: &Value, requests: &mut SchemaGenerator, answers: &mut SchemaGenerator) -> Value {
    let content = match route.content {
        Content::Json(schema) => json!({"application/json": {"schema": schema(answers)}}),
        Content::Live => json!({"application/vnd.hyclus.live": {"schema": {"type": "string", "contentEncoding": "binary"}}}),
        Content::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
        Content::Document => json!({"application/json": {"schema": {"type": "object"}}}),
        // OpenAPI 3.1 has no key for the items of a stream. 3.2 calls it `itemSchema`.
        Content::Events(schema) => json!({"text/event-stream": {"x-item-schema": schema(answers)}}),
    };
    let mut responses = Map::new();
    responses.insert(route.status.as_str().to_owned(), json!({"description": reason(route.status), "content": content}));
    for status in [400, 403, 503].iter().chain(route.problems).filter_map(|s| StatusCode::from_u16(*s).ok()) {
        let content = json!({PROBLEM_JSON: {"schema": problem}});
        responses.insert(status.as_str().to_owned(), json!({"description": reason(status), "content": content}));
    }
    if route.may_fail {
        let also = json!({"schema": responses["200"]["content"]["application/json"]["schema"]});
        responses["503"]["content"]["application/json"] = also;
        responses["503"]["description"] = json!("All is not well, or too many connections are open");
    }
    if route.status == StatusCode::CREATED {
        responses["201"]["headers"] = json!({"Location": {"description": "Path of the record", "schema": {"type": "string"}}});
    }
    let mut operation = json!({
        "operationId": route.name, "summary": route.summary, "responses": responses, "x-role": route.role.to_string(),
    });
    let mut parameters = Vec::new();
    if route.path.contains("{id}") {
        parameters.push(json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}));
    }
    if matches!(route.content, Content::Events(_) | Content::Live) {
        let about = "Number of the last event that was seen";
        parameters.push(json!({"name": "Last-Event-ID", "in": "header", "description": about,
            "schema": {"type": "integer", "minimum": 0}}));
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    let schema = match route.body {
        Takes::Nothing => return operation,
        Takes::Json(schema) => schema(requests).to_value(),
        Takes::Model => json!({"type": "string", "contentEncoding": "binary"}),
    };
    operation["requestBody"] = json!({"required": !route.body_optional, "content": {route.body.form().0: {"schema": schema}}});
    operation
}

/// Description of a status code in the document.
fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "Done",
        201 => "Accepted",
        400 => "The request cannot be read, or names no host",
        403 => "The peer's role does not allow it",
        404 => "There is no such thing",
        408 => "The body did not arrive in time",
        409 => "The rig is not ready",
        413 => "The body is larger than 1 MiB, a model than 256 MiB",
        422 => "The request is wrong, or the reference is refused",
        429 => "Too many follow the events",
        502 => "A device failed or refused",
        503 => "Too many connections are open",
        507 => "The disk has no room, or is too slow",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}
