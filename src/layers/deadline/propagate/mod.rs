//! Telling the next server how much time is left.

mod layer;
mod service;

pub use self::layer::PropagateDeadlineLayer;
pub use self::service::PropagateDeadlineService;
