//! JSON and forms, read strictly.

use proptest::prelude::*;
use serde_json::Value;
use tower_rampart::validate::{Limits, Validate};

use crate::support::{harden, json, post, send};

fn refused(body: impl Into<bytes::Bytes>) -> Option<(String, String)> {
    let answer = send(&harden(), json(body));
    match answer.status {
        200 => None,
        400 => Some(answer.error()),
        other => panic!("{other}"),
    }
}

#[test]
fn what_every_parser_reads_alike_passes_unchanged() {
    for body in [
        "{}",
        "[]",
        "null",
        "0",
        "-1.5e10",
        "\"\"",
        " {\"a\" : [ 1 , true , null ] } \n",
        "{\"text\":\"O'Brien <b> \\u00e9 \\ud83d\\ude00 1=1--\"}",
        "{\"__proto__\":1}",
        "[18446744073709551616, 1e400]",
    ] {
        let answer = send(&harden(), json(body));
        // A number beyond a double is lost where it is parsed, so it is refused.
        if body.contains("1e400") {
            assert_eq!(answer.status, 400);
            continue;
        }
        assert_eq!((answer.status, &answer.body[..]), (200, body.as_bytes()), "{body}");
    }
}

/// RFC 8259, and RFC 7493 sections 2.1 to 2.3: UTF-8, no lone surrogates, no member twice.
#[test]
fn what_parsers_differ_about_is_refused_with_its_place() {
    for (body, pointer) in [
        (&b"{\"a\":1,\"a\":2}"[..], "#"),
        (b"{\"a\":1,\"\\u0061\":2}", "#"),
        (b"{\"x\":[0,{\"a\":1,\"a\":1}]}", "#/x/1"),
        (b"{\"a/b~c\":[{\"k\":nul}]}", "#/a~1b~0c/0/k"),
        (b"\xef\xbb\xbf{}", "#"),
        (b"{\"a\":\"\xff\"}", "#"),
        (b"{\"a\":\"\\ud800\"}", "#/a"),
        (b"{\"a\":\"\\u0000\"}", "#/a"),
        (b"{\"a\":\"\x01\"}", "#/a"),
        (b"{} x", "#"),
        (b"{}{}", "#"),
        (b"", "#"),
        (b" ", "#"),
        (b"{\"a\":01}", "#"),
        (b"{\"a\":NaN}", "#/a"),
        (b"{'a':1}", "#"),
        (b"[1,]", "#/1"),
        (b"// c\n{}", "#"),
    ] {
        let (check, at) = match refused(body) {
            Some(refused) => refused,
            // An empty body is none.
            None if body.is_empty() => continue,
            None => panic!("{} passes", String::from_utf8_lossy(body)),
        };
        assert_eq!((check.as_str(), at.as_str()), ("json", pointer), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn depth_items_and_lengths_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(refused(nested(32)), None);
    assert!(refused(nested(33)).is_some());
    let list = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
    assert_eq!(refused(list(10_000)), None);
    assert!(refused(list(10_001)).is_some());
    let object = |members: usize| {
        let members: Vec<_> = (0..members).map(|at| format!("\"{at}\":[0]")).collect();
        format!("{{{}}}", members.join(","))
    };
    // Members and elements of the whole document.
    assert_eq!(refused(object(5000)), None);
    assert!(refused(object(5001)).is_some());
    let text = |bytes: usize| format!("[\"{}\"]", "x".repeat(bytes));
    assert_eq!(refused(text(16 << 10)), None);
    assert_eq!(refused(text((16 << 10) + 1)).unwrap().1, "#/0");
    let name = |bytes: usize| format!("{{\"{}\":0}}", "x".repeat(bytes));
    assert_eq!(refused(name(1 << 10)), None);
    assert!(refused(name((1 << 10) + 1)).is_some());
    assert!(refused("1".repeat(65)).is_some());
}

#[test]
fn each_object_and_list_can_be_bounded() {
    let limits = Limits::new().json_object_members(2).json_list_elements(3);
    let layer = Validate::new().limits(limits).build().unwrap();
    for (body, pointer) in [
        ("{\"a\":[1,2,3],\"b\":{\"c\":1,\"d\":2}}", None),
        ("[[1,2,3],[4,5,6],[7,8,9]]", None),
        ("[0,{\"a\":1,\"b\":2,\"c\":3}]", Some("#/1")),
        ("{\"a\":[1,2,3,4]}", Some("#/a")),
    ] {
        let answer = send(&layer, json(body));
        let refused = (answer.status == 400).then(|| answer.error().1);
        assert_eq!(refused.as_deref(), pointer, "{body}");
    }
}

/// What scripts take for what all their objects share; harmless elsewhere, so that it is asked for.
#[test]
fn names_of_prototypes_can_be_refused() {
    let layer = Validate::new().limits(Limits::new().json_prototypes(false)).build().unwrap();
    for body in [
        "{\"__proto__\":{}}",
        "[{\"a\":{\"\\u005f_proto__\":1}}]",
        "{\"constructor\":{\"prototype\":{}}}",
        "{\"constructor\":{\"a\":1,\"\\u0070rototype\":1}}",
    ] {
        assert_eq!(refused(body), None);
        assert_eq!(send(&layer, json(body)).status, 400, "{body}");
    }
    for body in [
        "{\"constructor\":\"Bob\",\"prototype\":{\"prototype\":1}}",
        "{\"constructor\":[{\"prototype\":1}]}",
        "{\"constructor\":1,\"b\":{\"prototype\":1}}",
        "{\"constructor\":{\"a\":{\"prototype\":1}}}",
        "[\"__proto__\"]",
    ] {
        assert_eq!(send(&layer, json(body)).status, 200, "{body}");
    }
}

/// Text that looks like an attack, and is what people write.
#[test]
fn benign_text_passes_wherever_it_stands() {
    let layer = Validate::new().limits(Limits::new().json_prototypes(false)).build().unwrap();
    for text in [
        "O'Brien",
        "1=1?",
        "a < b && c > d",
        "<script>alert(1)</script> is what he typed",
        "DROP TABLE is a statement; --",
        "../ is a parent",
        "50% off",
        "%00 and %2e%2e%2f",
        "C:\\windows",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "line\r\nbreak\ttab",
        "שלום \u{1f600} e\u{301}",
        "union select",
        "| cat /etc/passwd",
    ] {
        let document = serde_json::json!({ "text": text, text: [text] }).to_string();
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let part = format!("--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n{text}\r\n--b--");
        for (content_type, body) in [
            ("application/json", document),
            ("application/x-www-form-urlencoded", format!("a={encoded}&{encoded}=b")),
            ("multipart/form-data; boundary=b", part),
            ("text/plain", text.to_owned()),
        ] {
            let answer = send(&layer, post(content_type, body.clone()));
            assert_eq!((answer.status, &answer.body[..]), (200, body.as_bytes()), "{content_type}: {text}");
        }
        assert_eq!(send(&layer, crate::support::get(&format!("/search?q={encoded}"))).status, 200, "{text}");
    }
}

/// Names are the sender's: what a pointer shows of them is short, and text.
#[test]
fn pointers_are_cut_and_clean() {
    let name = format!("{}\\u001b[31m", "n".repeat(200));
    let (_, pointer) = refused(format!("{{\"{name}\":nul}}")).unwrap();
    assert_eq!(pointer, format!("#/{}", "n".repeat(64)));
    let (_, pointer) = refused("{\"a\\u001bb\":nul}").unwrap();
    assert_eq!(pointer, "#/ab");
}

/// A megabyte of each kind of hostile JSON is read in one walk, or not at all.
#[test]
fn hostile_documents_are_refused_by_their_limits() {
    let layer = Validate::new().limits(Limits::new().body_bytes(2 << 20)).build().unwrap();
    let mb = 1 << 20;
    let names: Vec<_> = (0..60_000).map(|at| format!("\"{at}\":0")).collect();
    for body in [
        "[".repeat(mb),
        format!("{}1", "{\"a\":".repeat(mb / 5)),
        format!("[{}]", "0,".repeat(mb / 2)),
        format!("\"{}\"", "x".repeat(mb)),
        "9".repeat(mb),
        format!("{{{}}}", names.join(",")),
        format!("[{}0]", "{},".repeat(mb / 3)),
        "\\".repeat(mb),
    ] {
        assert_eq!(send(&layer, json(body)).status, 400);
    }
}

#[test]
fn forms_are_bounded_text() {
    let form = |body: &str| {
        let answer = send(&harden(), post("application/x-www-form-urlencoded", body.to_owned()));
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    };
    for body in ["a=1&b=2", "a=O%27Brien+%26+sons", "text=line%0D%0Abreak", "a", "&&"] {
        assert_eq!(form(body), (200, body.to_owned()));
    }
    for body in ["a=x\0y", "a=\u{1b}", "a=%", "a=%f", "a=%ff", "a=%00", &"a=1&".repeat(1000)] {
        assert_eq!(form(body).0, 400, "{}", &body[..body.len().min(10)]);
    }
}

/// What passes is what serde_json reads, too, and it reads the same.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\\u{80}-\\u{2000}\"\\\\/<>]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-c\"\\\\]{0,3}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn documents_of_any_shape_pass_unchanged(value in value()) {
        let text = value.to_string();
        let answer = send(&harden(), json(text.clone()));
        prop_assert_eq!((answer.status, &answer.body[..]), (200, text.as_bytes()));
    }

    /// Text that serde_json refuses is refused here; what passes here is read there.
    #[test]
    fn nothing_passes_that_is_no_json(text in "[\\[\\]{}\",:0-9eE.+\\-\\\\ua-ftrn ]{0,24}") {
        if !text.is_empty() && refused(text.clone()).is_none() {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }
}
