use serde::Deserialize;
use tower_rampart::config::{self, ClientIpConfig};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the errors are looked at")]
struct Config {
    #[serde(default)]
    listen: String,
    #[serde(default)]
    client_ip: ClientIpConfig,
    #[cfg(feature = "security-headers")]
    security_headers: Option<config::SecurityHeadersConfig>,
}

fn error(text: &str) -> String {
    config::parse::<Config>(text, "app.toml").expect_err(text).to_string()
}

#[test]
fn an_error_names_file_line_key_value_and_mend() {
    for (text, expected) in [
        (
            "listen = \"a\"\n\n[client_ip]\nheader = \"x-client\"\n",
            "app.toml:4: client_ip.header: `x-client` is no forwarded header; \
             write `x-forwarded-for`, `forwarded`, `x-real-ip` or `cf-connecting-ip`",
        ),
        (
            "[client_ip]\ntrusted_proxies = [\n  \"10.0.0.0/8\",\n  \"10.0.0.1/8\",\n]\n",
            "app.toml:4: client_ip.trusted_proxies: `10.0.0.1/8` has bits set beyond its prefix; \
             write one such as `10.0.0.0/8` or `2001:db8::/32`",
        ),
        (
            "[client_ip]\nipv6_prefix = 0\n",
            "app.toml:2: client_ip.ipv6_prefix: `0` is no prefix length; write 64, or another from 1 to 128",
        ),
        (
            "client_ip = { header = 5 }\n",
            "app.toml:1: client_ip.header: `5` is a number; write text, in quotes; \
             times and sizes have their unit there: `\"60s\"`, `\"64KiB\"`",
        ),
        ("lisen = \"a\"\n", "app.toml:1: lisen: `lisen` is no known key; use one of `listen`, `client_ip`"),
        (
            "[client_ip]\ntrusted_proxy = []\n",
            "app.toml:2: client_ip.trusted_proxy: `trusted_proxy` is no known key; \
             use one of `trusted_proxies`, `header`, `ipv6_prefix`",
        ),
    ] {
        let told = error(text);
        let told = told.replace(", `security_headers`", "");
        assert_eq!(told, expected);
    }
}

/// What is found when a layer is made of a table has the line of what it speaks of.
#[test]
fn what_is_found_later_has_a_line_too() {
    let text = "listen = \"a\"\n\n[client_ip]\nheader = \"forwarded\"\n[[rule]]\npath = \"/\"\n[[rules]]\na = 1\n[[rules]]\na = 2\n";
    for (setting, line) in [
        ("listen", Some(1)),
        ("client_ip", Some(3)),
        ("client_ip.header", Some(4)),
        ("client_ip.header.deeper", Some(4)),
        ("client_ip, header", Some(4)),
        ("rule.path", Some(6)),
        ("rules.a", Some(7)),
        ("elsewhere", None),
        ("", None),
    ] {
        let error = config::locate(tower_rampart::ConfigError::new(setting, "", "is bad", "mend it"), text, "app.toml");
        assert_eq!(error.line(), line, "{setting}");
    }
    let placed = tower_rampart::ConfigError::new("listen", "", "is bad", "mend it").at("other.toml", 9);
    assert_eq!(config::locate(placed, text, "app.toml").line(), Some(9));
}

#[test]
fn broken_syntax_has_a_line_too() {
    assert!(
        error("listen = \"a\"\n[client_ip\n").starts_with("app.toml:2: "),
        "{}",
        error("listen = \"a\"\n[client_ip\n")
    );
    assert!(error("listen = \n").starts_with("app.toml:1: "));
    assert!(error("listen = \"a\"\nlisten = \"b\"\n").starts_with("app.toml:2: "));
    assert!(!error("a = \"\u{1b}[31m\"").contains('\u{1b}'));
}

#[test]
fn an_absent_table_is_its_defaults() {
    let config: Config = config::parse("", "app.toml").unwrap();
    assert_eq!(config.client_ip, ClientIpConfig::default());
}

#[cfg(feature = "security-headers")]
mod security_headers {
    use http::{Request, Response};
    use tower::{Layer, ServiceExt, service_fn};
    use tower_rampart::key::ClientIp;

    use super::{Config, config, error};

    fn fields(text: &str, uri: &str) -> http::HeaderMap {
        let config: Config = config::parse(text, "app.toml").unwrap();
        let layer = config.security_headers.unwrap().to_layer(&ClientIp::new()).unwrap();
        let service = layer.layer(service_fn(|_: Request<()>| async { Ok::<_, ()>(Response::new(String::new())) }));
        let request = Request::get(uri).body(()).unwrap();
        let response = futures_util::FutureExt::now_or_never(service.oneshot(request)).unwrap().unwrap();
        response.headers().clone()
    }

    #[test]
    fn an_empty_table_is_the_api_preset() {
        let headers = fields("[security_headers]\n", "http://localhost/");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'; base-uri"));
        assert!(!headers.contains_key("strict-transport-security"));
    }

    #[test]
    fn presets_hsts_and_policy() {
        let headers = fields("[security_headers]\npreset = \"grpc\"\nhsts = \"always\"\n", "http://localhost/");
        assert_eq!(headers.len(), 2);
        assert!(headers.contains_key("strict-transport-security"));
        let never = fields("[security_headers]\npreset = \"web\"\nhsts = \"never\"\n", "https://localhost/");
        assert!(!never.contains_key("strict-transport-security"));
        let own = fields("[security_headers]\ncontent_security_policy = \"default-src 'self'\"\n", "/");
        assert_eq!(own["content-security-policy"], "default-src 'self'");
    }

    #[test]
    fn a_policy_is_checked_like_one_built_in_code() {
        let of = |policy: &str| error(&format!("[security_headers]\ncontent_security_policy = \"{policy}\"\n"));
        assert_eq!(
            of("script-src self"),
            "app.toml:2: security_headers.content_security_policy: `self` lacks its quotes; \
             write it in single quotes, as `'self'`",
        );
        assert!(of("default-src 'self'; report-to csp").contains("`csp` is a reporting group that is not declared"));
        assert_eq!(
            error("[security_headers]\npreset = \"strict\"\n"),
            "app.toml:2: security_headers.preset: `strict` is none of the choices; use one of `api`, `web`, `grpc`, `owasp`",
        );
    }
}
