//! The stack, through its public API.
#![cfg(all(
    feature = "auth",
    feature = "cache",
    feature = "deadline",
    feature = "load-shed",
    feature = "rate-limit",
    feature = "security-headers",
    feature = "validate"
))]

mod order;
mod support;
