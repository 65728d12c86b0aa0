//! Authorization: who may do what, by a table of rules. What no rule allows is refused.
//!
//! # When to use it
//!
//! Inside an authentication layer, around everything whose use depends on who the caller is.
//!
//! ```
//! use http::Method;
//! use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
//!
//! let table = PolicyTable::new()
//!     .role("admin", ["author"])
//!     .role("author", ["voter"])
//!     .add_rule(Rule::public("read", "/v1/polls/{id}").methods([Method::GET]))
//!     .add_rule(Rule::allow("vote", "/v1/polls/{id}/votes").methods([Method::POST]).roles(["voter"]))
//!     .add_rule(Rule::allow("create", "/v1/polls").methods([Method::POST]).roles(["author"]).scopes(["polls:write"]))
//!     // A tenant's callers, and nobody else's.
//!     .add_rule(Rule::allow("tenant", "/tenants/{tenant}/{*rest}").claim_equals_path("tenant", "tenant"))
//!     .add_rule(Rule::deny("frozen", "/v1/polls/frozen"))
//!     .build()?;
//! let layer = AuthzLayer::new(table);
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # Which rule decides
//!
//! One that denies, if any matches. Else the one that allows something with the narrowest template for the method: text
//! before a parameter, a parameter before `{*rest}`, from left to right. Two that allow the same method on the same
//! template are an error when the table is built. [`PolicyTable::decide`] tells which rule decided and why.
//!
//! HEAD follows GET, unless a rule names HEAD itself. A trailing slash is another path. The method is the request's own: fields that would override it are
//! not looked at. A path that servers may read in several ways (`//`, `..`, `%2F`, bad escapes) is refused before any
//! rule is asked; other escapes are decoded before they are compared. For gRPC, `/pkg.Service/Method` is a path as any other.
//!
//! # What the client sees
//!
//! | | HTTP | gRPC |
//! |---|---|---|
//! | a stranger, where somebody must be known | 401 with a challenge | 16 |
//! | a caller who may not | 403 | 7 |
//! | a caller whose token lacks a scope | 403, `error="insufficient_scope"` with the scopes | 7 |
//! | a path that can be read in more than one way | 400 | 3 |
//!
//! # Order
//!
//! Inside authentication and limits by identity, outside validation and caches.
//!
//! # Cost
//!
//! A walk down a tree as deep as the path, and a reference count for the table. Callers who inherit roles get an identity
//! of their own for the request, with all of them.

mod context;
mod explanation;
mod layer;
mod policy;
mod predicate;
mod roles;
mod rule;
mod service;
mod table;
mod template;
mod time_window;
mod tree;

pub use self::context::PolicyContext;
pub use self::explanation::Explanation;
pub use self::layer::{AuthzHandle, AuthzLayer};
pub use self::policy::{Decision, Policy, Refused};
pub use self::predicate::Predicate;
pub use self::rule::Rule;
pub use self::service::AuthzService;
pub use self::table::{PolicyTable, PolicyTableBuilder};
pub use self::time_window::TimeWindow;
pub use crate::spine::gate::ResponseFuture;
