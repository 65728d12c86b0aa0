//! The JSON that is read, beside what serde_json reads.

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_rampart::auth::KeySet;

use crate::support::b64;

/// Whether a text is read, as a member of a key set that is sound otherwise.
fn is_read(text: &str) -> bool {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64([3; 32]) });
    KeySet::from_jwks(format!("{{\"keys\":[{key}],\"x\":{text}}}").as_bytes()).is_ok()
}

/// What serde_json reads and keeps whole: it keeps the last of two members.
fn is_sound(text: &str) -> bool {
    let wrapped = format!("[{text}]");
    matches!(serde_json::from_str::<Value>(&wrapped), Ok(Value::Array(items)) if items.len() == 1)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("a number", |number| serde_json::Number::from_f64(number).map(Value::Number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_json_is_read(value in value()) {
        prop_assert!(is_read(&value.to_string()));
        prop_assert!(is_read(&serde_json::to_string_pretty(&value).unwrap()));
    }

    #[test]
    fn what_is_nearly_json_is_judged_alike(text in "[\\[\\]{},:\"\\\\truefalsn0-9.eE+u \\n-]{0,24}") {
        // Members that stand twice are ours alone to refuse.
        prop_assert!(!is_read(&text) || is_sound(&text), "{text:?} is read");
        prop_assert!(is_read(&text) || !is_sound(&text) || text.contains(':'), "{text:?} is not read");
    }

    #[test]
    fn numbers_and_escapes_are_judged_alike(number in "-?[0-9]{0,3}\\.?[0-9]{0,2}([eE][+-]?[0-9]{0,2})?", escape in "\\\\(u[0-9a-fA-F]{0,5}|[a-z\"/\\\\])") {
        prop_assert_eq!(is_read(&number), is_sound(&number), "{:?}", number);
        let text = format!("\"{escape}\"");
        prop_assert_eq!(is_read(&text), is_sound(&text), "{:?}", text);
    }
}

#[test]
fn halves_of_characters() {
    for (text, sound) in [
        (r#""\ud83d\ude00""#, true),
        (r#""\ud83d""#, false),
        (r#""\ude00""#, false),
        (r#""\ud83d\u0041""#, false),
        (r#""\ud83dx""#, false),
        ("\"\u{7f}\"", true),
        ("\"\t\"", false),
        ("\"\0\"", false),
    ] {
        assert_eq!(is_read(text), sound, "{text:?}");
    }
}
