use proptest::prelude::*;
use tower_rampart::ConfigError;
use tower_rampart::security_headers::{ContentSecurityPolicy, Csp, SecurityHeaders, Source};

fn refused(text: &str) -> ConfigError {
    text.parse::<ContentSecurityPolicy>().expect_err(text)
}

#[test]
fn text_comes_out_as_it_went_in() {
    for text in [
        "default-src 'none'",
        "default-src 'self' https: data: *.example.org https://a.example:8443/js/ wss://b.example",
        "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'strict-dynamic' 'unsafe-hashes'",
        "script-src 'report-sample' 'wasm-unsafe-eval' 'inline-speculation-rules' 'trusted-types-eval'",
        "sandbox allow-scripts allow-forms; report-uri /csp https://r.example/csp; report-to csp",
        "require-trusted-types-for 'script'; trusted-types default 'allow-duplicates'; webrtc 'block'",
        "sandbox; upgrade-insecure-requests; block-all-mixed-content",
        "img-src *; connect-src http://localhost:*; frame-src [2001]",
    ] {
        if text.contains("[2001]") {
            refused(text);
            continue;
        }
        assert_eq!(text.parse::<ContentSecurityPolicy>().unwrap().without_nonce(), text);
    }
}

#[test]
fn what_is_built_is_written_so() {
    let built = Csp::new()
        .img_src([Source::ANY_HOST, Source::BLOB])
        .require_trusted_types_for_script()
        .trusted_types(["default"])
        .build()
        .unwrap();
    let written = "img-src * blob:; require-trusted-types-for 'script'; trusted-types default";
    assert_eq!(built.without_nonce(), written);
}

#[test]
fn space_case_and_empty_directives_do_not_matter() {
    let policy: ContentSecurityPolicy = " ;; Default-SRC   'NONE' ;\timg-src 'Self'; ".parse().unwrap();
    assert_eq!(policy.without_nonce(), "default-src 'none'; img-src 'self'");
}

#[test]
fn keywords_without_quotes_are_refused() {
    for keyword in [
        "self",
        "none",
        "Unsafe-Inline",
        "strict-dynamic",
        "unsafe-eval",
        "report-sample",
        "nonce-abc",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ] {
        let error = refused(&format!("script-src {keyword}"));
        assert_eq!(error.value(), keyword);
        assert!(error.to_string().contains("lacks its quotes"), "{error}");
        assert!(Source::host(keyword).is_err(), "{keyword}");
    }
}

#[test]
fn misspelled_keywords_and_directives_are_refused_with_a_proposal() {
    assert!(refused("script-src 'sefl'").to_string().contains("is no keyword"));
    let error = refused("scirpt-src 'self'");
    assert_eq!(error.value(), "scirpt-src");
    assert!(error.mend().contains("`script-src`"), "{error}");
    assert!(refused("zzzzzzzzzz 'self'").mend().contains("Csp::custom"));
}

#[test]
fn none_stands_alone() {
    assert!(refused("default-src 'none' 'self'").to_string().contains("beside other sources"));
    assert!(Csp::new().img_src([Source::NONE, Source::DATA]).build().is_err());
}

#[test]
fn characters_that_end_a_directive_or_the_field_are_refused() {
    for text in [
        "default-src 'self', img-src *",
        "default-src 'self'\r\nset-cookie: a=b",
        "default-src 'self'\nimg-src *",
        "default-src http\u{0455}://a.example",
        "default-src \u{0}",
    ] {
        refused(text);
    }
    for host in ["https://a.example;script-src", "a.example,b", "a b", "a\r\nb", "пример.рф", ""] {
        assert!(Source::host(host).is_err(), "{host}");
    }
    assert!(Csp::new().default_src([Source::SELF]).custom("x-new", "a; script-src *").build().is_err());
    assert!(Csp::new().custom("x new", "a").build().is_err());
    assert!(Csp::new().report_uri(["/csp;script-src"]).build().is_err());
}

#[test]
fn repetition_is_refused() {
    assert!(refused("img-src 'self'; IMG-SRC *").to_string().contains("stands twice"));
    assert!(refused("img-src 'self' 'self'").to_string().contains("stands twice in img-src"));
    assert!(Csp::new().img_src([Source::SELF]).img_src([Source::DATA]).build().is_err());
}

#[test]
fn strict_dynamic_needs_a_nonce_or_a_hash() {
    let alone = Csp::new().script_src([Source::STRICT_DYNAMIC, Source::HTTPS]);
    assert!(alone.build().unwrap_err().to_string().contains("no nonce or hash"));
    assert!(Csp::new().script_src([Source::STRICT_DYNAMIC, Source::NONCE]).build().is_ok());
    assert!(Csp::new().script_src([Source::STRICT_DYNAMIC, Source::sha384([7; 48])]).build().is_ok());
}

#[test]
fn a_source_without_effect_is_refused() {
    for text in ["img-src 'unsafe-inline'", "frame-ancestors 'strict-dynamic'", "connect-src 'unsafe-eval'"] {
        assert!(refused(text).to_string().contains("has no effect"), "{text}");
    }
    assert!(Csp::new().img_src([Source::NONCE]).build().is_err());
}

#[test]
fn a_written_nonce_is_refused() {
    for text in ["script-src 'nonce-'", "script-src 'nonce-c2VjcmV0'"] {
        assert!(refused(text).mend().contains("Source::NONCE"), "{text}");
    }
}

#[test]
fn digests_must_have_their_length() {
    refused("script-src 'sha256-abc'");
    refused("script-src 'sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
    let empty_script = Source::sha256([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);
    assert_eq!(empty_script.to_string(), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
}

#[test]
fn the_other_grammars_are_checked() {
    for text in [
        "",
        " ; ",
        "default-src",
        "sandbox allow-everything",
        "upgrade-insecure-requests 1",
        "require-trusted-types-for script",
        "report-to a b",
        "report-to",
        "report-uri",
        "webrtc allow",
        "trusted-types a'b",
        "script-src https://",
        "script-src https://a.example:99999",
        "script-src a.*.example",
        "script-src https://a.example/?q",
    ] {
        refused(text);
    }
    refused(&format!("default-src {}", "https://a.example/".repeat(1000)));
}

#[test]
fn a_group_must_be_declared() {
    let policy = || Csp::new().default_src([Source::SELF]).report_to("csp");
    let error = SecurityHeaders::api().content_security_policy(policy()).build().unwrap_err();
    assert_eq!((error.setting(), error.value()), ("content_security_policy", "csp"));
    let declared = SecurityHeaders::api().reporting_endpoint("csp", "https://r.example/csp");
    assert!(declared.clone().content_security_policy(policy()).build().is_ok());
    assert!(declared.content_security_policy_report_only(policy()).build().is_ok());
    assert!(SecurityHeaders::api().content_security_policy_report_only(policy()).build().is_err());
}

#[test]
fn without_a_nonce_nothing_dormant_comes_to_life() {
    let undrawn = |csp: Csp| csp.build().unwrap().without_nonce().to_str().unwrap().to_owned();
    // 'unsafe-inline', hosts and schemes are there for old browsers, and ignored by those that know nonces.
    let compatible = [Source::NONCE, Source::STRICT_DYNAMIC, Source::UNSAFE_INLINE, Source::HTTPS, Source::SELF];
    assert_eq!(undrawn(Csp::new().script_src(compatible)), "script-src 'self'");
    let hash = || Source::sha256([1; 32]);
    assert_eq!(
        undrawn(Csp::new().script_src([Source::NONCE, Source::STRICT_DYNAMIC, hash(), Source::HTTPS])),
        format!("script-src 'strict-dynamic' {}", hash()),
    );
    assert_eq!(
        undrawn(Csp::new().style_src([Source::NONCE, Source::host("https://cdn.example").unwrap()])),
        "style-src https://cdn.example",
    );
    assert_eq!(
        undrawn(Csp::new().script_src([Source::NONCE, Source::REPORT_SAMPLE])),
        "script-src 'self' 'report-sample'"
    );
}

proptest! {
    /// Whatever text comes, it is refused or renders to something that parses to itself.
    #[test]
    fn parsing_never_panics_and_is_stable(text in "[ -~]{0,200}|(?s).{0,60}") {
        if let Ok(policy) = text.parse::<ContentSecurityPolicy>() {
            let rendered = policy.without_nonce().to_str().unwrap().to_owned();
            let again: ContentSecurityPolicy = rendered.parse().unwrap();
            prop_assert_eq!(again.without_nonce(), policy.without_nonce());
        }
    }

    /// Near-valid text, so that the deeper checks are reached.
    #[test]
    fn near_valid_text_never_panics(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "default-src", "script-src", "img-src", "sandbox", "report-to", ";", "'self'", "'none'", "'nonce-a'", "https:",
            "a.example", "'strict-dynamic'", "'sha256-x'", "*", "*.a", "a:1/", "'", "''", "://",
        ]), 0..12),
    ) {
        let _ = tokens.join(" ").parse::<ContentSecurityPolicy>();
    }
}
