//! Parameters in all places and styles.

use http::Method;
use serde_json::{Value, json};
use tower_rampart::validate::{Check, UnknownPaths, Validate, ValidateLayer};

use super::{document, document_30, errors, get, layer, read, request, with_parameters};
use crate::support::send;

fn query(schema: Value) -> ValidateLayer {
    with_parameters("/", json!([{ "name": "q", "in": "query", "schema": schema }]))
}

fn styled(place: &str, style: &str, explode: bool, value: &Value) -> ValidateLayer {
    let path = if place == "path" { "/{q}" } else { "/" };
    let schema = schema_of(value);
    let parameter =
        json!({ "name": "q", "in": place, "required": true, "style": style, "explode": explode, "schema": schema });
    let api = read(&document(json!({ path: { "get": { "parameters": [parameter] } } }))).unwrap();
    Validate::new().add_openapi(api).unknown_paths(UnknownPaths::Refuse).build().unwrap()
}

/// A schema of this one value.
pub(super) fn schema_of(value: &Value) -> Value {
    let kind = match value {
        Value::Array(_) => json!({ "type": "array", "items": { "type": ["integer", "string"] } }),
        Value::Object(members) => {
            let each = |(name, value): (&String, &Value)| {
                let kind = if value.is_number() { "integer" } else { "string" };
                (name.clone(), json!({ "type": kind }))
            };
            json!({ "type": "object", "properties": members.iter().map(each).collect::<serde_json::Map<_, _>>() })
        }
        Value::Number(_) => json!({ "type": "number" }),
        Value::Bool(_) => json!({ "type": "boolean" }),
        _ => json!({ "type": "string" }),
    };
    let mut schema = kind;
    schema["const"] = value.clone();
    schema
}

/// OpenAPI 3.1.1, "Style Examples": each row, where the style is defined; and RFC 6570.
#[test]
fn every_style_writes_every_kind_of_value() {
    let list = json!(["blue", "black", "brown"]);
    let object = json!({ "R": 100, "G": 200, "B": 150 });
    for (place, style, explode, target, value) in [
        ("path", "matrix", false, "/;q=blue", json!("blue")),
        ("path", "matrix", false, "/;q", json!("")),
        ("path", "matrix", false, "/;q=blue,black,brown", list.clone()),
        ("path", "matrix", false, "/;q=R,100,G,200,B,150", object.clone()),
        ("path", "matrix", true, "/;q=blue;q=black;q=brown", list.clone()),
        ("path", "matrix", true, "/;R=100;G=200;B=150", object.clone()),
        ("path", "label", false, "/.blue", json!("blue")),
        ("path", "label", false, "/.blue,black,brown", list.clone()),
        ("path", "label", false, "/.R,100,G,200,B,150", object.clone()),
        ("path", "label", true, "/.blue.black.brown", list.clone()),
        ("path", "label", true, "/.R=100.G=200.B=150", object.clone()),
        ("path", "simple", false, "/blue", json!("blue")),
        ("path", "simple", false, "/blue,black,brown", list.clone()),
        ("path", "simple", false, "/R,100,G,200,B,150", object.clone()),
        ("path", "simple", true, "/R=100,G=200,B=150", object.clone()),
        ("query", "form", false, "/?q=blue", json!("blue")),
        ("query", "form", false, "/?q=blue,black,brown", list.clone()),
        ("query", "form", false, "/?q=R,100,G,200,B,150", object.clone()),
        ("query", "form", true, "/?q=blue&q=black&q=brown", list.clone()),
        ("query", "form", true, "/?R=100&G=200&B=150", object.clone()),
        ("query", "spaceDelimited", false, "/?q=blue%20black%20brown", list.clone()),
        ("query", "spaceDelimited", false, "/?q=blue+black+brown", list.clone()),
        ("query", "spaceDelimited", false, "/?q=R%20100%20G%20200%20B%20150", object.clone()),
        ("query", "pipeDelimited", false, "/?q=blue%7Cblack%7cbrown", list),
        ("query", "pipeDelimited", false, "/?q=R|100|G|200|B|150", object.clone()),
        ("query", "deepObject", true, "/?q[R]=100&q[G]=200&q[B]=150", object.clone()),
        ("query", "deepObject", true, "/?q%5BR%5D=100&q%5BG%5D=200&q%5BB%5D=150", object),
        ("path", "simple", false, "/17.5", json!(17.5)),
        ("query", "form", true, "/?q=true", json!(true)),
        ("query", "form", true, "/?q=a%2Cb+c", json!("a,b c")),
        ("query", "form", false, "/?q=a%2Cb,c", json!(["a,b", "c"])),
        ("path", "simple", false, "/a%2Cb,c+d", json!(["a,b", "c+d"])),
    ] {
        let layer = styled(place, style, explode, &value);
        let answer = get(&layer, target);
        assert_eq!(answer.status, 200, "{place} {style} {explode} {target}: {:?}", errors(&answer));
        for other in ["/x", "/?q=x", "/", "/.x", "/;q=x", "/?q[R]=1"] {
            assert_ne!(get(&layer, other).status, 200, "{place} {style} {explode} {other}");
        }
    }
}

#[test]
fn headers_and_cookies_have_styles_too() {
    for (place, explode, field, value) in [
        ("header", false, "blue,black, brown", json!(["blue", "black", "brown"])),
        ("header", false, "R,100,G,200", json!({ "R": 100, "G": 200 })),
        ("header", true, "R=100, G=200", json!({ "R": 100, "G": 200 })),
        ("header", false, "a%20b, c", json!("a%20b, c")),
        // Nothing of a field is escaped, names of members neither.
        ("header", false, "R%41,1", json!({ "R%41": 1 })),
        ("header", true, "100%=1", json!({ "100%": 1 })),
        ("header", false, "7", json!(7)),
        ("cookie", false, "a=1; q=blue,black; b=2", json!(["blue", "black"])),
        ("cookie", true, "q=blue;q=black", json!(["blue", "black"])),
        ("cookie", true, "a=q; q=a%20b", json!("a b")),
        ("cookie", true, "q=100%", json!("100%")),
    ] {
        let style = if place == "header" { "simple" } else { "form" };
        let layer = styled(place, style, explode, &value);
        let name = if place == "header" { "Q" } else { "cookie" };
        let answer = send(&layer, request(Method::GET, "/", &[(name, field)], ""));
        assert_eq!(answer.status, 200, "{place} {field}: {:?}", errors(&answer));
        let answer = send(&layer, request(Method::GET, "/", &[(name, "q=else")], ""));
        assert_eq!(answer.status, 400, "{place} {field}");
        assert_eq!(errors(&get(&layer, "/")), [[place, "q", "required", ""].map(str::to_owned)]);
    }
}

/// Lines of a list are one list (RFC 9110 section 5.3); a single value stands once. Cookies may come in several fields.
#[test]
fn fields_that_stand_twice() {
    let twice = [("q", "1"), ("q", "2")];
    let list = styled("header", "simple", false, &json!([1, 2]));
    assert_eq!(send(&list, request(Method::GET, "/", &twice, "")).status, 200);
    let one = styled("header", "simple", false, &json!("1"));
    let answer = send(&one, request(Method::GET, "/", &twice, ""));
    assert_eq!(errors(&answer), [["header", "q", "repeated", ""].map(str::to_owned)]);
    let cookie = styled("cookie", "form", true, &json!("1"));
    assert_eq!(send(&cookie, request(Method::GET, "/", &[("cookie", "a=1"), ("cookie", "q=1")], "")).status, 200);
    assert_eq!(send(&cookie, request(Method::GET, "/", &[("cookie", "q=1"), ("cookie", "q=1")], "")).status, 400);
}

#[test]
fn numbers_are_those_of_json() {
    let whole = query(json!({ "type": "integer" }));
    for (text, status) in [
        ("7", 200),
        ("-7", 200),
        ("0", 200),
        ("%37", 200),
        ("", 400),
        ("7.0", 400),
        ("1e2", 400),
        ("+7", 400),
        ("%2B7", 400),
        ("07", 400),
        ("0x7", 400),
        ("7%20", 400),
        ("--7", 400),
        ("-", 400),
        ("seven", 400),
        ("true", 400),
        ("null", 400),
        ("NaN", 400),
        ("\u{661}", 400),
    ] {
        let target: http::Uri = match format!("/?q={text}").parse() {
            Ok(target) => target,
            Err(_) => continue,
        };
        assert_eq!(get(&whole, &target.to_string()).status, status, "{text}");
    }
    let number = query(json!({ "type": "number" }));
    for (text, status) in
        [("7", 200), ("-7.5e-3", 200), ("1e400", 400), ("1e", 400), (".5", 400), ("5.", 400), ("Infinity", 400)]
    {
        assert_eq!(get(&number, &format!("/?q={text}")).status, status, "{text}");
    }
    assert_eq!(get(&whole, &format!("/?q={}", "9".repeat(65))).status, 400, "longer than any number is read");
}

/// What OpenAPI says of formats of numbers.
#[test]
fn formats_of_numbers_are_ranges() {
    for (format, good, bad) in [
        ("int32", &["2147483647", "-2147483648"][..], &["2147483648", "-2147483649"][..]),
        (
            "int64",
            &["9223372036854775807", "-9223372036854775808"],
            &["9223372036854775808", "-9223372036854775809", "99999999999999999999"],
        ),
        ("uint8", &["255"], &["256", "-1"]),
        ("uint64", &["18446744073709551615"], &["18446744073709551616", "-1"]),
    ] {
        for document in [document, document_30] {
            let parameters = json!([{ "name": "q", "in": "query", "schema": { "type": "integer", "format": format } }]);
            let layer = layer(&document(json!({ "/": { "get": { "parameters": parameters } } })));
            for text in good {
                assert_eq!(get(&layer, &format!("/?q={text}")).status, 200, "{format} {text}");
            }
            for text in bad {
                assert_eq!(get(&layer, &format!("/?q={text}")).status, 400, "{format} {text}");
            }
        }
    }
    let float = query(json!({ "type": "number", "format": "float" }));
    assert_eq!((get(&float, "/?q=3.4e38").status, get(&float, "/?q=3.5e38").status), (200, 400));
}

#[test]
fn a_parameter_that_is_one_value_stands_once() {
    let layer = query(json!({ "type": "integer" }));
    let answer = get(&layer, "/?q=1&q=1");
    assert_eq!((answer.status, errors(&answer)), (400, vec![["query", "q", "repeated", ""].map(str::to_owned)]));
    // However the name is written.
    assert_eq!(get(&layer, "/?q=1&%71=2").status, 400);
    let deep = styled("query", "deepObject", true, &json!({ "a": 1 }));
    assert_eq!(get(&deep, "/?q[a]=1&q[a]=1").status, 400);
    for target in ["/?q[a][b]=1", "/?q[]=1", "/?q[a=1", "/?q=1", "/?q[a]x=1"] {
        assert_eq!(get(&deep, target).status, 400, "{target}");
    }
}

#[test]
fn values_are_judged_by_their_schemas_and_never_told() {
    let layer = query(json!({ "type": "string", "pattern": "^[a-z]+$", "maxLength": 4 }));
    let answer = get(&layer, "/?q=S3CRET");
    let mut told = errors(&answer);
    told.sort();
    assert_eq!(
        told,
        [["query", "q", "maxLength", ""], ["query", "q", "pattern", ""]].map(|error| error.map(str::to_owned))
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("S3CRET"));
    let list = query(json!({ "type": "array", "items": { "type": "integer" }, "maxItems": 3 }));
    assert_eq!(errors(&get(&list, "/?q=1&q=x")), [["query", "q", "type", "#/1"].map(str::to_owned)]);
    assert_eq!(get(&list, "/?q=1&q=2&q=3&q=4").status, 400);
}

/// An empty value is one, judged by its schema; where it may stand alone, its schema is not asked.
#[test]
fn empty_values() {
    assert_eq!(get(&query(json!({ "type": "integer" })), "/?q=").status, 400);
    assert_eq!(get(&query(json!({ "type": "string" })), "/?q=").status, 200);
    assert_eq!(get(&query(json!({ "type": "string", "minLength": 1 })), "/?q").status, 400);
    let parameters = json!([{ "name": "q", "in": "query", "allowEmptyValue": true, "schema": { "type": "integer" } }]);
    let layer = with_parameters("/", parameters);
    assert_eq!((get(&layer, "/?q").status, get(&layer, "/?q=x").status), (200, 400));
}

/// Where a value may be of several types, the text is what any of them makes of it.
#[test]
fn text_that_may_be_a_number() {
    let either =
        query(json!({ "oneOf": [{ "type": "integer", "maximum": 9 }, { "type": "string", "pattern": "^1.$" }] }));
    for (text, status) in [("5", 200), ("12", 200), ("99", 400), ("x", 400)] {
        assert_eq!(get(&either, &format!("/?q={text}")).status, status, "{text}");
    }
    let nullable = query(json!({ "type": ["integer", "null"] }));
    assert_eq!(
        (get(&nullable, "/?q=").status, get(&nullable, "/?q=null").status, get(&nullable, "/?q=x").status),
        (200, 200, 400)
    );
    let enumerated = query(json!({ "enum": [1, "one", true] }));
    for (text, status) in [("1", 200), ("one", 200), ("true", 200), ("2", 400)] {
        assert_eq!(get(&enumerated, &format!("/?q={text}")).status, status, "{text}");
    }
    let anything = query(json!({}));
    assert_eq!(get(&anything, "/?q=1").status, 200);
    let list_or_one = query(
        json!({ "oneOf": [{ "type": "string", "pattern": "^a" }, { "type": "array", "items": { "type": "integer" } }] }),
    );
    for (target, status) in
        [("/?q=abc", 200), ("/?q=1&q=2", 200), ("/?q=1", 200), ("/?q=b", 400), ("/?q=abc&q=abc", 400)]
    {
        assert_eq!(get(&list_or_one, target).status, status, "{target}");
    }
}

/// Where nothing says what a value is, it may be a number or text to whoever reads it, and has to pass as both.
#[test]
fn text_of_no_type_passes_as_whatever_it_may_be() {
    for (schema, text, status) in [
        (json!({ "pattern": "^[a-z]+$" }), "123", 400),
        (json!({ "pattern": "^[a-z]+$" }), "abc", 200),
        (json!({ "minimum": 5 }), "3", 400),
        (json!({ "minimum": 5 }), "7", 200),
        (json!({ "maxLength": 3 }), "12345", 400),
        (json!({ "type": "array", "items": { "maxLength": 3 } }), "12345", 400),
        (json!({ "type": "array", "items": { "maxLength": 3 } }), "123", 200),
    ] {
        assert_eq!(get(&query(schema.clone()), &format!("/?q={text}")).status, status, "{schema} {text}");
    }
}

#[test]
fn objects_may_have_members_of_any_name() {
    let parameters = json!([
        { "name": "page", "in": "query", "schema": { "type": "integer" } },
        { "name": "filter", "in": "query", "schema": {
            "type": "object", "properties": { "tags": { "type": "array", "items": { "type": "integer" } } },
            "additionalProperties": { "type": "string", "maxLength": 3 },
        } },
    ]);
    let layer = with_parameters("/", parameters);
    for (target, status) in [
        ("/?page=1&a=b&tags=1&tags=2", 200),
        ("/?page=x&a=b", 400),
        ("/?a=long", 400),
        ("/?tags=x", 400),
        ("/?a=1&a=2", 400),
    ] {
        assert_eq!(get(&layer, target).status, status, "{target}");
    }
}

#[test]
fn a_parameter_may_be_json() {
    let parameters = json!([{ "name": "q", "in": "query", "content": { "application/json": {
        "schema": { "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } }
    } } }]);
    let layer = with_parameters("/", parameters);
    for (text, status) in [
        ("%7B%22a%22%3A1%7D", 200),
        ("%7B%22a%22%3A%22x%22%7D", 400),
        ("%7B%22a%22%3A1%2C%22a%22%3A1%7D", 400),
        ("%7B", 400),
        ("", 400),
    ] {
        assert_eq!(get(&layer, &format!("/?q={text}")).status, status, "{text}");
    }
}

/// A parameter of an operation replaces one of its path; `Accept` and others are described elsewhere.
#[test]
fn parameters_are_inherited_and_some_do_not_count() {
    let q = |schema: Value| json!({ "name": "q", "in": "query", "required": true, "schema": schema });
    let accept = json!({ "name": "Accept", "in": "header", "required": true, "schema": { "type": "integer" } });
    let mut described = document(json!({ "/": {
        "parameters": [{ "$ref": "#/components/parameters/Q" }, accept],
        "get": {},
        "post": { "parameters": [q(json!({ "type": "string" }))] },
    } }));
    described["components"] = json!({ "parameters": { "Q": { "$ref": "#/components/parameters/Again" }, "Again": q(json!({ "type": "integer" })) } });
    let layer = layer(&described);
    assert_eq!((get(&layer, "/?q=1").status, get(&layer, "/?q=x").status, get(&layer, "/").status), (200, 400, 400));
    assert_eq!(send(&layer, request(Method::POST, "/?q=x", &[], "")).status, 200);
}

#[test]
fn all_that_is_wrong_is_told_up_to_a_bound_and_can_be_reported() {
    let parameter = |at: usize| json!({ "name": format!("p{at}"), "in": "query", "required": true, "schema": true });
    let parameters: Vec<_> = (0..40).map(parameter).collect();
    let answer = get(&with_parameters("/", json!(parameters)), "/");
    assert_eq!((answer.status, errors(&answer).len()), (400, 16));
    assert_eq!(answer.json()["truncated"], true);
    // What is not described comes on top, and is no more than the bound.
    let answer = get(&with_parameters("/", json!(parameters[..16])), "/?unknown=1");
    assert_eq!((errors(&answer).len(), &answer.json()["truncated"]), (16, &json!(true)));
    let described = document(json!({ "/": { "get": { "parameters": parameters } } }));
    let reporting = Validate::new().add_openapi(read(&described).unwrap()).report(Check::Parameters).build().unwrap();
    assert_eq!(get(&reporting, "/").status, 200);
}

/// Nothing that a client writes makes the layer fail.
#[test]
fn odd_text_is_refused_or_passed() {
    let deep = styled("query", "deepObject", true, &json!({ "a": 1 }));
    let form = styled("query", "form", true, &json!({ "a": 1 }));
    let reporting =
        |document: Value| Validate::new().add_openapi(read(&document).unwrap()).report_all().build().unwrap();
    let loose = reporting(document(
        json!({ "/": { "get": { "parameters": [{ "name": "q", "in": "query", "schema": { "type": "integer" } }] } } }),
    ));
    for text in ["%", "%2", "%zz", "%ff", "&&&", "=", "==", "q", "q[", "q[]", "[q]", "%5B", "q%00=1", "q=%F0%9F"] {
        for layer in [&deep, &form, &loose] {
            let status = get(layer, &format!("/?{text}")).status;
            assert!(matches!(status, 200 | 400), "{text}: {status}");
        }
    }
}
