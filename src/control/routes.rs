//! The routes of the control socket: one table, from which router and OpenAPI document are built.

use super::access::Role;
use super::call::{Answer, Call, Content, Route, Takes, Verb};
use super::{events, live, openapi};
use crate::json;
use crate::problem::Problem;
use crate::rig::{
    ArchivedRequest, CheckRequest, Checked, ConveyorRequest, LightingRequest, ReferenceRequest, Refusal, ScanRequest, Sheet, Trays,
    WorklistRequest,
};
use crate::scan::{DeviceStatus, EncoderStatus, Fault, Liveness, Readiness, ReferenceKind, ReferenceStatus, ScanRecord, Status};
use crate::telemetry::metrics::CONTENT_TYPE;
use crate::worklist::WorklistStatus;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

/// The schema of a message.
fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A call that reads.
const GET: Route = Route {
    verb: Verb::Get,
    path: "",
    role: Role::Observe,
    name: "",
    summary: "",
    body: Takes::Nothing,
    body_optional: false,
    status: StatusCode::OK,
    content: Content::Document,
    may_fail: false,
    problems: &[],
    handle: |_| Box::pin(async { Err(Problem::plain(StatusCode::NOT_IMPLEMENTED, "there is no handler").into()) }),
};
const POST: Route = Route { verb: Verb::Post, role: Role::Operate, ..GET };
const PUT: Route = Route { verb: Verb::Put, role: Role::Operate, ..GET };
/// A call that takes a reference.
const REFERENCE: Route = Route {
    body: Takes::Json(of::<ReferenceRequest>),
    body_optional: true,
    content: Content::Json(of::<Vec<ReferenceStatus>>),
    problems: &[408, 409, 413, 415, 422, 502],
    ..POST
};

fn take_reference(call: Call, kind: ReferenceKind) -> Answer {
    Box::pin(async move {
        let request: ReferenceRequest = body_or_default(&call.body)?;
        if request.accept_change && call.role < Role::Administer {
            return Err(Problem::forbidden(call.role, Role::Administer, "accepts a change").into());
        }
        as_json(call.operations.reference(kind, request, call.peer).await?)
    })
}

/// Every route.
pub(super) static ROUTES: [Route; 26] = [
    Route {
        path: "/v1/status",
        name: "status",
        summary: "State, devices, references and their age, disk, queue fill, progress of the scan that runs",
        content: Content::Json(of::<Status>),
        handle: |call| Box::pin(async move { as_json(call.operations.status().await) }),
        ..GET
    },
    Route {
        path: "/v1/scans",
        name: "startScan",
        summary: "Starts a scan and answers with its record; the scan goes on by itself",
        body: Takes::Json(of::<ScanRequest>),
        status: StatusCode::CREATED,
        content: Content::Json(of::<ScanRecord>),
        problems: &[404, 408, 409, 413, 415, 422, 502, 507],
        handle: |call| {
            Box::pin(async move {
                let request: ScanRequest = body(&call.body)?;
                let record = call.operations.start_scan(request, call.peer).await?;
                let location = format!("/v1/scans/{}", record.id);
                Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(record)).into_response())
            })
        },
        ..POST
    },
    Route {
        path: "/v1/scans",
        name: "scans",
        summary: "Every scan under the data root, oldest first",
        content: Content::Json(of::<Vec<ScanRecord>>),
        handle: |call| Box::pin(async move { as_json(call.operations.scans().await) }),
        ..GET
    },
    Route {
        path: "/v1/scans/{id}",
        name: "scan",
        summary: "One scan, with its sums, samples and files",
        content: Content::Json(of::<ScanRecord>),
        problems: &[404],
        handle: |call| Box::pin(async move { as_json(call.operations.scan(&call.id).await?) }),
        ..GET
    },
    Route {
        path: "/v1/scans/{id}/stop",
        name: "stopScan",
        summary: "Ends a scan early and keeps what was scanned, marked incomplete",
        content: Content::Json(of::<ScanRecord>),
        problems: &[404, 409, 502],
        handle: |call| Box::pin(async move { as_json(call.operations.stop_scan(&call.id, call.peer).await?) }),
        ..POST
    },
    Route {
        path: "/v1/scans/{id}/archived",
        role: Role::Administer,
        name: "archived",
        summary: "Notes that an ended scan lies in an archive, and removes its files here that are not to stay; refused while the rig works",
        body: Takes::Json(of::<ArchivedRequest>),
        content: Content::Json(of::<ScanRecord>),
        problems: &[404, 408, 409, 413, 415, 422, 507],
        handle: |call| {
            Box::pin(async move {
                let request = body(&call.body)?;
                as_json(call.operations.archived(&call.id, request, call.peer).await?)
            })
        },
        ..PUT
    },
    Route {
        path: "/v1/references/dark",
        name: "darkReference",
        summary: "Takes the dark reference of every camera; a bad one is refused with the figure that failed",
        handle: |call| take_reference(call, ReferenceKind::Dark),
        ..REFERENCE
    },
    Route {
        path: "/v1/references/white",
        name: "whiteReference",
        summary: "Takes the white reference of every camera; a bad one is refused with the figure that failed",
        handle: |call| take_reference(call, ReferenceKind::White),
        ..REFERENCE
    },
    Route {
        path: "/v1/lighting",
        name: "lighting",
        summary: "Sets the level of one lamp or of all; refused while scanning",
        body: Takes::Json(of::<LightingRequest>),
        content: Content::Json(of::<Vec<DeviceStatus>>),
        problems: &[404, 408, 409, 413, 422, 502],
        handle: |call| {
            Box::pin(async move {
                let request = body(&call.body)?;
                as_json(call.operations.lighting(request, call.peer).await?)
            })
        },
        ..PUT
    },
    Route {
        path: "/v1/conveyor",
        name: "conveyor",
        summary: "Runs the belt, moves it to a position, or stops it; refused while scanning",
        body: Takes::Json(of::<ConveyorRequest>),
        content: Content::Json(of::<DeviceStatus>),
        problems: &[408, 409, 413, 415, 422, 502],
        handle: |call| {
            Box::pin(async move {
                let request = body(&call.body)?;
                as_json(call.operations.conveyor(request, call.peer).await?)
            })
        },
        ..PUT
    },
    Route {
        path: "/v1/encoders",
        name: "encoders",
        summary: "The encoders and the models that they run",
        content: Content::Json(of::<Vec<EncoderStatus>>),
        handle: |call| Box::pin(async move { as_json(call.operations.encoders().await) }),
        ..GET
    },
    Route {
        path: "/v1/encoders/{id}",
        role: Role::Administer,
        name: "replaceEncoder",
        summary: "Puts an ONNX model in the place of an encoder's model, from the next scan on, after the checks of a start; refused while \
                  scanning",
        body: Takes::Model,
        content: Content::Json(of::<EncoderStatus>),
        problems: &[404, 408, 409, 413, 415, 422, 502, 507],
        handle: |call| {
            Box::pin(async move {
                if call.body.is_empty() {
                    return Err(Problem::plain(StatusCode::BAD_REQUEST, "the body is empty; it must be an ONNX model").into());
                }
                as_json(call.operations.replace_encoder(&call.id, call.body.into(), call.peer).await?)
            })
        },
        ..PUT
    },
    Route {
        verb: Verb::Delete,
        path: "/v1/encoders/{id}",
        role: Role::Administer,
        name: "restoreEncoder",
        summary: "Goes back to the configured model of an encoder, from the next scan on; refused while scanning",
        content: Content::Json(of::<EncoderStatus>),
        problems: &[404, 409, 422, 502, 507],
        handle: |call| Box::pin(async move { as_json(call.operations.restore_encoder(&call.id, call.peer).await?) }),
        ..PUT
    },
    Route {
        path: "/v1/stop",
        role: Role::Observe,
        name: "emergencyStop",
        summary: "Emergency: the belt stops, the lamps go off, a scan is closed as incomplete, and the rig is faulted until somebody \
                  acknowledges it; never refused",
        content: Content::Json(of::<Status>),
        handle: |call| Box::pin(async move { as_json(call.operations.emergency_stop(call.peer).await) }),
        ..POST
    },
    Route {
        path: "/v1/acknowledge",
        name: "acknowledge",
        summary: "Takes note of a fault or an emergency stop, so that the rig is idle again; starts nothing",
        content: Content::Json(of::<Status>),
        problems: &[409, 502],
        handle: |call| Box::pin(async move { as_json(call.operations.acknowledge(call.peer).await?) }),
        ..POST
    },
    Route {
        path: "/v1/health/live",
        name: "live",
        summary: "Whether the daemon does its work: 503 with the stages that have work and do none, until it is restarted",
        content: Content::Json(of::<Liveness>),
        may_fail: true,
        handle: |call| {
            Box::pin(async move {
                let health = call.operations.liveness();
                Ok((health_status(health.alive), Json(health)).into_response())
            })
        },
        ..GET
    },
    Route {
        path: "/v1/health/ready",
        name: "ready",
        summary: "Whether a scan could be asked for: 503 with what is missing, such as a device or room on the disk",
        content: Content::Json(of::<Readiness>),
        may_fail: true,
        handle: |call| {
            Box::pin(async move {
                let health = call.operations.readiness().await;
                Ok((health_status(health.ready), Json(health)).into_response())
            })
        },
        ..GET
    },
    Route {
        path: "/v1/events",
        name: "events",
        summary: "Server-sent events, those that are still held first; `Last-Event-ID` resumes behind that event. An event \
                  `lagged` with `{\"missed\": number or null}` tells of events that are no longer held",
        content: Content::Events(of::<crate::scan::Event>),
        problems: &[429],
        handle: |call| Box::pin(async move { events::follow(call) }),
        ..GET
    },
    Route {
        path: "/v1/live",
        name: "liveTap",
        summary: "The live tap: pictures, ledger, outlines, events and status as binary messages without end (docs/live.md). \
                  `?bands=vnir:10,20,30;grid:5` names the bands that are wanted; `Last-Event-ID` resumes the events",
        content: Content::Live,
        problems: &[429],
        handle: |call| Box::pin(async move { live::follow(call) }),
        ..GET
    },
    Route {
        path: "/v1/metrics",
        name: "metrics",
        summary: "The metrics in Prometheus' text format, as the read-only listener has them",
        content: Content::Text,
        handle: |call| Box::pin(async move { Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], call.operations.metrics()).into_response()) }),
        ..GET
    },
    Route {
        path: "/v1/trays/check",
        role: Role::Observe,
        name: "checkTray",
        summary: "Checks a tray map as a scan would, and lists every fault; starts nothing",
        body: Takes::Json(of::<CheckRequest>),
        content: Content::Json(of::<Checked>),
        problems: &[408, 413, 415, 422],
        handle: |call| {
            Box::pin(async move {
                let request: CheckRequest = body(&call.body)?;
                as_json(Checked { faults: call.operations.check_tray(&request.tray) })
            })
        },
        ..POST
    },
    Route {
        path: "/v1/trays/worklist",
        role: Role::Observe,
        name: "worklist",
        summary: "Turns a worklist, in CSV or as rows, into tray maps with every fault of each; starts nothing",
        body: Takes::Json(of::<WorklistRequest>),
        content: Content::Json(of::<Trays>),
        problems: &[408, 413, 415, 422],
        handle: |call| {
            Box::pin(async move {
                let request: WorklistRequest = body(&call.body)?;
                let maps = request.maps().map_err(|faults| Refusal::Invalid { faults })?;
                let sheet = |tray| Sheet { faults: call.operations.check_tray(&tray), tray };
                as_json(Trays { trays: maps.into_iter().map(sheet).collect() })
            })
        },
        ..POST
    },
    Route {
        path: "/v1/worklist",
        name: "heldWorklist",
        summary: "The worklist that is held, and which of its samples were scanned, scanned again, or are missing",
        content: Content::Json(of::<WorklistStatus>),
        problems: &[404, 507],
        handle: |call| Box::pin(async move { as_json(call.operations.worklist().await?) }),
        ..GET
    },
    Route {
        path: "/v1/worklist",
        role: Role::Operate,
        name: "putWorklist",
        summary: "Holds a worklist, in CSV or as rows, in the place of the one before it; refused with every fault",
        body: Takes::Json(of::<WorklistRequest>),
        content: Content::Json(of::<WorklistStatus>),
        problems: &[408, 413, 415, 422, 507],
        handle: |call| {
            Box::pin(async move {
                let request: WorklistRequest = body(&call.body)?;
                as_json(call.operations.put_worklist(request, call.peer).await?)
            })
        },
        ..PUT
    },
    Route {
        verb: Verb::Delete,
        path: "/v1/worklist",
        role: Role::Operate,
        name: "removeWorklist",
        summary: "Holds no worklist any longer, and answers how far it was",
        content: Content::Json(of::<WorklistStatus>),
        problems: &[404, 507],
        handle: |call| Box::pin(async move { as_json(call.operations.remove_worklist(call.peer).await?) }),
        ..PUT
    },
    Route {
        path: "/v1/openapi.json",
        name: "openapi",
        summary: "This document",
        handle: |_| Box::pin(async { as_json(openapi_document()) }),
        ..GET
    },
];

/// Every route of the control socket, as method and path pattern.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|route| {
        let verb = match route.verb {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        };
        (verb, route.path)
    })
}

/// The OpenAPI 3.1 document of the control socket.
pub fn openapi_document() -> serde_json::Value {
    openapi::document(&ROUTES)
}

/// The status of a health call.
pub(super) fn health_status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn as_json<T: serde::Serialize>(value: T) -> Result<Response, Box<Problem>> {
    Ok(Json(value).into_response())
}

/// Reads a body that may be left out.
fn body_or_default<T: DeserializeOwned + Default + JsonSchema>(bytes: &[u8]) -> Result<T, Box<Problem>> {
    if bytes.is_empty() { Ok(T::default()) } else { body(bytes) }
}

/// Reads a body. The body is compared with the schema of the document, so that the two are one.
fn body<T: DeserializeOwned + JsonSchema>(bytes: &[u8]) -> Result<T, Box<Problem>> {
    if bytes.is_empty() {
        return Err(Problem::plain(StatusCode::BAD_REQUEST, "the body is empty; it must be JSON").into());
    }
    let invalid = |faults: Vec<Fault>| -> Box<Problem> { Refusal::Invalid { faults }.into() };
    let value = json::parse(bytes).map_err(|error| match error.is_data() {
        true => invalid(vec![Fault::new("", error.to_string())]),
        false => Problem::plain(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}")).into(),
    })?;
    let mut schemas = openapi::of_requests();
    let schema = schemas.subschema_for::<T>().to_value();
    let misfits = json::misfits(&value, &schema, &schemas.take_definitions(true));
    if !misfits.is_empty() {
        return Err(invalid(misfits.into_iter().map(|misfit| Fault::new(misfit.path, misfit.problem)).collect()));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        invalid(vec![Fault::new(path, error.into_inner().to_string())])
    })
}
