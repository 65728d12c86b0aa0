//! Responses, judged by an OpenAPI document.

mod body;
mod future;
mod layer;
mod service;

pub use self::body::JudgedBody;
pub use self::future::ResponsesFuture;
pub use self::layer::{ValidateResponses, ValidateResponsesLayer};
pub use self::service::ValidateResponsesService;
