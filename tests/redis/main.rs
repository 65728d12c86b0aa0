//! What instances share through Redis, against a server that each test starts and breaks.
#![cfg(feature = "redis")]

mod limits;
mod outages;
mod support;
mod values;
