//! Input validation: what is malformed, too large, or can be read in two ways does not come in.
//!
//! # When to use it
//!
//! Around everything that strangers can reach. Without any setting it hardens a service: heads are checked, and bodies
//! that say they are JSON or a form are read strictly and handed on as they came.
//!
//! ```
//! use tower_rampart::validate::Validate;
//!
//! let layer = Validate::new().build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! With the requests that there are, described:
//!
//! ```
//! use std::time::Duration;
//! use http::Method;
//! use tower_rampart::validate::{Check, Limits, Route, UnknownPaths, Validate};
//!
//! let layer = Validate::new()
//!     .limits(Limits::new().body_bytes(32 << 10).body_timeout(Duration::from_secs(5)).json_depth(8))
//!     .add_route(Route::new(Method::GET, "/v1/polls"))
//!     .add_route(Route::new(Method::POST, "/v1/polls").json())
//!     .add_route(Route::new(Method::PUT, "/v1/polls/{id}/picture").any_body().body_bytes(1 << 20))
//!     .unknown_paths(UnknownPaths::Refuse)
//!     // Not sure yet what this would refuse.
//!     .report(Check::MethodOverride)
//!     .build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # What is checked
//!
//! Of every head, in this order: the method; the length of the target; the path, which is refused where two servers may
//! read it in two ways (`..`, `//`, `%2F`, `%5C`, `%00`, control characters, broken or twofold escapes, what is not
//! UTF-8), and never rewritten; the query; the fields, their number and length, and those that stand twice although they
//! stand once (`Host`, `Content-Type`, `Authorization`, ...); fields that name another method. Then, where bodies are
//! read, the content type and encoding; and on every path the length that the body says it has, before a byte of it is
//! asked for, so that a client that waits for `100 Continue` never sends it.
//!
//! # Bodies
//!
//! What a body is, its one content type says, in UTF-8: a missing one is 415, and none is taken for something by its looks.
//!
//! | content type | is | on a route with |
//! |---|---|---|
//! | `application/json`, `application/*+json` | read before the service is called: UTF-8 without a mark, no member twice (after unescaping), nothing after the value, no lone surrogate, no NUL, bounded in depth, items, strings, names and numbers | [`Route::json`], [`Route::schema`](#json-schema) |
//! | `application/x-www-form-urlencoded` | read as well: bounded in fields, and text once decoded | [`Route::form`] |
//! | `multipart/form-data` | followed while it streams through: parts bounded in number and length, boundaries, names and types that everybody reads alike, no form within a form | [`Route::multipart`] |
//! | `application/grpc*`, but for gRPC-Web's base64 | followed as well: each message bounded, none compressed unless that is said | [`Route::grpc`] |
//! | any other | streams through, bounded in length and time | [`Route::any_body`] |
//!
//! A route takes its own type and refuses others (415); [`Route::any_body`] takes all and looks into none. A body where none
//! may be, or none where one must be, is 400. Without routes, every body is looked at by what it says it is; with routes, theirs
//! alone are, unless [`Validate::read_all_bodies`] says otherwise.
//!
//! What streams through is there as it comes, and nothing of it is kept. Where it turns out to be wrong it ends with an
//! error, and the layer answers in the stead of whatever the service makes of that, as long as the service has not answered
//! before: so a handler of uploads keeps nothing for good before the body has ended.
//!
//! # Replay
//!
//! The service gets the bytes and trailers that came, no others, whatever was looked at: one frame stays the same `Bytes`,
//! lengths and encodings stay as they were. It sees `Request<CheckedBody<B>>`, which axum's, tonic's and hyper's services take,
//! and must be `Clone`, since a body that is read has to be waited for.
//!
//! With feature `decompression`, JSON and forms may come as `gzip`, `deflate` or `br`, if [`Validate::content_encodings`] has
//! them. They are looked at decoded, by schemas and hooks too, and go on as they came, so that the service decodes them itself.
//! What decoders could differ about is refused: two codings in a row, something behind the stream, a sum that is wrong. What
//! comes out is bounded by `decoded_bytes`, and no more than that is made of it.
//!
//! # JSON Schema
//!
//! With feature `json-schema` a route's JSON can be described by a `Schema`, of drafts 4 to 2020-12. It is compiled when the
//! layer is built, offline whatever it refers to; breaches are told in the schema's words, at most 16 at once. In bodies of
//! more than 16 KiB the first is told alone, and none in particular where alternatives (`anyOf`, `oneOf`) would multiply what
//! it costs to look for them.
//!
//! The value that was judged is handed on in the request's extensions as `ParsedJson`, from which a handler fills its types
//! without parsing anything once more; in axum, by the extractor `Validated`. Routes without a schema make no value, unless they
//! say [`parsed`](#json-schema):
//!
#![cfg_attr(all(feature = "axum", feature = "json-schema"), doc = "```")]
#![cfg_attr(not(all(feature = "axum", feature = "json-schema")), doc = "```ignore")]
//! use axum::{Router, routing::post};
//! use http::Method;
//! use tower_rampart::axum::Validated;
//! use tower_rampart::validate::{Route, Schema, Validate};
//!
//! #[derive(serde::Deserialize)]
//! struct Poll {
//!     question: String,
//! }
//!
//! async fn create(Validated(poll): Validated<Poll>) -> String {
//!     poll.question
//! }
//!
//! let schema = Schema::new(r#"{ "properties": { "question": { "type": "string" } }, "required": ["question"] }"#)?;
//! let app: Router = Router::new()
//!     .route("/v1/polls", post(create))
//!     .layer(Validate::new().add_route(Route::new(Method::POST, "/v1/polls").schema(schema)).build()?);
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # OpenAPI
//!
//! With feature `openapi` a document of version 3.0, 3.1 or, where it means the same, 3.2 describes all requests of an API.
//! It is compiled when it is read, and everything that is wrong with it is told at once, each with its JSON pointer; what it
//! says of responses, when those are to be judged. References lead to places of the document itself.
//!
#![cfg_attr(feature = "openapi", doc = "```")]
#![cfg_attr(not(feature = "openapi"), doc = "```ignore")]
//! use tower_rampart::validate::{OpenApi, UnknownPaths, Validate};
//!
//! let document = r#"{
//!     "openapi": "3.1.0",
//!     "info": { "title": "Polls", "version": "1" },
//!     "paths": {
//!         "/polls/{id}": {
//!             "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } }],
//!             "get": { "security": [{ "bearer": [] }] }
//!         }
//!     },
//!     "components": { "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } } }
//! }"#;
//! // An authentication layer further out checks them; without a word about it the layer is not built.
//! let api = OpenApi::from_json(document)?.base_path("/v1").bound_security(["bearer"]);
//! let layer = Validate::new().add_openapi(api).unknown_paths(UnknownPaths::Refuse).build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! - **Paths** are matched as they were asked for, decoded, the concrete before the templated (`/polls/mine` before
//!   `/polls/{id}`); a segment may have several parameters (`/{name}.{format}`). What stands before them is the path of the
//!   first server, unless it is said. Layers further in find the template as a `RouteTemplate`.
//! - **Parameters** in paths, queries, fields and cookies are read in all styles, and are what their schemas make of them:
//!   numbers as JSON writes them, `true`, `false`. What separates is not escaped, and what is escaped is data. A single value
//!   stands once; a query parameter that neither a parameter nor a security scheme describes is refused, unless it may be
//!   there. `limit=` is an empty value.
//! - **Bodies** are judged by the narrowest media type that they fall under; others are 415. JSON and forms are judged by
//!   their schemas, everything else streams through. Forms become objects as their `encoding` says.
//! - **Schemas** mean what their version says: `nullable` and boolean exclusive limits in 3.0, JSON Schema 2020-12 since.
//!   `readOnly` members are refused and not required of clients. A discriminator chooses the schema that judges. Number
//!   formats are ranges, formats of texts are judged where they are known, and told by [`OpenApi::warnings`] where not.
//! - **Responses** are judged by a layer of their own, [`ValidateResponses`], if you put it there.
//!
//! What is not followed: `$id`, anchors and dynamic references, other dialects, `in: querystring`, `defaultMapping`. Patterns that take more than
//! linear time are errors, as elsewhere. XML and multipart bodies are not judged by schemas.
//!
//! # Memory
//!
//! Bodies that are read are held until the service has taken them: at most `body_bytes` each, so that all of them are at most
//! that times the requests that are looked at at once, and `buffer_bytes` together, what comes out of compressed ones counted;
//! beyond, requests are answered 503. A value that is handed on lives as long as the request's extensions and is not among
//! them: it has up to 50 bytes for each element and 150 for each member, of at most `json_items`, beside its texts. What streams through is not held.
//!
//! # What the client sees
//!
//! | | HTTP | gRPC |
//! |---|---|---|
//! | a path, query, header, parameter or method override that is wrong; JSON, a form or an encoding that cannot be read | 400 | 3 |
//! | an unknown path, where those are refused | 404 | 12 |
//! | a method that is not there, with `Allow` | 405 | 12 |
//! | a body that does not arrive in time | 408 | 4 |
//! | one that is too long, as it came or decoded; a part or a gRPC message that is | 413 | 8 |
//! | a gRPC message that is compressed | 501 | 12 |
//! | a target that is too long | 414 | 3 |
//! | a content type or encoding that is not taken | 415 | 3 |
//! | too many or too long header fields | 431 | 3 |
//! | a body that is not as its schema describes it | 422 | 3 |
//! | a response that is not as described, where those are judged | 500 | 13 |
//! | no room to read more bodies, `Retry-After` | 503 | 14 |
//!
//! Problems have an `errors` member: `in`, `pointer` or `name`, `keyword` and `detail`. They hold nothing of the request
//! but names of members in pointers, cut and without control characters. Reports hold the check and the pointer.
//!
//! # Order
//!
//! Inside authentication and authorization, so that nothing is read for a stranger, and no schema is told to one; inside
//! rate limits, since reading is what costs; outside caches and handlers, and outside whatever decompresses requests, so that
//! the bound on what is read is one on what was sent.
//!
//! # Cost
//!
//! What streams through, and requests without a body, allocate nothing but what escapes in their path or query take, unless an
//! OpenAPI document describes them: its template is handed on, which takes three allocations, and its query is taken apart,
//! which takes one. A multipart form costs its boundary, its state and the heads of its parts; a file is searched for line
//! ends, some sixteen bytes at a time. A body that is read is walked once. A megabyte of whatever is hostile in JSON is refused
//! at the first limit it meets; `benches/instructions.rs` counts what each kind costs with the limits off.

mod body;
mod breach;
mod content;
mod describe;
#[cfg(feature = "openapi")]
mod described;
mod end;
mod future;
mod grpc;
mod head;
mod inside;
mod inspect;
mod judge;
mod layer;
mod limits;
mod media;
mod multipart;
#[cfg(feature = "openapi")]
mod openapi;
#[cfg(feature = "json-schema")]
pub(crate) mod parsed;
mod part_head;
mod read_body;
#[cfg(feature = "openapi")]
mod responses;
mod route;
#[cfg(feature = "json-schema")]
mod schema;
mod service;

pub use self::body::CheckedBody;
pub use self::breach::Check;
pub use self::future::ResponseFuture;
pub use self::inspect::{Decision, Inspect, Part};
pub use self::layer::{UnknownPaths, Validate, ValidateLayer};
pub use self::limits::Limits;
pub use self::media::MediaType;
#[cfg(feature = "openapi")]
pub use self::openapi::{OpenApi, UnknownQuery};
#[cfg(feature = "json-schema")]
pub use self::parsed::{NotOfType, ParsedJson};
#[cfg(feature = "openapi")]
pub use self::responses::{
    JudgedBody, ResponsesFuture, ValidateResponses, ValidateResponsesLayer, ValidateResponsesService,
};
pub use self::route::Route;
#[cfg(feature = "json-schema")]
pub use self::schema::Schema;
pub use self::service::ValidateService;
