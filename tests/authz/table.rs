//! Which rule decides.

use http::Method;
use proptest::prelude::*;
use tower_rampart::Identity;
use tower_rampart::authz::{Decision, PolicyContext, PolicyTable, PolicyTableBuilder, Refused, Rule};

fn caller(roles: &[&str], scopes: &[&str]) -> Identity {
    Identity::new("idp", "u").with_roles(roles.iter().copied()).with_scopes(scopes.iter().copied())
}

fn polls() -> PolicyTable {
    PolicyTable::builder()
        .add_role("admin", ["author"])
        .add_role("author", ["voter"])
        .add_rule(Rule::public("read", "/v1/polls/{id}").methods([Method::GET]))
        .add_rule(Rule::public("featured", "/v1/polls/featured").methods([Method::GET]))
        .add_rule(Rule::allow("vote", "/v1/polls/{id}/votes").methods([Method::POST]).roles(["voter"]))
        .add_rule(Rule::allow("create", "/v1/polls").methods([Method::POST]).roles(["author"]).scopes(["polls:write"]))
        .add_rule(Rule::allow("any-of-it", "/v1/{*rest}").methods([Method::DELETE]).roles(["admin"]))
        .add_rule(Rule::allow("mine", "/me"))
        .add_rule(Rule::deny("frozen", "/v1/polls/frozen"))
        .add_rule(Rule::deny("no-trace", "/{*all}").methods([Method::TRACE]))
        .build()
        .unwrap()
}

fn allowed<'a>(table: &'a PolicyTable, method: &Method, path: &str, who: Option<&Identity>) -> Option<&'a str> {
    match table.decide(&PolicyContext::new(method, path).with_caller(who)) {
        Decision::Allowed { rule } => Some(rule),
        _ => None,
    }
}

fn why<'a>(table: &'a PolicyTable, method: &Method, path: &str, who: Option<&Identity>) -> Refused<'a> {
    match table.decide(&PolicyContext::new(method, path).with_caller(who)) {
        Decision::Refused { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_narrowest_template_decides_and_nothing_is_a_refusal() {
    let table = polls();
    assert_eq!(allowed(&table, &Method::GET, "/v1/polls/7", None), Some("read"));
    assert_eq!(allowed(&table, &Method::GET, "/v1/polls/featured", None), Some("featured"));
    assert_eq!(allowed(&table, &Method::HEAD, "/v1/polls/7", None), Some("read"));
    let admin = caller(&["admin"], &["polls:write"]);
    assert_eq!(allowed(&table, &Method::DELETE, "/v1/polls/7", Some(&admin)), Some("any-of-it"));
    assert_eq!(allowed(&table, &Method::POST, "/v1/polls", Some(&admin)), Some("create"));
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/v1/polls"),
        (Method::GET, "/v1/polls/7/"),
        (Method::PUT, "/v1/polls/7"),
        (Method::DELETE, "/v1"),
        (Method::DELETE, "/v1/"),
        (Method::GET, "/V1/polls/7"),
        (Method::GET, "*"),
    ] {
        assert_eq!(allowed(&table, &method, path, Some(&admin)), None, "{method} {path}");
    }
    assert_eq!(why(&table, &Method::GET, "/elsewhere", None), Refused::Stranger);
    assert_eq!(why(&table, &Method::GET, "/elsewhere", Some(&admin)), Refused::Forbidden);
}

#[test]
fn denial_beats_everything() {
    let table = polls();
    let admin = caller(&["admin"], &[]);
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        assert_eq!(allowed(&table, &method, "/v1/polls/frozen", Some(&admin)), None);
    }
    assert_eq!(allowed(&table, &Method::GET, "/v1/polls/%66rozen", Some(&admin)), None);
    assert_eq!(why(&table, &Method::TRACE, "/me", Some(&admin)), Refused::Forbidden);
}

/// A rule for HEAD alone must not be one for nothing.
#[test]
fn a_rule_may_name_head_itself() {
    let table = PolicyTable::builder()
        .add_rule(Rule::public("read", "/a").methods([Method::GET, Method::HEAD]))
        .add_rule(Rule::public("all", "/b"))
        .add_rule(Rule::public("head", "/c").methods([Method::HEAD]))
        .add_rule(Rule::deny("no-head", "/{*rest}").methods([Method::HEAD]))
        .build()
        .unwrap();
    for (path, gets) in [("/a", true), ("/b", true), ("/c", false)] {
        assert_eq!(allowed(&table, &Method::HEAD, path, None), None, "{path}");
        assert_eq!(allowed(&table, &Method::GET, path, None).is_some(), gets, "{path}");
    }
    let table = PolicyTable::builder().add_rule(Rule::public("head", "/c").methods([Method::HEAD])).build().unwrap();
    assert_eq!(allowed(&table, &Method::HEAD, "/c", None), Some("head"));
    assert_eq!(allowed(&table, &Method::GET, "/c", None), None);
}

#[test]
fn roles_are_inherited_and_scopes_are_not_implied() {
    let table = polls();
    for (role, votes) in [("voter", true), ("author", true), ("admin", true), ("reader", false)] {
        let who = caller(&[role], &[]);
        assert_eq!(allowed(&table, &Method::POST, "/v1/polls/7/votes", Some(&who)).is_some(), votes, "{role}");
    }
    let author = caller(&["author"], &["polls:read"]);
    let Refused::Scopes(scopes) = why(&table, &Method::POST, "/v1/polls", Some(&author)) else { panic!("no scopes") };
    assert_eq!(scopes, &[Box::<str>::from("polls:write")]);
    assert_eq!(
        why(&table, &Method::POST, "/v1/polls", Some(&caller(&["voter"], &["polls:write"]))),
        Refused::NotTheirs
    );
    assert_eq!(allowed(&table, &Method::GET, "/me", Some(&caller(&[], &[]))), Some("mine"));
    assert_eq!(why(&table, &Method::GET, "/me", None), Refused::Stranger);
}

#[test]
fn a_claim_is_compared_with_the_path() {
    let table = PolicyTable::builder()
        .add_rule(Rule::allow("tenant", "/tenants/{tenant}/{*rest}").claim_equals_path("org", "tenant"))
        .add_rule(Rule::allow("plan", "/gold").claim_equals("plan", "gold"))
        .add_rule(Rule::allow("files", "/files/{*path}").claim_equals_path("home", "path"))
        .build()
        .unwrap();
    let of = |org: &str| Identity::new("idp", "u").with_claims([("org", org), ("plan", "gold"), ("home", "a/b")]);
    assert_eq!(allowed(&table, &Method::GET, "/tenants/acme/x", Some(&of("acme"))), Some("tenant"));
    assert_eq!(allowed(&table, &Method::GET, "/tenants/%61cme/x", Some(&of("acme"))), Some("tenant"));
    for org in ["", "acm", "ACME", "acme/x"] {
        assert_eq!(allowed(&table, &Method::GET, "/tenants/acme/x", Some(&of(org))), None, "{org}");
    }
    assert_eq!(allowed(&table, &Method::GET, "/tenants/acme/x", Some(&caller(&[], &[]))), None);
    assert_eq!(allowed(&table, &Method::GET, "/tenants//x", Some(&of(""))), None);
    assert_eq!(allowed(&table, &Method::GET, "/gold", Some(&of("x"))), Some("plan"));
    assert_eq!(allowed(&table, &Method::GET, "/files/a/b", Some(&of("x"))), Some("files"));
    assert_eq!(allowed(&table, &Method::GET, "/files/a/bc", Some(&of("x"))), None);
}

#[test]
fn a_path_with_two_readings_is_asked_of_no_rule() {
    let table = PolicyTable::builder().add_rule(Rule::public("all", "/{*all}")).build().unwrap();
    for path in [
        "//a",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%",
        "/%zz",
        "/..",
        "/.",
        "/%ff",
    ] {
        assert_eq!(table.decide(&PolicyContext::new(&Method::GET, path)), Decision::Ambiguous, "{path}");
    }
    assert_eq!(allowed(&table, &Method::GET, "/.well-known/x", None), Some("all"));
    assert_eq!(allowed(&table, &Method::GET, "/caf%C3%A9", None), Some("all"));
}

/// RFC 3986 section 3.3: what a server does with parameters of segments is its own affair, so both readings must be allowed.
#[test]
fn parameters_of_segments_escape_no_rule() {
    let table = PolicyTable::builder()
        .add_rule(Rule::deny("internal", "/internal/{*rest}"))
        .add_rule(Rule::allow("admin", "/admin").roles(["admin"]))
        .add_rule(Rule::public("pages", "/{page}"))
        .add_rule(Rule::public("deeper", "/{area}/{page}"))
        .build()
        .unwrap();
    let get = |path| allowed(&table, &Method::GET, path, None);
    assert_eq!(get("/news"), Some("pages"));
    assert_eq!(get("/news;page=2"), Some("pages"));
    for path in [
        "/internal;x/a",
        "/internal%3Bx/a",
        "/admin;x",
        "/admin;",
        "/admin%3b",
        "/news;a/..;b/x",
        "/.;/admin",
        "/;x/admin",
    ] {
        assert_eq!(get(path), None, "{path}");
    }
    let wide = PolicyTable::builder()
        .add_rule(Rule::deny("internal", "/internal/{*rest}"))
        .add_rule(Rule::public("all", "/{*rest}"))
        .build()
        .unwrap();
    assert_eq!(allowed(&wide, &Method::GET, "/;x", None), None, "the root is nobody's");
    for path in ["/;x/internal/a", "/;/internal/a", "/internal/;/a", "/%3B/internal/a"] {
        assert_eq!(allowed(&wide, &Method::GET, path, None), None, "{path}");
    }
    let admin = caller(&["admin"], &[]);
    assert_eq!(allowed(&table, &Method::GET, "/admin;x", Some(&admin)), Some("pages"));
    // What is refused is explained by the reading that is.
    let told = table.explain(&PolicyContext::new(&Method::GET, "/admin;x")).to_string();
    assert!(told.starts_with("refused by `admin`"), "{told}");
}

#[test]
fn tables_that_cannot_be_are_named() {
    let named = |table: PolicyTableBuilder| table.build().unwrap_err().to_string();
    let new = PolicyTable::builder;
    for (table, message) in [
        (new().add_role("a", ["b"]).add_role("b", ["a"]), "roles: `a` inherits itself"),
        (new().add_role("a", ["a"]), "roles: `a` inherits itself"),
        (new().add_role("a", ["b"]).add_role("b", ["c"]).add_role("c", ["a"]), "roles: `a` inherits itself"),
        (new().add_rule(Rule::allow("a b", "/")), "id: `a b` is no id for a rule"),
        (new().add_rule(Rule::allow("a", "x")), r#"rule "a".path: `x` does not begin with `/`"#),
        (new().add_rule(Rule::allow("a", "/{*x}/y")), r#"rule "a".path: `/{*x}/y` goes on after"#),
        (new().add_rule(Rule::allow("a", "/{x}/{x}")), r#"rule "a".path: `/{x}/{x}` names a parameter twice"#),
        (new().add_rule(Rule::allow("a", "/a//b")), r#"rule "a".path: `/a//b` has an empty segment"#),
        (new().add_rule(Rule::allow("a", "/%61")), r#"rule "a".path: `/%61` has a segment that no path has"#),
        (new().add_rule(Rule::public("a", "/").roles(["x"])), r#"rule "a".effect: asks for roles"#),
        (new().add_rule(Rule::allow("a", "/").scopes(["a b"])), r#"rule "a".scopes: `a b` is no scope"#),
        (
            new().add_rule(Rule::allow("a", "/{x}").claim_equals_path("c", "y")),
            r#"rule "a".where: `y` is no parameter"#,
        ),
        (new().add_rule(Rule::allow("a", "/")).add_rule(Rule::allow("a", "/b")), "id: `a` is the id of two rules"),
        (
            new().add_rule(Rule::allow("a", "/{x}")).add_rule(Rule::public("b", "/{y}").methods([Method::GET])),
            r#"rule "b": `/{y}` allows what `a` allows"#,
        ),
    ] {
        let error = named(table);
        assert!(error.starts_with(message), "{error}");
    }
    let side_by_side = new()
        .add_rule(Rule::allow("a", "/{x}").methods([Method::GET]))
        .add_rule(Rule::allow("b", "/{x}").methods([Method::POST]))
        .add_rule(Rule::deny("c", "/{x}").methods([Method::GET]));
    assert!(side_by_side.build().is_ok());
}

/// Which of some templates is the narrowest that matches, by comparing all of them.
fn naive(templates: &[String], path: &str) -> Option<usize> {
    let rank = |template: &str| -> Option<Vec<u8>> {
        let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        let mut ranks = Vec::new();
        for (at, segment) in wanted.iter().enumerate() {
            let rest = given.get(at..).unwrap_or_default();
            match (segment.starts_with("{*"), segment.starts_with('{')) {
                (true, _) if !rest.is_empty() && rest != [""] => return Some([ranks, vec![2]].concat()),
                (true, _) => return None,
                (_, true) if rest.first().is_some_and(|given| !given.is_empty()) => ranks.push(1),
                (_, false) if rest.first() == Some(segment) => ranks.push(0),
                _ => return None,
            }
        }
        (wanted.len() == given.len()).then_some(ranks)
    };
    let ranked = templates.iter().enumerate().filter_map(|(at, template)| Some((rank(template)?, at)));
    ranked.min().map(|(_, at)| at)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_agrees_with_comparing_all(
        templates in proptest::collection::btree_set(
            (proptest::collection::vec(prop_oneof!["a", "b", "\\{p\\}"], 0..4), any::<bool>()), 0..8),
        path in proptest::collection::vec(prop_oneof!["a", "b", "c"], 0..5),
    ) {
        let text = |(segments, rest): &(Vec<String>, bool)| {
            let named = segments.iter().enumerate().map(|(at, segment)| if segment == "{p}" { format!("{{p{at}}}") } else { segment.clone() });
            let all: Vec<_> = named.chain(rest.then(|| "{*rest}".to_owned())).collect();
            format!("/{}", all.join("/"))
        };
        let templates: Vec<String> = templates.iter().map(text).collect();
        let table = templates.iter().enumerate().fold(PolicyTable::builder(), |table, (at, template)| {
            table.add_rule(Rule::public(at.to_string(), template.as_str()))
        });
        let path = format!("/{}", path.join("/"));
        let table = table.build().unwrap();
        let expected = naive(&templates, &path).map(|at| at.to_string());
        prop_assert_eq!(allowed(&table, &Method::GET, &path, None).map(str::to_owned), expected, "{:?} {}", templates, path);
    }
}

/// A long chain is walked and a longer one refused, either in no long time.
#[test]
fn chains_of_roles_have_an_end() {
    let chain = |roles: usize| {
        let name = |at: usize| format!("r{at:05}");
        (0..roles).fold(PolicyTable::builder(), |table, at| table.add_role(name(at), [name(at + 1)]))
    };
    let table = chain(1000).add_rule(Rule::allow("last", "/").roles(["r01000"])).build().unwrap();
    let first = Identity::new("idp", "ann").with_roles(["r00000"]);
    assert!(table.decide(&PolicyContext::new(&Method::GET, "/").with_caller(Some(&first))).is_allowed());
    let error = chain(50_000).build().unwrap_err().to_string();
    assert!(error.contains("are too many that inherit"), "{error}");
}
