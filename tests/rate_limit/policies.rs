//! Several policies on one layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use tower_rampart::Identity;
use tower_rampart::key::{ClientIp, GlobalKey, HeaderKey};
use tower_rampart::rate_limit::{Mode, Policy, Quota, RateLimit};

use crate::support::{Fixture, field, from, get, json, per, secs};

fn two() -> RateLimit {
    RateLimit::new()
        .add_policy(Policy::new("minute", per(10, 60)).key(GlobalKey))
        .add_policy(Policy::new("hour", per(15, 3600).fixed_window()).key(GlobalKey))
}

#[test]
fn all_must_admit_and_a_refusal_charges_none() {
    let fixture = Fixture::of(two());
    assert_eq!(fixture.admitted(100, || get("/")), 10);
    // The ninety refusals left the hour alone: five are left when the minute is over.
    fixture.hand.advance(secs(60));
    assert_eq!(fixture.admitted(100, || get("/")), 5);
    // And those refused by the hour left the minute alone.
    let answer = fixture.send(get("/"));
    assert_eq!(json(answer)["violated-policies"], serde_json::json!(["hour"]));
    fixture.hand.advance(secs(3600));
    assert_eq!(fixture.admitted(100, || get("/")), 10);
}

#[test]
fn a_refusal_names_all_that_are_violated_and_the_longest_wait() {
    let fixture = Fixture::of(
        RateLimit::new()
            .add_policy(Policy::new("a", per(1, 10)).key(GlobalKey))
            .add_policy(Policy::new("b", per(2, 10)).key(GlobalKey))
            .add_policy(Policy::new("c", per(1, 100)).key(GlobalKey)),
    );
    fixture.send(get("/"));
    let answer = fixture.send(get("/"));
    assert_eq!(field(&answer, "retry-after"), "100");
    assert_eq!(field(&answer, "ratelimit"), "\"c\";r=0;t=100");
    assert_eq!(json(answer)["violated-policies"], serde_json::json!(["a", "c"]));
}

#[test]
fn the_tightest_is_told() {
    let fixture = Fixture::of(two());
    let answer = fixture.send(get("/"));
    assert_eq!(field(&answer, "ratelimit"), "\"minute\";r=9;t=6");
    assert_eq!(field(&answer, "ratelimit-policy"), "\"minute\";q=10;w=60, \"hour\";q=15;w=3600");
    fixture.admitted(9, || get("/"));
    fixture.hand.advance(secs(60));
    assert!(field(&fixture.send(get("/")), "ratelimit").starts_with("\"hour\";r=4;t=35"));
}

#[test]
fn a_policy_is_about_its_paths() {
    let fixture = Fixture::of(
        RateLimit::new().add_policy(Policy::new("login", per(2, 60)).key(GlobalKey).paths(["/login"])).add_policy(
            Policy::new("api", per(5, 60)).key(GlobalKey).paths(["/api/**", "/v*".replace('*', "1/*").as_str()]),
        ),
    );
    let answer = fixture.send(get("/login"));
    assert_eq!(field(&answer, "ratelimit-policy"), "\"login\";q=2;w=60");
    assert_eq!(field(&fixture.send(get("/api/x")), "ratelimit-policy"), "\"api\";q=5;w=60");
    let answer = fixture.send(get("/elsewhere"));
    assert_eq!((field(&answer, "ratelimit"), field(&answer, "ratelimit-policy")), (String::new(), String::new()));
    // However it is written, it is the login.
    for path in ["/%6Cogin", "//login", "/x/../login", "/login/"] {
        let told = field(&fixture.send(get(path)), "ratelimit-policy");
        assert!(told.contains("\"login\";q=2;w=60"), "{path}: {told}");
    }
}

#[test]
fn a_quota_may_depend_on_the_caller() {
    let gold = Quota::new(100).per(secs(60)).build().unwrap();
    let policy =
        Policy::new("plan", per(2, 60)).key(HeaderKey::new("user".parse().unwrap())).quota_by(move |request| {
            request.extensions().get::<Identity>().filter(|identity| identity.has_role("gold")).map(|_| gold)
        });
    let fixture = Fixture::policy(policy);
    let gold = || {
        let identity = Identity::new("i", "u").with_roles(["gold"]);
        Request::get("/").header("user", "g").extension(identity).body(()).unwrap()
    };
    let plain = || Request::get("/").header("user", "p").body(()).unwrap();
    assert_eq!(fixture.admitted(10, plain), 2);
    let answer = fixture.send(gold());
    assert_eq!(field(&answer, "ratelimit-policy"), "\"plan\";q=100;w=60");
    assert_eq!(field(&answer, "ratelimit"), "\"plan\";r=99;t=1");
    assert_eq!(fixture.admitted(200, gold), 99);
}

#[test]
fn a_shadow_counts_and_never_refuses() {
    let fixture = Fixture::of(
        RateLimit::new()
            .add_policy(Policy::new("shadow", per(3, 60)).key(GlobalKey).mode(Mode::Shadow))
            .add_policy(Policy::new("real", per(10, 60)).key(GlobalKey)),
    );
    assert_eq!(fixture.admitted(20, || get("/")), 10);
    // What the other refuses does not come that far.
    assert_eq!(fixture.handle.snapshot("shadow").map(|policy| policy.shadowed), Some(7));
    assert_eq!(fixture.handle.snapshot("real").map(|policy| policy.shadowed), Some(0));
    let answer = fixture.send(get("/"));
    assert_eq!(field(&answer, "ratelimit-policy"), "\"real\";q=10;w=60");
}

#[test]
fn a_share_of_the_keys_is_limited_and_always_the_same() {
    let policy = Policy::new("rollout", per(1, 60)).key(ClientIp::new()).mode(Mode::EnforceShare { percent: 30 });
    let fixture = Fixture::policy(policy);
    let client = |n: u32| from(&format!("10.0.{}.{}", n / 250, n % 250));
    let limited: Vec<u32> = (0..1000).filter(|n| fixture.admitted(3, || client(*n)) == 1).collect();
    assert!((200..400).contains(&limited.len()), "{}", limited.len());
    fixture.hand.advance(secs(60));
    assert!(limited.iter().all(|n| fixture.admitted(3, || client(*n)) == 1));
    for (percent, admitted) in [(0, 3), (100, 1)] {
        let policy = Policy::new("rollout", per(1, 60)).key(ClientIp::new()).mode(Mode::EnforceShare { percent });
        assert_eq!(Fixture::policy(policy).admitted(3, || client(1)), admitted);
    }
}

#[test]
fn threads_get_exactly_the_quota_of_every_policy() {
    let fixture = Arc::new(Fixture::of(
        RateLimit::new()
            .add_policy(Policy::new("a", per(1000, 3600)).key(GlobalKey))
            .add_policy(Policy::new("b", per(700, 3600).fixed_window()).key(GlobalKey))
            .add_policy(Policy::new("c", per(900, 3600)).key(GlobalKey)),
    ));
    let admitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| admitted.fetch_add(fixture.admitted(500, || get("/")), Ordering::Relaxed));
        }
    });
    assert_eq!(admitted.into_inner(), 700);
    fixture.hand.advance(Duration::from_secs(3600 * 2));
    assert_eq!(fixture.admitted(2000, || get("/")), 700);
}

#[test]
fn layers_that_cannot_be_are_named() {
    let named = |limit: RateLimit| limit.build().unwrap_err().to_string();
    let policy = |name: &str| Policy::new(name, per(1, 1)).key(GlobalKey);
    let many = (0..17).fold(RateLimit::new(), |limit, n| limit.add_policy(policy(&n.to_string())));
    let cases = [
        (RateLimit::new(), "rate limit: `0` is no number of policies"),
        (many, "rate limit: `17` is no number of policies"),
        (RateLimit::new().add_policy(policy("a")).add_policy(policy("a")), "name: `a` is the name of two policies"),
        (RateLimit::new().add_policy(policy("a b")), "name: `a b` is no name for a policy"),
        (RateLimit::new().add_policy(policy("")), "name: is no name"),
        (RateLimit::new().add_policy(Policy::new("a", per(1, 1))), r#"rate limit "a".key: is missing"#),
        (RateLimit::new().add_policy(policy("a").paths(["x"])), r#"rate limit "a".paths: `x` does not begin with `/`"#),
        (RateLimit::new().add_policy(policy("a").max_keys(0)), r#"rate limit "a".max_keys: `0` is no size"#),
        (RateLimit::new().add_policy(policy("a").max_wait(secs(1))), r#"rate limit "a".max_wait: `1s` needs a layer"#),
        (RateLimit::new().add_policy(policy("a")).exempt_paths(["x"]), "exempt_paths: `x` does not begin with `/`"),
        (
            RateLimit::new().add_policy(Policy::concurrent("a", 0).key(GlobalKey)),
            r#"rate limit "a".quota: `0` lets nothing"#,
        ),
        (
            RateLimit::new().add_policy(Policy::concurrent("a", 1).key(GlobalKey).cost(|_| 2)),
            r#"rate limit "a".concurrent: "#,
        ),
        (
            RateLimit::new().add_policy(policy("a").mode(Mode::EnforceShare { percent: 101 })),
            r#"rate limit "a".percent: `101` is more than all"#,
        ),
    ];
    for (limit, message) in cases {
        let error = named(limit);
        assert!(error.starts_with(message), "{error}");
    }
    let windowed = Policy::new("a", per(1, 1).fixed_window()).key(GlobalKey).max_wait(secs(1));
    let error = RateLimit::new().add_policy(windowed).build_throttle().unwrap_err().to_string();
    assert!(error.starts_with(r#"rate limit "a".max_wait: `1s` goes with token buckets only"#), "{error}");
}
