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
//! let table = PolicyTable::builder()
//!     .add_role("admin", ["author"])
//!     .add_role("author", ["voter"])
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
//! template are an error when the table is built. [`PolicyTable::explain`] tells which rule decided and what it missed.
//!
//! HEAD follows GET, unless a rule names HEAD itself. A trailing slash is another path. A path that servers may read in
//! several ways (`//`, `..`, `%2F`, bad escapes) is refused before any rule is asked; other escapes are decoded before they
//! are compared. So is a request whose `X-HTTP-Method-Override`, or a field like it, names another method. For gRPC,
//! `/pkg.Service/Method` is a path as any other, and `/pkg.Service/*` all methods of a service. In nested routers of axum
//! rules speak of the whole path, or of the route's template when the table is built
//! [`by_route`](PolicyTableBuilder::by_route).
//!
//! # What rules ask for
//!
//! Roles, which inherit; scopes; and [`Predicate`]s: permissions, claims, the client's address or certificate, the time, a
//! closure, put together with `all`, `any` and `not`. A rule that denies can have predicates too, and denies where all of
//! them hold. [`Rule::roles`] and [`Rule::scopes`] are an error there: it asks for them by [`Predicate::role`] and
//! [`Predicate::scope`].
//!
//! ```
//! use http::Method;
//! use tower_rampart::Identity;
//! use tower_rampart::authz::{AuthzLayer, PolicyContext, PolicyTable, Predicate, Rule};
//!
//! let table = PolicyTable::builder()
//!     .add_role_permissions("author", ["polls:write"])
//!     .add_rule(Rule::allow("write", "/polls/{id}").when(Predicate::permission("polls:write")))
//!     .add_rule(Rule::deny("outside", "/admin/**").when(Predicate::not(Predicate::client_in(["10.0.0.0/8".parse()?]))))
//!     .build()?;
//! let ann = Identity::new("idp", "ann").with_roles(["reader"]);
//! let put = PolicyContext::new(&Method::PUT, "/polls/7").with_caller(Some(&ann));
//! assert_eq!(table.explain(&put).to_string(), "refused by `write`: not so: permission `polls:write`");
//!
//! let layer = AuthzLayer::new(table);
//! // Tomorrow's table, asked beside today's: counted, logged where it differs, and never enforced until it is.
//! layer.handle().replace_shadow(PolicyTable::builder().build()?);
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! Another engine can stand in for the table: see [`Policy`].
//!
//! # What the client sees
//!
//! | | HTTP | gRPC |
//! |---|---|---|
//! | a stranger, where somebody must be known | 401 with a challenge | 16 |
//! | a caller who may not | 403 | 7 |
//! | a caller whose token lacks a scope | 403, `error="insufficient_scope"` with the scopes | 7 |
//! | a path that can be read in more than one way, two methods | 400 | 3 |
//! | a table by routes, where there is no route | 500 | 13 |
//!
//! A refusal is an event with the rule's id (`authz_fail`); `rampart_authz_{allowed,denied}_total` count, and their
//! `shadow_` twins. A rule that is [`audited`](Rule::audited) reports each of its decisions.
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
mod describe;
mod explanation;
mod layer;
mod policy;
mod predicate;
mod roles;
mod rule;
mod service;
mod table;
mod time_window;

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
