//! What rules ask for, one by one, and put together at random against a model.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Method, Request};
use proptest::prelude::*;
use tower_rampart::authz::{
    Decision, Policy, PolicyContext, PolicyTable, PolicyTableBuilder, Predicate, Rule, TimeWindow,
};
use tower_rampart::{ClientCertificate, Identity};

/// 2027-01-04, a Monday, at midnight.
const MONDAY: u64 = 1_799_020_800;

fn at(days: u64, hour: u64, minute: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(MONDAY + days * 86_400 + hour * 3600 + minute * 60)
}

fn one(predicate: Predicate) -> PolicyTable {
    table(PolicyTable::builder(), predicate)
}

fn table(builder: PolicyTableBuilder, predicate: Predicate) -> PolicyTable {
    builder.add_rule(Rule::public("one", "/{name}").when(predicate)).build().unwrap()
}

fn holds(table: &PolicyTable, context: PolicyContext<'_>) -> bool {
    table.decide(&context).is_allowed()
}

fn path() -> PolicyContext<'static> {
    PolicyContext::new(&Method::GET, "/acme")
}

fn of(who: &Identity) -> PolicyContext<'_> {
    path().with_caller(Some(who))
}

fn ann() -> Identity {
    Identity::new("idp", "ann")
}

#[test]
fn roles_scopes_and_permissions() {
    let roles = || PolicyTable::builder().add_role("admin", ["author"]).add_role_permissions("author", ["polls:write"]);
    let author = table(roles(), Predicate::role("author"));
    let write = table(roles(), Predicate::permission("polls:write"));
    let read = table(roles(), Predicate::permission("polls:read"));
    for (role, has) in [("author", true), ("admin", true), ("voter", false)] {
        let who = ann().with_roles([role]);
        assert_eq!((holds(&author, of(&who)), holds(&write, of(&who)), holds(&read, of(&who))), (has, has, false));
    }
    assert!(holds(&read, of(&ann().with_permissions(["polls:read"]))));
    assert!(holds(&one(Predicate::scope("a")), of(&ann().with_scopes(["b", "a"]))));
    assert!(!holds(&one(Predicate::scope("a")), of(&ann().with_scopes(["aa"]))));
    assert!(!holds(&author, path()), "a stranger has no role");
}

#[test]
fn claims() {
    let who = ann().with_claims([("plan", "gold"), ("groups", "a"), ("groups", "b"), ("org", "acme")]);
    for (predicate, expected) in [
        (Predicate::claim_equals("plan", "gold"), true),
        (Predicate::claim_equals("plan", "gol"), false),
        (Predicate::claim_equals("groups", "b"), true),
        (Predicate::claim_in("plan", ["silver", "gold"]), true),
        (Predicate::claim_in("plan", ["silver"]), false),
        (Predicate::claim_in::<&str>("plan", []), false),
        (Predicate::claim_has_prefix("plan", "go"), true),
        (Predicate::claim_has_prefix("plan", "Go"), false),
        (Predicate::claim_equals_path("org", "name"), true),
        (Predicate::claim_equals_path("plan", "name"), false),
        (Predicate::claim_equals("missing", ""), false),
    ] {
        let shown = predicate.to_string();
        assert_eq!(holds(&one(predicate), of(&who)), expected, "{shown}");
    }
    // Half of a list is no claim.
    assert_eq!((who.claim("plan"), who.claim("groups"), who.claims("groups").count()), (Some("gold"), None, 2));
}

#[test]
fn connections() {
    let inside = one(Predicate::client_in(["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]));
    for (client, expected) in [("10.1.2.3", true), ("11.0.0.1", false), ("2001:db8::1", true), ("::1", false)] {
        assert_eq!(holds(&inside, path().with_client(client.parse::<IpAddr>().unwrap())), expected, "{client}");
    }
    assert!(!holds(&inside, path()), "a client that nobody knows is nowhere");
    let certificate = ClientCertificate::new(["spiffe://a/b", "b.example"]);
    let named = |name: &str| holds(&one(Predicate::certificate(name)), path().with_certificate(Some(&certificate)));
    assert!(named("b.example") && !named("B.example") && !named("example"));
    assert!(!holds(&one(Predicate::certificate("b.example")), path()));
}

#[test]
fn times() {
    let window = |window: TimeWindow| one(Predicate::during(window));
    let office =
        window(TimeWindow::new().between("08:00", "18:00").unwrap().days(["mon", "tue", "wed", "thu", "fri"]).unwrap());
    for (days, hour, minute, expected) in [
        (0, 8, 0, true),
        (0, 7, 59, false),
        (0, 17, 59, true),
        (0, 18, 0, false),
        (4, 12, 0, true),
        (5, 12, 0, false),
        (6, 12, 0, false),
        (7, 12, 0, true),
    ] {
        assert_eq!(holds(&office, path().with_now(at(days, hour, minute))), expected, "{days} {hour}:{minute}");
    }
    let night = window(TimeWindow::new().between("22:00", "06:00").unwrap());
    for (hour, expected) in [(21, false), (22, true), (23, true), (0, true), (5, true), (6, false)] {
        assert_eq!(holds(&night, path().with_now(at(0, hour, 0))), expected, "{hour}");
    }
    let week = window(TimeWindow::new().not_before(at(0, 0, 0)).until(at(7, 0, 0)));
    assert!(holds(&week, path().with_now(at(0, 0, 0))) && holds(&week, path().with_now(at(6, 23, 59))));
    assert!(
        !holds(&week, path().with_now(at(7, 0, 0)))
            && !holds(&week, path().with_now(at(0, 0, 0) - Duration::from_secs(1)))
    );
    assert!(!holds(&office, path()), "nobody knows the time");
    assert!(office.asks_time() && !one(Predicate::role("x")).asks_time());
    for (from, until) in
        [("8:00", "18:00"), ("08:00", "24:01"), ("08:60", "09:00"), ("08:00", "08:00"), ("00:00", "24:00"), ("", "")]
    {
        assert!(TimeWindow::new().between(from, until).is_err(), "{from} {until}");
    }
    assert!(TimeWindow::new().days(["monday"]).is_err());
}

#[test]
fn closures_see_all_of_the_request() {
    let beta = one(Predicate::custom("is in beta", |context: &PolicyContext<'_>| {
        context.request().is_some_and(|request| request.headers().contains_key("x-beta"))
    }));
    assert!(!holds(&beta, path()));
    assert_eq!(beta.explain(&path()).to_string(), "refused by `one`: not so: is in beta");
}

/// A rule that denies does so where what it asks for holds, and another one behind it is asked too.
#[test]
fn denial_can_have_conditions() {
    let table = PolicyTable::builder()
        .add_rule(Rule::public("all", "/{*rest}"))
        .add_rule(Rule::deny("narrow", "/a").when(Predicate::role("banned")))
        .add_rule(Rule::deny("wide", "/{*rest}").when(Predicate::not(Predicate::any([
            Predicate::role("staff"),
            Predicate::client_in(["10.0.0.0/8".parse().unwrap()]),
        ]))))
        .build()
        .unwrap();
    let staff = ann().with_roles(["staff"]);
    let banned = ann().with_roles(["staff", "banned"]);
    let context = PolicyContext::new(&Method::GET, "/a");
    assert!(holds(&table, context.with_caller(Some(&staff))));
    assert_eq!(table.decide(&context.with_caller(Some(&banned))).rule(), Some("narrow"));
    assert_eq!(table.decide(&context.with_caller(Some(&ann()))).rule(), Some("wide"));
    assert_eq!(table.decide(&context).rule(), Some("wide"));
    assert!(holds(&table, context.with_client("10.0.0.1".parse().unwrap())));
    let explained = table.explain(&context).to_string();
    assert_eq!(explained, "refused by `wide`: it denies; so: not (role `staff` or client in 10.0.0.0/8)");
}

#[test]
fn what_is_missing_is_explained_without_the_request() {
    let table = PolicyTable::builder()
        .add_rule(
            Rule::allow("create", "/polls/{tenant}")
                .methods([Method::POST])
                .roles(["author", "editor"])
                .scopes(["polls:write"])
                .claim_equals_path("org", "tenant")
                .when(Predicate::permission("beta")),
        )
        .build()
        .unwrap();
    let context = PolicyContext::new(&Method::POST, "/polls/s3cret");
    assert_eq!(
        table.explain(&context).to_string(),
        "refused by `create`: nobody knows who asks; role `author` or `editor` is missing; scope `polls:write` is missing; \
         not so: claim `org` is the path's `tenant`; not so: permission `beta`"
    );
    let editor = ann().with_roles(["editor"]).with_scopes(["polls:write"]).with_claims([("org", "s3cret")]);
    let explanation = table.explain(&context.with_caller(Some(&editor)));
    assert_eq!(explanation.reasons().collect::<Vec<_>>(), ["not so: permission `beta`"]);
    assert!(!explanation.is_allowed() && explanation.rule() == Some("create"));
    let allowed = editor.with_permissions(["beta"]);
    assert_eq!(table.explain(&context.with_caller(Some(&allowed))).to_string(), "allowed by `create`");
    let get = PolicyContext::new(&Method::GET, "/polls/x");
    assert_eq!(table.explain(&get).to_string(), "refused: no rule speaks of this method and path");
    let odd = PolicyContext::new(&Method::GET, "/polls/../x");
    assert_eq!(table.explain(&odd).to_string(), "refused: the path can be read in more than one way");
}

#[test]
fn grpc_services_and_unnamed_segments() {
    let table = PolicyTable::builder()
        .add_rule(Rule::public("read", "/poll.v1.Polls/GetPoll"))
        .add_rule(Rule::allow("rest", "/poll.v1.Polls/*").roles(["author"]))
        .add_rule(Rule::allow("files", "/files/**"))
        .build()
        .unwrap();
    let rule = |path: &str| {
        let who = ann().with_roles(["author"]);
        table.decide(&PolicyContext::new(&Method::POST, path).with_caller(Some(&who))).rule().map(str::to_owned)
    };
    assert_eq!(rule("/poll.v1.Polls/GetPoll").as_deref(), Some("read"));
    assert_eq!(rule("/poll.v1.Polls/Vote").as_deref(), Some("rest"));
    assert_eq!(rule("/poll.v1.PollsX/Vote"), None);
    assert_eq!(rule("/poll.v1.Polls/Vote/x"), None);
    for path in ["/files/a/b", "/files/a", "/files/", "/files"] {
        assert_eq!(rule(path).as_deref(), Some("files"), "{path}");
    }
    assert_eq!(rule("/filesystem"), None);
    for bad in ["/a*", "/**/b", "/{*}", "/***"] {
        assert!(PolicyTable::builder().add_rule(Rule::public("x", bad)).build().is_err(), "{bad}");
    }
}

/// `**` is whatever is left, nothing as well: what is denied below a path is denied at it, and `/**` is all there is.
#[test]
fn whatever_is_left_may_be_nothing() {
    let table = PolicyTable::builder()
        .add_rule(Rule::public("all", "/**"))
        .add_rule(Rule::deny("admin", "/admin/**"))
        .add_rule(Rule::allow("named", "/named/{*rest}"))
        .add_rule(Rule::allow("exact", "/both"))
        .add_rule(Rule::public("below", "/both/**"))
        .build()
        .unwrap();
    let rule = |path: &str| {
        let decision = table.decide(&PolicyContext::new(&Method::GET, path));
        (decision.rule().map(str::to_owned), decision.is_allowed())
    };
    for (path, id, is_allowed) in [
        ("/", "all", true),
        ("/x", "all", true),
        ("/x/", "all", true),
        ("/admin", "admin", false),
        ("/admin/", "admin", false),
        ("/admin/x", "admin", false),
        ("/adminx", "all", true),
        // `{*rest}` is one segment at least.
        ("/named", "all", true),
        ("/named/", "all", true),
        ("/named/x", "named", false),
        // What is written out goes first.
        ("/both", "exact", false),
        ("/both/", "below", true),
        ("/both/x", "below", true),
    ] {
        assert_eq!(rule(path), (Some(id.to_owned()), is_allowed), "{path}");
    }
}

/// A list that was to be filled, from the environment say, must not ask for nothing.
#[test]
fn an_empty_list_is_an_error() {
    let nothing = Vec::<String>::new();
    for (rule, setting) in [
        (Rule::allow("x", "/").roles(nothing.clone()), "roles"),
        (Rule::allow("x", "/").roles(["author"]).scopes(nothing), "scopes"),
        (Rule::public("x", "/").methods([]), "methods"),
    ] {
        let error = PolicyTable::builder().add_rule(rule).build().unwrap_err();
        assert_eq!(error.setting(), format!("rule \"x\".{setting}"));
        assert!(error.to_string().contains("is an empty list"), "{error}");
    }
}

#[test]
fn conditions_that_cannot_be_are_errors() {
    let error = |predicate: Predicate| {
        PolicyTable::builder().add_rule(Rule::allow("x", "/{a}").when(predicate)).build().unwrap_err().to_string()
    };
    assert!(error(Predicate::any([])).contains("never true"));
    assert!(error(Predicate::not(Predicate::claim_equals_path("c", "b"))).contains("no parameter of the path"));
    let deep = (0..20).fold(Predicate::role("x"), |inner, _| Predicate::not(inner));
    assert!(error(deep).contains("more than 16"));
}

/// A random predicate, and what it must come to, written down beside it.
#[derive(Debug, Clone)]
enum Tree {
    Role(u8),
    Scope(u8),
    Claim(u8),
    Path,
    Client,
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

#[derive(Debug, Clone)]
struct Who {
    roles: Vec<u8>,
    scopes: Vec<u8>,
    claims: Vec<u8>,
    inside: Option<bool>,
    known: bool,
    path: u8,
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (0..3_u8).prop_map(Tree::Role),
        (0..3_u8).prop_map(Tree::Scope),
        (0..3_u8).prop_map(Tree::Claim),
        Just(Tree::Path),
        Just(Tree::Client),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Tree::All),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Tree::Any),
            inner.prop_map(|inner| Tree::Not(Box::new(inner))),
        ]
    })
}

impl Tree {
    fn predicate(&self) -> Predicate {
        let all = |trees: &[Self]| trees.iter().map(Self::predicate).collect::<Vec<_>>();
        match self {
            Self::Role(role) => Predicate::role(format!("r{role}")),
            Self::Scope(scope) => Predicate::scope(format!("s{scope}")),
            Self::Claim(value) => Predicate::claim_equals("c", format!("v{value}")),
            Self::Path => Predicate::claim_equals_path("c", "name"),
            Self::Client => Predicate::client_in(["10.0.0.0/8".parse().unwrap()]),
            Self::All(trees) => Predicate::all(all(trees)),
            Self::Any(trees) => Predicate::any(all(trees)),
            Self::Not(inner) => Predicate::not(inner.predicate()),
        }
    }

    /// Role 0 inherits role 1.
    fn expected(&self, who: &Who) -> bool {
        match self {
            Self::Role(1) => who.known && (who.roles.contains(&1) || who.roles.contains(&0)),
            Self::Role(role) => who.known && who.roles.contains(role),
            Self::Scope(scope) => who.known && who.scopes.contains(scope),
            Self::Claim(value) => who.known && who.claims.contains(value),
            Self::Path => who.known && who.claims.contains(&who.path),
            Self::Client => who.inside == Some(true),
            Self::All(trees) => trees.iter().all(|tree| tree.expected(who)),
            Self::Any(trees) => trees.iter().any(|tree| tree.expected(who)),
            Self::Not(inner) => !inner.expected(who),
        }
    }
}

fn who() -> impl Strategy<Value = Who> {
    let some = || proptest::collection::vec(0..3_u8, 0..3);
    (some(), some(), some(), any::<Option<bool>>(), any::<bool>(), 0..3_u8)
        .prop_map(|(roles, scopes, claims, inside, known, path)| Who { roles, scopes, claims, inside, known, path })
}

#[derive(Debug, Clone, Copy)]
enum Effect {
    Allow,
    Public,
    Deny,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rules with random demands on three templates of one path, decided by the model from the words of the manual.
    #[test]
    fn tables_decide_as_the_manual_says(
        rules in proptest::collection::vec(
            (prop_oneof![Just(Effect::Allow), Just(Effect::Public), Just(Effect::Deny)], 0..3_usize, tree(), tree()), 0..6),
        who in who(),
    ) {
        const TEMPLATES: [&str; 3] = ["/x/v1/{name}", "/x/{version}/{name}", "/x/{version}/{name}/**"];
        // A path without a third part matches all of the templates; one with it the last.
        let mut builder = PolicyTable::builder().add_role("r0", ["r1"]);
        let mut kept: Vec<(usize, Effect, usize, &Tree, &Tree)> = Vec::new();
        for (id, (effect, template, one, other)) in rules.iter().enumerate() {
            let allows = !matches!(effect, Effect::Deny);
            let stands = kept.iter().any(|(_, held, at, ..)| at == template && !matches!(held, Effect::Deny));
            if allows && stands {
                continue;
            }
            let (name, path) = (id.to_string(), TEMPLATES[*template]);
            let rule = match effect {
                Effect::Allow => Rule::allow(name, path),
                Effect::Public => Rule::public(name, path),
                Effect::Deny => Rule::deny(name, path),
            };
            builder = builder.add_rule(rule.when(one.predicate()).when(other.predicate()));
            kept.push((id, *effect, *template, one, other));
        }
        let table = builder.build().unwrap();
        let identity = ann()
            .with_roles(who.roles.iter().map(|role| format!("r{role}")))
            .with_scopes(who.scopes.iter().map(|scope| format!("s{scope}")))
            .with_claims(who.claims.iter().map(|value| ("c", format!("v{value}"))));
        for tail in ["", "/more"] {
            let path = format!("/x/v1/v{}{tail}", who.path);
            let mut context = PolicyContext::new(&Method::GET, &path).with_caller(who.known.then_some(&identity));
            if let Some(inside) = who.inside {
                context = context.with_client(if inside { "10.0.0.1" } else { "192.0.2.1" }.parse().unwrap());
            }
            let matching: Vec<_> = kept.iter().filter(|(_, _, template, ..)| *template == 2 || tail.is_empty()).collect();
            let so = |one: &Tree, other: &Tree| one.expected(&who) && other.expected(&who);
            let denied = matching.iter().any(|(_, effect, _, one, other)| matches!(effect, Effect::Deny) && so(one, other));
            let deciding = matching.iter().filter(|(_, effect, ..)| !matches!(effect, Effect::Deny)).min_by_key(|rule| rule.2);
            let expected = !denied && deciding.is_some_and(|(_, effect, _, one, other)| {
                (matches!(effect, Effect::Public) || who.known) && so(one, other)
            });
            let decision = table.decide(&context);
            prop_assert_eq!(decision.is_allowed(), expected, "{:?} {:?}", decision, table.explain(&context));
            prop_assert_eq!(table.explain(&context).is_allowed(), expected);
            if expected {
                let rule = deciding.map(|rule| rule.0.to_string()).unwrap();
                prop_assert_eq!(decision, Decision::Allowed { rule: &rule });
            }
        }
    }

    /// Whatever the path, nothing panics, and what is refused by every rule is refused.
    #[test]
    fn any_path_is_decided(path in "\\PC{0,60}", method in "[A-Z]{1,8}") {
        let table = PolicyTable::builder().add_rule(Rule::allow("x", "/a/{b}/{*c}").claim_equals_path("d", "c")).build().unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let context = PolicyContext::new(&method, &path);
        prop_assert!(!table.decide(&context).is_allowed());
        prop_assert!(!table.explain(&context).is_allowed());
        if let Ok(request) = Request::builder().uri(path.as_str()).body(()) {
            prop_assert!(!table.decide(&PolicyContext::new(&method, request.uri().path())).is_allowed());
        }
    }
}
