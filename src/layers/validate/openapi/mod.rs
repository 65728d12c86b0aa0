//! OpenAPI documents: a compiler (document, schemas, parameters, bodies) and the judgement of requests by what it makes.

mod bundle;
mod decode;
mod description;
mod discriminator;
mod document;
mod fields;
mod hidden;
mod keywords;
mod look;
mod media;
mod operation;
mod parameter;
mod paths;
mod responses;
mod schema;
mod shape;
mod template;

pub use self::description::{OpenApi, UnknownQuery};
pub(super) use self::operation::Operation;
pub(super) use self::responses::{Described, Responses, check_body};
pub(super) use self::template::PathTemplate;
