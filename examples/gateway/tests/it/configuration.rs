use std::process::Stdio;

use crate::support::{command, hello, patiently, start, write};

/// Runs the gateway with this file and returns what it said when it gave up.
async fn refused(toml: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "gateway.toml", toml);
    let mut command = command();
    command.current_dir(dir.path()).args(["--config", "gateway.toml"]).stderr(Stdio::piped());
    let output = patiently(command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{toml}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn errors_name_file_line_key_value_and_mend() {
    for (toml, expected) in [
        (
            "listen = \"127.0.0.1:0\"\nupstraem = \"http://127.0.0.1:1\"\n",
            "error: gateway.toml:2: upstraem: `upstraem` is no known key; use one of `listen`, `admin_listen`, \
             `upstream`, `upstream_http2`, `tls`, `connections`, `client_ip`, `security_headers`, `rate_limit`, `rate_limit_store`, \
             `auth`, `authz`, `validate`, `cache`, `cache_store`, `timeouts`, `retry`, `bulkhead`, `load_shed`, `circuit_breaker`\n",
        ),
        (
            "[rate_limit_store]\nurl = \"redis://127.0.0.1\"\nsecret_env = \"NOT_SET_ANYWHERE\"\n",
            "error: gateway.toml:3: rate_limit_store.secret_env: `NOT_SET_ANYWHERE` names a variable that is not set; set it \
             to a long random text, the same for all instances\n",
        ),
        (
            "[cache_store]\nurl = \"redis://127.0.0.1\"\n",
            "error: gateway.toml:1: cache_store: has nothing to share; write `[cache]` too, or leave it out\n",
        ),
        (
            "[cache]\n[cache_store]\nurl = \"redis://127.0.0.1\"\nfill_lease = \"61s\"\n",
            "error: gateway.toml:4: cache_store.fill_lease: `61s` is too long; write a minute at most\n",
        ),
        (
            "listen = \"8080\"\n",
            "error: gateway.toml:1: listen: `8080` is no socket address; \
             write one such as `127.0.0.1:8080` or `[::1]:8080`\n",
        ),
        (
            "upstream = \"ftp://a.example\"\n",
            "error: gateway.toml:1: upstream: `ftp://a.example` is no http URL; \
             write one such as `http://127.0.0.1:9000`\n",
        ),
        (
            "upstream = \"http://a.example/base\"\n",
            "error: gateway.toml:1: upstream: `http://a.example/base` has a path: paths are passed on as they come; \
             write one such as `http://127.0.0.1:9000`\n",
        ),
        (
            "[client_ip]\n\ntrusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/99\"]\n",
            "error: gateway.toml:3: client_ip.trusted_proxies: `10.0.0.0/99` is not an address block; \
             write one such as `10.0.0.0/8` or `2001:db8::/32`\n",
        ),
        (
            "[security_headers]\npreset = \"strict\"\n",
            "error: gateway.toml:2: security_headers.preset: `strict` is none of the choices; \
             use one of `api`, `web`, `grpc`, `owasp`\n",
        ),
        (
            "[security_headers]\ncontent_security_policy = \"script-src self\"\n",
            "error: gateway.toml:2: security_headers.content_security_policy: `self` lacks its quotes; \
             write it in single quotes, as `'self'`\n",
        ),
        (
            "[connections]\nhead = \"0s\"\n",
            "error: gateway.toml:2: connections.head: `0s` is too short or too long; write 1ms to 1h\n",
        ),
        (
            "[connections]\ndrain = \"half an hour\"\n",
            "error: gateway.toml:2: connections.drain: `half an hour` is no duration; write a whole number and one of \
             `ms s m h d w y`, such as `900ms` or `15m`\n",
        ),
        (
            "[bulkhead]\nmax_concurrent = 0\n",
            "error: gateway.toml:2: bulkhead.max_concurrent: `0` lets nothing through; write 1 to 2147483648\n",
        ),
        (
            "[load_shed]\nnever_shed = [\"/healthz\", \"readyz\"]\n",
            "error: gateway.toml:2: load_shed.never_shed: `readyz` does not begin with `/`; \
             write one such as `/login`, `/polls/*/votes` or `/api/**`\n",
        ),
        (
            "upstream_http2 = \"yes\"\n",
            "error: gateway.toml:1: upstream_http2: `yes` is text; write `true` or `false`, without quotes\n",
        ),
        (
            "listen = \"127.0.0.1:0\"\n\n[auth]\n",
            "error: gateway.toml:3: auth: knows no credential; add an `[[auth.issuer]]` or an \
             `[[auth.api_key]]` table\n",
        ),
    ] {
        assert_eq!(refused(toml).await, expected);
    }
}

/// What people write who have not read the manual: each answer says what to write instead.
#[tokio::test]
async fn what_newcomers_write_is_answered_by_its_mend() {
    const TIME: &str = "write a whole number and one of `ms s m h d w y`, such as `900ms` or `15m`";
    let policy = |rest: &str| format!("[[rate_limit]]\nquota = 5\nwindow = \"1m\"\n{rest}");
    for (toml, setting, mend) in [
        ("listen = 8080\n".to_owned(), "1: listen: `8080` is a number", "write text, in quotes"),
        ("listen = \"localhost:8080\"\n".into(), "1: listen: `localhost:8080`", "write one such as `127.0.0.1:8080`"),
        ("upstream = \"127.0.0.1:9000\"\n".into(), "1: upstream: `127.0.0.1:9000`", "write one such as `http://"),
        (
            "upstream = \"https://a.example\"\n".into(),
            "1: upstream: `https://a.example`",
            "a proxy beside the upstream",
        ),
        ("upstream_http2 = 1\n".into(), "1: upstream_http2: `1` is a number", "write `true` or `false`"),
        ("[cache]\n[cache]\n".into(), "2: syntax: `cache` is there twice", "put them together"),
        ("cache = true\n".into(), "1: cache: `true` is a yes or no", "write a table, `[cache]`"),
        ("[cache\n".into(), "1: syntax: unclosed table", "write `]`"),
        ("[security_headers]\npreset = web\n".into(), "2: syntax: `web`", "write it in quotes"),
        ("[rate_limit]\nquota = 5\n".into(), "1: rate_limit: `[rate_limit]` is one table", "write `[[rate_limit]]`"),
        (
            "[[authz.rule]]\nid = \"a\"\npath = \"/\"\nallow = \"public\"\n[[authz.rule]]\nid = \"b\"\n".into(),
            "1: authz.rule: lacks `methods`",
            "add `methods = ..`",
        ),
        ("[[rate_limit]]\nquota = -5\nwindow = \"1m\"\n".into(), "2: rate_limit.quota: `-5`", "a whole number from 0"),
        (
            "[[rate_limit]]\nquota = \"5\"\n".into(),
            "2: rate_limit.quota: `5` is text",
            "a whole number from 0, without quotes",
        ),
        ("[[rate_limit]]\nquota = 5\nwindow = 60\n".into(), "3: rate_limit.window: `60` is a number", "`\"60s\"`"),
        ("[[rate_limit]]\nquota = 5\nwindow = \"1 minute\"\n".into(), "3: rate_limit.window: `1 minute`", TIME),
        (policy("key = \"client-ip\"\n"), "4: rate_limit.key: `client-ip` is text", "write a list, in brackets"),
        (policy("key = [\"ip\"]\n"), "4: rate_limit.key: `ip` is none of the choices", "use `client-ip`"),
        (policy(&policy("")), "5: rate_limit.quota: `default` is the name of two", "a name of its own"),
        ("[cache]\nbytes = \"64MB\"\n".into(), "2: cache.bytes: `64MB` is no size", "`B KiB MiB GiB`"),
        ("[timeouts]\nrequest = \"0s\"\n".into(), "2: timeouts.request: `0s`", "write a time such as `5s`"),
        ("[circuit_breaker]\nfailure_rate = 50\n".into(), "2: circuit_breaker.failure_rate: `50`", "up to 1"),
        ("[auth]\n".into(), " auth: knows no credential", "add an `[[auth.issuer]]`"),
        ("[[auth.issuer]]\nissuer = \"https://idp.example/\"\n".into(), "1: auth.issuer: ", "add `audience = ..`"),
        ("[[auth.api_key]]\nid = \"a\"\nsha256 = \"x\"\n".into(), " auth.api_key.sha256: of `a`", "sha256sum"),
        ("[[authz.rule]]\nid = \"a\"\npath = \"/\"\nallow = true\n".into(), "4: authz.rule.allow: `true`", "in quotes"),
        ("[validate]\nopenapi = \"no.json\"\n".into(), " validate.openapi: `no.json` cannot be read", "name a file"),
        ("[client_ip]\ntrusted_proxies = \"10.0.0.0/8\"\n".into(), "2: client_ip.trusted_proxies: ", "in brackets"),
    ] {
        let said = refused(&toml).await;
        assert!(said.contains(setting) && said.contains(mend), "{toml}\n{said}");
        let (breach, mend) = said.split_once("; ").unwrap_or_else(|| panic!("no mend: {said}"));
        assert!(!breach.is_empty() && !mend.trim().is_empty() && said.lines().count() == 1, "{said}");
    }
}

#[tokio::test]
async fn bad_files_and_flags_are_errors_too() {
    let missing_cert = refused("[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n").await;
    assert!(
        missing_cert.starts_with("error: gateway.toml:2: tls.cert: `cert.pem` is no usable certificate"),
        "{missing_cert}"
    );
    let by_default = refused("[tls]\n").await;
    assert!(
        by_default.starts_with("error: gateway.toml:1: tls.cert: `cert.pem` is no usable certificate"),
        "{by_default}"
    );
    for (args, expected) in [
        (&["--listen", "8080"][..], "error: --listen: `8080` is no socket address"),
        (&["--upstream", "127.0.0.1:9000"], "error: --upstream: `127.0.0.1:9000` is no"),
        (&["--config", "/nonexistent.toml"], "error: --config: `/nonexistent.toml` cannot be read"),
        (&["--nonsense"], "error: unexpected argument"),
    ] {
        let output = patiently(command().args(args).stderr(Stdio::piped()).output()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test]
async fn flags_alone_are_enough_and_turn_the_headers_on() {
    let (address, _) = hello().await;
    let upstream = format!("http://{address}");
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0", "--upstream", &upstream]);
    let gateway = start(&mut command, tempfile::tempdir().unwrap(), false).await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.body, "hello");
    assert_eq!(
        answer.headers["content-security-policy"],
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
}

#[tokio::test]
async fn an_address_in_use_is_a_failure_of_another_kind() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = patiently(command().args(["--listen", &address]).stderr(Stdio::piped()).output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&address) && said.contains("end it, or name another port"), "{said}");
}
