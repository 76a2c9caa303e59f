//! The table of routes as an OpenAPI 3.1 document.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::body::{Body as HttpBody, Bytes};
use axum::http::Response;
use axum::response::IntoResponse;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::route::{Body, Route};
use super::table::routes;
use crate::api::refusal::Code;
use crate::api::types::ErrorBody;

/// Where shapes stand in the document.
const SHAPES: &str = "/components/schemas";
/// What any route may refuse with: what is asked cannot be read, is too much or too slow, comes over TCP without the token,
/// is not for this caller, or the daemon is at its end.
const ANY: [Code; 7] = [
    Code::BadRequest,
    Code::TooLarge,
    Code::TooSlow,
    Code::Unauthorized,
    Code::Forbidden,
    Code::Internal,
    Code::ShuttingDown,
];

pub async fn openapi() -> Response<HttpBody> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let made = || serde_json::to_vec_pretty(&document(&routes())).unwrap_or_default().into();
    ([("content-type", "application/json")], DOCUMENT.get_or_init(made).clone()).into_response()
}

/// What is asked and what is answered are described apart: a key that may be left out of a question is always in an answer.
struct Shapes {
    asked: SchemaGenerator,
    answered: SchemaGenerator,
}

pub fn document(routes: &[Route]) -> Value {
    let settings = || SchemaSettings::draft2020_12().with(|s| s.definitions_path = SHAPES.into());
    let mut shapes = Shapes {
        asked: settings().for_deserialize().into_generator(),
        answered: settings().for_serialize().into_generator(),
    };
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        paths.entry(route.path).or_default().insert(route.method.into(), operation(route, &mut shapes));
    }
    let error = shapes.answered.subschema_for::<ErrorBody>();
    let mut all = shapes.answered.take_definitions(true);
    for (name, shape) in shapes.asked.take_definitions(true) {
        all.entry(name).or_insert(shape);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "beadle",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON over the Unix socket: curl --unix-socket \"$BEADLE_SOCKET\" http://beadle/api/active-sessions. \
                Over TCP, where the config allows it, with a bearer token.",
        },
        "servers": [{ "url": "http://beadle", "description": "over the Unix socket; the name of the host does not matter" }],
        "security": [{}, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": all,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "responses": { "Error": {
                "description": "It is not done, and why",
                "content": { "application/json": { "schema": error } },
            } },
        },
    })
}

fn operation(route: &Route, shapes: &mut Shapes) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" },
            "description": "An id, the beginning of one, or a name" })
        })
        .collect();
    if let Some(query) = route.query {
        parameters.extend(in_query(&query(&mut shapes.asked)));
    }
    let mut operation = json!({
        "operationId": name_of(route),
        "summary": route.about,
        "responses": responses(route, shapes),
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(takes) = route.takes {
        let schema = takes(&mut shapes.asked);
        let required = needs_a_body(&schema, &shapes.asked);
        operation["requestBody"] =
            json!({ "required": required, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// A body of which every key may be left out may be left out itself.
fn needs_a_body(schema: &Schema, shapes: &SchemaGenerator) -> bool {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next()).unwrap_or_default();
    let shape = shapes.definitions().get(name).unwrap_or(schema.as_value());
    shape.get("required").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty())
}

fn in_query(shape: &Schema) -> Vec<Value> {
    let of = |key: &str| shape.get(key).cloned().unwrap_or_default();
    let required: Vec<String> = serde_json::from_value(of("required")).unwrap_or_default();
    let keys = of("properties").as_object().cloned().unwrap_or_default();
    let one = |(name, mut schema): (String, Value)| {
        let about = schema.as_object_mut().and_then(|s| s.remove("description")).unwrap_or_default();
        json!({ "name": name, "in": "query", "required": required.contains(&name), "description": about, "schema": schema })
    };
    keys.into_iter().map(one).collect()
}

fn responses(route: &Route, shapes: &mut Shapes) -> Value {
    let mut content = Map::new();
    for body in &route.answers {
        let (media, schema) = match body {
            Body::Json(shape) => ("application/json", Some(shape(&mut shapes.answered).to_value())),
            Body::Other(media, shape) => (*media, shape.map(|shape| shape(&mut shapes.answered).to_value())),
        };
        add(&mut content, media, schema);
    }
    let mut responses = Map::new();
    responses.insert(route.status.to_string(), json!({ "description": "Done", "content": content }));
    let mut refusals: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in ANY.iter().chain(&route.refusals) {
        let codes = refusals.entry(code.status()).or_default();
        if !codes.contains(&code.as_str()) {
            codes.push(code.as_str());
        }
    }
    for (status, codes) in refusals {
        let refusal = json!({ "$ref": "#/components/responses/Error", "description": codes.join(", ") });
        responses.insert(status.to_string(), refusal);
    }
    responses.into()
}

/// Several shapes of one media type are one of them.
fn add(content: &mut Map<String, Value>, media: &str, schema: Option<Value>) {
    let entry = content.entry(media).or_insert_with(|| json!({}));
    let Some(schema) = schema else { return };
    entry["schema"] = match entry.get("schema").cloned() {
        None => schema,
        Some(before) => match before.get("oneOf").and_then(Value::as_array) {
            Some(several) => json!({ "oneOf": several.iter().cloned().chain([schema]).collect::<Vec<_>>() }),
            None => json!({ "oneOf": [before, schema] }),
        },
    };
}

/// `post_api_sessions_id_kill`
fn name_of(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(route.method).chain(words).collect::<Vec<_>>().join("_")
}
