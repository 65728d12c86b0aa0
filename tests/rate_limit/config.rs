//! `[[rate_limit]]` tables.

use http::Request;
use serde::Deserialize;
use tower_rampart::Identity;
use tower_rampart::config::{self, RateLimitConfig};
use tower_rampart::key::ClientIp;
use tower_rampart::rate_limit::ThrottleLayer;

use crate::support::{from, get};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    rate_limit: RateLimitConfig,
}

fn error(table: &str) -> String {
    config::parse::<Config>(&format!("[[rate_limit]]\n{table}"), "app.toml").expect_err(table).to_string()
}

fn layer(text: &str) -> ThrottleLayer {
    let config: Config = config::parse(text, "app.toml").unwrap();
    config.rate_limit.to_layer(&ClientIp::new()).unwrap()
}

fn admitted(layer: &ThrottleLayer, tries: usize, request: impl Fn() -> Request<()>) -> usize {
    use futures_util::FutureExt as _;
    use tower::{Layer as _, ServiceExt as _, service_fn};
    let handler = service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let service = layer.layer(handler);
    let answers = (0..tries).map(|_| service.clone().oneshot(request()).now_or_never().unwrap().unwrap());
    answers.filter(|answer| answer.status() == 200).count()
}

#[test]
fn errors_name_file_line_key_value_and_mend() {
    for (table, expected) in [
        ("quota = 0\nwindow = \"1m\"\n", "app.toml:2: rate_limit.quota: `0` lets nothing through; "),
        ("quota = 5\nwindow = \"1 minute\"\n", "app.toml:3: rate_limit.window: `1 minute` is no duration; "),
        ("quota = 5\nwindow = \"0s\"\n", "app.toml:3: rate_limit.window: `0s` is no time; "),
        (
            "quota = 5\nwindow = \"99999999999999999999y\"\n",
            "app.toml:3: rate_limit.window: `99999999999999999999y` is no ",
        ),
        (
            "quota = 1\nwindow = \"1d\"\nburst = 300000\n",
            "app.toml:4: rate_limit.burst: `300000` takes more than 73 years",
        ),
        ("quota = 5\nwindow = \"1m\"\nburst = 0\n", "app.toml:4: rate_limit.burst: `0` lets nothing through; "),
        (
            "quota = 5\nwindow = \"1m\"\nkey = [\"client-ip\", \"user\"]\n",
            "app.toml:4: rate_limit.key: `user` is none of the ",
        ),
        (
            "quota = 5\nwindow = \"1m\"\nkey = [\"header:a b\"]\n",
            "app.toml:4: rate_limit.key: `header:a b` names no header",
        ),
        (
            "quota = 5\nwindow = \"1m\"\npaths = [\"/a\", \"b\"]\n",
            "app.toml:4: rate_limit.paths: `b` does not begin with `/`",
        ),
        ("quota = 5\nwindow = \"1m\"\nname = \"a b\"\n", "app.toml:4: rate_limit.name: `a b` is no name for a policy"),
        ("quota = 5\nwindow = \"1m\"\nmax_keys = 0\n", "app.toml:4: rate_limit.max_keys: `0` is no size for a table"),
        ("quota = 5\nwindow = \"1m\"\ncount_status = [42]\n", "app.toml:4: rate_limit.count_status: `42` is no status"),
        (
            "quota = 5\nwindow = \"1m\"\nmax_wait = \"1h\"\n",
            "app.toml:4: rate_limit.max_wait: `3600s` is more than clients ",
        ),
        (
            "quota = 5\nwindow = \"1m\"\nkind = \"fixed-window\"\nmax_wait = \"1s\"\n",
            "app.toml:5: rate_limit.max_wait: `1s` goes with token buckets only",
        ),
        (
            "quota = 5\nwindow = \"1m\"\nkind = \"concurrent\"\n",
            "app.toml:3: rate_limit.window: `1m` means nothing beside `kind",
        ),
        (
            "quota = 5\nwindow = \"1m\"\nkind = \"leaky\"\n",
            "app.toml:4: rate_limit.kind: `leaky` is none of the choices; ",
        ),
        ("quota = 5\nwindow = \"1m\"\nmode = \"off\"\n", "app.toml:4: rate_limit.mode: `off` is none of the choices; "),
        (
            "quota = 5\nwindow = \"1m\"\nheaders = \"draft-7\"\n",
            "app.toml:4: rate_limit.headers: `draft-7` is none of the ",
        ),
        (
            "quota = 5\nwindow = \"1m\"\nwindows = \"1m\"\n",
            "app.toml:4: rate_limit.windows: `windows` is no known key; ",
        ),
        ("quota = 5\nwindow = \"1m\"\nkey = []\n", "app.toml:4: rate_limit.key: `[]` counts by nothing; "),
        ("quota = 5\nwindow = \"1m\"\nmax_waiting = 0\n", "app.toml:4: rate_limit.max_waiting: `0` lets nobody wait; "),
        ("quota = 5\nwindow = \"9999y\"\n", "app.toml:3: rate_limit.window: `9999y` is more than 73 years"),
        (
            "quota = -1\nwindow = \"1m\"\n",
            "app.toml:2: rate_limit.quota: `-1` is out of range; write a whole number from 0, without quotes",
        ),
        (
            "quota = 5\nwindow = \"1m\"\nkey = \"subject\"\n",
            "app.toml:4: rate_limit.key: `subject` is text; write a list, in brackets",
        ),
        (
            "quota = 5\nkind = \"concurrent\"\ncount_status = [401]\n",
            "app.toml:4: rate_limit.count_status: `401` means nothing beside `kind",
        ),
        (
            "name = \"a\"\nquota = 5\nwindow = \"1m\"\n[[rate_limit]]\nname = \"a\"\nquota = 5\nwindow = \"1m\"\n",
            "app.toml:6: rate_limit.name: `a` is the name of two policies",
        ),
    ] {
        let told = error(table);
        assert!(told.starts_with(expected), "{told}\n  is not\n{expected}");
    }
}

#[test]
fn durations_have_their_units() {
    for (text, seconds) in
        [("1000ms", 1), ("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200), ("1w", 604_800), ("1y", 31_536_000)]
    {
        let layer = layer(&format!("[[rate_limit]]\nquota = 1\nwindow = \"{text}\"\nkey = [\"global\"]\n"));
        use futures_util::FutureExt as _;
        use tower::{Layer as _, ServiceExt as _, service_fn};
        let service = layer.layer(service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
        }));
        let answer = service.oneshot(get("/")).now_or_never().unwrap().unwrap();
        assert_eq!(answer.headers()["ratelimit-policy"], format!("\"default\";q=1;w={seconds}"), "{text}");
    }
}

#[test]
fn no_table_counts_nothing() {
    let layer = layer("");
    assert_eq!(admitted(&layer, 100, || get("/")), 100);
    assert_eq!(layer.handle().policies().count(), 0);
}

#[test]
fn a_missing_part_is_the_address_in_its_stead() {
    let table = |choice: &str| format!("[[rate_limit]]\nquota = 2\nwindow = \"1h\"\nkey = [\"subject\"]\n{choice}\n");
    let by_address = layer(&table(""));
    assert_eq!(admitted(&by_address, 9, || from("10.0.0.1")), 2);
    assert_eq!(admitted(&by_address, 9, || from("10.0.0.2")), 2);
    let alice = || {
        let mut request = from("10.0.0.1");
        request.extensions_mut().insert(Identity::new("i", "alice"));
        request
    };
    assert_eq!(admitted(&by_address, 9, alice), 2);
    assert_eq!(admitted(&layer(&table("on_missing_key = \"refuse\"")), 9, || from("10.0.0.1")), 0);
    assert_eq!(admitted(&layer(&table("on_missing_key = \"pass\"")), 9, || from("10.0.0.1")), 9);
    let shared = layer(&table("on_missing_key = \"shared\""));
    assert_eq!(admitted(&shared, 9, || from("10.0.0.1")) + admitted(&shared, 9, || from("10.0.0.2")), 2);
}

#[test]
fn a_route_is_the_method_and_the_pattern() {
    let table = "[[rate_limit]]\nquota = 2\nwindow = \"1h\"\nkey = [\"route\"]\npaths = [\"/a/*\", \"/b/**\"]\n";
    let layer = layer(table);
    assert_eq!(admitted(&layer, 9, || get("/a/1")), 2);
    assert_eq!(admitted(&layer, 9, || get("/a/2")), 0);
    assert_eq!(admitted(&layer, 9, || get("/b/2")), 2);
    assert_eq!(admitted(&layer, 9, || Request::post("/a/1").body(()).unwrap()), 2);
    assert_eq!(admitted(&layer, 9, || get("/c")), 9);
}

#[test]
fn kinds_modes_and_keys() {
    let text = "
        [[rate_limit]]
        name = \"shadow\"
        quota = 1
        window = \"1h\"
        mode = \"shadow\"
        [[rate_limit]]
        name = \"window\"
        kind = \"fixed-window\"
        quota = 3
        window = \"1h\"
        key = [\"header:x-a\", \"cookie:b\", \"method\", \"api-key\", \"tenant\"]
        [[rate_limit]]
        name = \"flight\"
        kind = \"concurrent\"
        quota = 1
    ";
    let layer = layer(text);
    assert_eq!(admitted(&layer, 9, || from("10.0.0.1")), 3);
    assert_eq!(layer.handle().snapshot("shadow").map(|policy| policy.shadowed), Some(2));
}
