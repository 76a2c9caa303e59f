//! One route: where it is, what it takes, what it answers, how it refuses, and who does it.

use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::api::refusal::Code;
use crate::daemon::handle::Handle;

/// The shape of something, asked of a generator that collects what it refers to.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a success looks like.
#[derive(Clone, Copy)]
pub enum Body {
    Json(Shape),
    /// A media type, and the shape of what is in it where it has one.
    Other(&'static str, Option<Shape>),
}

pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub about: &'static str,
    /// The keys of its query.
    pub query: Option<Shape>,
    pub takes: Option<Shape>,
    pub status: u16,
    pub answers: Vec<Body>,
    /// Beside what any route may refuse with.
    pub refusals: Vec<Code>,
    pub handler: MethodRouter<Handle>,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Whole, not by reference.
fn keys<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

impl Route {
    fn new(method: &'static str, path: &'static str, about: &'static str, handler: MethodRouter<Handle>) -> Self {
        let (answers, refusals) = (Vec::new(), Vec::new());
        Self { method, path, about, query: None, takes: None, status: 200, answers, refusals, handler }
    }

    pub fn get(path: &'static str, about: &'static str, handler: MethodRouter<Handle>) -> Self {
        Self::new("get", path, about, handler)
    }

    pub fn post(path: &'static str, about: &'static str, handler: MethodRouter<Handle>) -> Self {
        Self::new("post", path, about, handler)
    }

    pub fn put(path: &'static str, about: &'static str, handler: MethodRouter<Handle>) -> Self {
        Self::new("put", path, about, handler)
    }

    /// The keys of its query.
    pub fn asks<T: JsonSchema>(self) -> Self {
        Self { query: Some(keys::<T>), ..self }
    }

    /// A body in JSON, which may be left out where every key of it may.
    pub fn takes<T: JsonSchema>(self) -> Self {
        Self { takes: Some(shape::<T>), ..self }
    }

    /// One of several, when it is said again.
    pub fn answers<T: JsonSchema>(mut self) -> Self {
        self.answers.push(Body::Json(shape::<T>));
        self
    }

    pub fn answers_in(mut self, media: &'static str, of: Option<Shape>) -> Self {
        self.answers.push(Body::Other(media, of));
        self
    }

    /// As a stream of such.
    pub fn streams<T: JsonSchema>(self) -> Self {
        self.answers_in("text/event-stream", Some(shape::<T>))
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn may(mut self, refusals: &[Code]) -> Self {
        self.refusals.extend(refusals);
        self
    }
}
