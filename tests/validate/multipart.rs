//! Multipart forms: RFC 7578, and RFC 2046 section 5.1.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use proptest::prelude::*;
use tower_rampart::validate::{Check, Limits, Route, Validate, ValidateLayer};

use crate::support::{Answer, harden, pieces, post, send};

const TYPE: &str = "multipart/form-data; boundary=b";
const NAME: &str = "content-disposition: form-data; name=\"a\"";

fn ask(layer: &ValidateLayer, body: impl Into<Bytes>) -> Answer {
    send(layer, post(TYPE, body))
}

/// A form of one part with this head.
fn part(head: &str) -> String {
    format!("--b\r\n{head}\r\n\r\nx\r\n--b--\r\n")
}

#[test]
fn what_everybody_reads_alike_passes_unchanged() {
    let heads = [
        NAME,
        "Content-Disposition: form-data; name=\"O'Brien; a < b\"",
        "Content-Disposition: form-data; name=a",
        "Content-Disposition: form-data; name=\"a\"; filename=\"\"\r\nContent-Type: application/octet-stream",
        "Content-Disposition: form-data; name=\"a\"; filename=\"Grüße %22 1=1.txt\"\r\nContent-Type: text/plain; charset=UTF-8",
        "Content-Disposition: form-data; name=\"dir\"; filename=\"one/two..txt\"",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 1",
    ];
    let bodies = heads.map(part).into_iter().chain([
        // What browsers send for a form without fields.
        "--b--\r\n".to_owned(),
        "--b--".to_owned(),
        format!("--b\r\n{NAME}\r\n\r\n\r\n--b\r\n{NAME}\r\n\r\n--\r\n-b\r\n\r\n--b--"),
        format!("--b\r\n{NAME}\r\n\r\n--a --bb\r\r\n\n--\r\n--b--"),
    ]);
    for body in bodies {
        let answer = ask(&harden(), body.clone());
        assert_eq!((answer.status, &answer.body[..]), (200, body.as_bytes()), "{body}");
    }
}

/// RFC 2046 section 5.1.1: boundaries begin their line, and end it; what some skip, others read.
#[test]
fn boundaries_are_where_they_must_be() {
    for body in [
        "".to_owned() + "x",
        "-".to_owned(),
        format!("preamble\r\n{}", part(NAME)),
        format!("\r\n{}", part(NAME)),
        format!("{}epilogue", part(NAME)),
        format!("{}\r\n", part(NAME)),
        "--b--\r".to_owned(),
        "--b--\n".to_owned(),
        "--b".to_owned(),
        "--b\r\n".to_owned(),
        "--b-".to_owned(),
        format!("--b\r\n{NAME}\r\n"),
        format!("--b\r\n{NAME}\r\n\r\n"),
        format!("--b\r\n{NAME}\r\n\r\nx"),
        format!("--b\r\n{NAME}\r\n\r\nx\r\n--b"),
        format!("--b\r\n{NAME}\r\n\r\nx\r\n--b\r\n"),
        // A line end of one character, which many take for one.
        format!("--b\n{NAME}\r\n\r\nx\r\n--b--"),
        format!("--b\r\n{NAME}\r\n\r\nx\n--b--"),
        format!("--b\r\n{NAME}\r\n\r\nx\r--b--"),
        format!("--b\r\n{NAME}\r\n\r\nx\n--b\r\n{NAME}\r\n\r\ny\r\n--b--"),
        // No content and no empty line before the boundary.
        format!("--b\r\n{NAME}\r\n\r\n--b--"),
        // A boundary that goes on, and one with spaces behind it.
        format!("--b\r\n{NAME}\r\n\r\nx\r\n--bb\r\n--b--"),
        format!("--b \r\n{NAME}\r\n\r\nx\r\n--b--"),
        format!("--b\r\n{NAME}\r\n\r\nx\r\n--b -- "),
    ] {
        let answer = ask(&harden(), body.clone());
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "multipart"), "{body}");
    }
}

/// RFC 7578 sections 4.2 to 4.8.
#[test]
fn heads_say_one_thing() {
    let long = format!("{NAME}\r\nx: {}", "y".repeat(5000));
    for head in [
        "",
        "x: y",
        "content-disposition: form-data",
        "content-disposition: form-data; name=\"\"",
        "content-disposition: form-data; name=\"_charset_\"",
        "content-disposition: attachment; name=\"a\"",
        "content-disposition: form-data; name=\"a\"; name=\"b\"",
        "content-disposition: form-data; name=\"a\"; filename=\"x\"; filename=\"y\"",
        "content-disposition: form-data; name=\"a\"; filename*=UTF-8''x",
        "content-disposition: form-data; name=\"a\"; filename=\"a\\\"; x=\"b\"",
        "content-disposition: form-data; name=\"a\"; filename=\"C:\\x\"",
        "content-disposition: form-data; name=\"a\"; filename=\"../../etc/passwd\"",
        "content-disposition: form-data; name=\"a\"; filename=\"/etc/passwd\"",
        "content-disposition: form-data; name=\"a",
        "content-disposition: form-data; name=a b",
        "content-disposition: form-data; name = \"a\"",
        "content-disposition: form-data; name=\"a\"\r\ncontent-disposition: form-data; name=\"b\"",
        "content-disposition: form-data;\r\n name=\"a\"",
        "content-disposition : form-data; name=\"a\"",
        "content-disposition: form-data; name=\"a\u{0}\"",
        "content-disposition: form-data; name=\"a\"\ncontent-type: text/plain",
        "content-disposition: form-data; name=\"a\"\rx: y",
        "content-disposition: form-data; name=\"a\"\r\ncontent-type: multipart/mixed; boundary=c",
        "content-disposition: form-data; name=\"a\"\r\ncontent-type: text/plain; charset=utf-7",
        "content-disposition: form-data; name=\"a\"\r\ncontent-type: text",
        "content-disposition: form-data; name=\"a\"\r\ncontent-type: a/b\r\ncontent-type: c/d",
        "content-disposition: form-data; name=\"a\"\r\ncontent-transfer-encoding: base64",
        "content-disposition: form-data; name=\"a\"\r\nno field",
        "--b: y\r\ncontent-disposition: form-data; name=\"a\"",
        &long,
    ] {
        let answer = ask(&harden(), part(head));
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "multipart"), "{head}");
    }
    let latin = [b"--b\r\ncontent-disposition: form-data; name=\"\xe4\"\r\n\r\nx\r\n--b--".as_slice()].concat();
    assert_eq!(ask(&harden(), latin).status, 400);
}

/// RFC 2046 section 5.1.1: 1 to 70 characters of those that there are.
#[test]
fn the_type_says_one_boundary() {
    let of = |content_type: &str, boundary: &str| {
        let body = part(NAME).replace("--b", &format!("--{boundary}"));
        send(&harden(), post(content_type, body)).status
    };
    let long = "x".repeat(70);
    for (parameters, boundary) in [
        ("boundary=\"b\"", "b"),
        ("Boundary=----=_Part:1(2)", "----=_Part:1(2)"),
        ("boundary=\"a b\"; charset=utf-8", "a b"),
        (format!("boundary={long}").as_str(), long.as_str()),
    ] {
        assert_eq!(of(&format!("multipart/form-data; {parameters}"), boundary), 200, "{parameters}");
    }
    for parameters in [
        "",
        "boundary=",
        "boundary=\"\"",
        "boundary=b; boundary=b",
        "boundary=b; boundary=c",
        "boundary=\"b ",
        "boundary=\"b \"",
        "boundary=\"\\b\"",
        "boundary=b b",
        "boundary=b<",
        "boundary*=b",
        &format!("boundary={long}x"),
    ] {
        assert_eq!(of(&format!("multipart/form-data; {parameters}"), "b"), 400, "{parameters}");
    }
}

fn form(contents: &[usize]) -> String {
    let each = contents.iter().map(|length| format!("--b\r\n{NAME}\r\n\r\n{}\r\n", "x".repeat(*length)));
    each.collect::<String>() + "--b--\r\n"
}

#[test]
fn parts_are_bounded_in_number_and_length() {
    let limits = Limits::new().multipart_parts(2).multipart_part_bytes(10);
    let layer = Validate::new().limits(limits).build().unwrap();
    assert_eq!(ask(&layer, form(&[10, 0])).status, 200);
    assert_eq!(ask(&layer, form(&[0, 0, 0])).status, 400);
    let answer = ask(&layer, form(&[1, 11]));
    assert_eq!((answer.status, answer.error().0.as_str()), (413, "multipart"));
    let reporting = Validate::new().limits(limits).report(Check::Multipart).build().unwrap();
    assert_eq!(ask(&reporting, form(&[11, 11, 11])).body, form(&[11, 11, 11]));
    assert_eq!(send(&reporting, post("multipart/form-data", "x")).body, "x");
    // All together are a body.
    let layer = Validate::new().limits(Limits::new().body_bytes(50)).build().unwrap();
    assert_eq!(ask(&layer, form(&[10])).error().0, "body-bytes");
}

#[test]
fn a_route_for_forms_takes_nothing_else_and_an_upload_anything() {
    let layer = Validate::new()
        .add_route(Route::new(Method::POST, "/").multipart())
        .add_route(Route::new(Method::PUT, "/").any_body())
        .build()
        .unwrap();
    assert_eq!(ask(&layer, form(&[1])).status, 200);
    assert_eq!(ask(&layer, "").status, 400);
    for content_type in ["application/json", "multipart/mixed; boundary=b", "application/x-www-form-urlencoded"] {
        assert_eq!(send(&layer, post(content_type, "{}")).status, 415, "{content_type}");
    }
    let mut encoded = post(TYPE, form(&[1]));
    encoded.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let takes_gzip = Validate::new().content_encodings(["gzip"]).build().unwrap();
    assert_eq!(send(&takes_gzip, encoded).status, 415, "what cannot be followed is no form that was");
    let mut upload = post(TYPE, "anything");
    *upload.method_mut() = Method::PUT;
    assert_eq!(send(&layer, upload).status, 200);
}

/// Nothing is held back: what the client has sent is there before it sends more.
#[tokio::test]
async fn the_bytes_are_there_as_they_come() {
    use futures_util::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};
    use tower::{Layer as _, ServiceExt as _};
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let frames = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let body = StreamBody::new(frames.map(|data| Ok::<_, std::convert::Infallible>(http_body::Frame::data(data))));
    let first = Bytes::from(format!("--b\r\n{NAME}\r\n\r\nbegun\r\n--"));
    sender.send(first.clone()).unwrap();
    let address = first.as_ptr();
    let handler = tower::service_fn(move |request: Request<tower_rampart::validate::CheckedBody<_>>| {
        let sender = sender.clone();
        async move {
            let mut body = request.into_body();
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(frame.as_ptr(), address, "it is the frame that was sent");
            sender.send(Bytes::from_static(b"bb\r\n")).unwrap();
            let error = body.frame().await.unwrap().unwrap_err();
            assert!(body.frame().await.is_none(), "nothing comes behind {error}");
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
        }
    });
    let request = Request::post("/").header("content-type", TYPE).body(body).unwrap();
    let answer = harden().layer(handler).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 400, "whatever the handler has made of it");
}

/// Whether a form is sound, read slowly and all at once.
fn is_sound(body: &str) -> bool {
    let Some(mut rest) = body.strip_prefix("--b") else { return false };
    loop {
        if let Some(end) = rest.strip_prefix("--") {
            return matches!(end, "" | "\r\n");
        }
        let Some(part) = rest.strip_prefix("\r\n") else { return false };
        let Some((head, content)) = part.split_once("\r\n\r\n") else { return false };
        let (mut names, mut types) = (0, 0);
        for line in head.split("\r\n") {
            let Some((name, value)) = line.split_once(':') else { return false };
            let is_token =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            // A boundary is one in a head, too.
            if !is_token(name) || line.starts_with("--") || line.contains(['\r', '\n']) {
                return false;
            }
            match (name, value.trim()) {
                ("content-disposition", "form-data; name=\"a\"") => names += 1,
                // What stands behind it may make another type of it: `text/plain--b`.
                ("content-type", value) if value.strip_prefix("text/").is_some_and(is_token) => types += 1,
                ("content-disposition" | "content-type", _) => return false,
                _ => {}
            }
        }
        if names != 1 || types > 1 {
            return false;
        }
        // The first boundary that begins what anybody may take for a line.
        let begins = |at: usize| at == 0 || content[..at].ends_with(['\r', '\n']);
        let Some(at) = content.match_indices("--b").map(|(at, _)| at).find(|at| begins(*at)) else { return false };
        if !content[..at].ends_with("\r\n") {
            return false;
        }
        rest = &content[at + "--b".len()..];
    }
}

/// Text of the pieces that forms are made of, most of it sound for a while.
fn likely() -> impl Strategy<Value = String> {
    let whole = Just(format!("\r\n{NAME}\r\n\r\nx\r\n--b"));
    let piece = prop_oneof![
        6 => whole,
        2 => prop_oneof!["--b", "\r\n", "\n", "\r", "--", "-", "b", "x", ":"].prop_map(|text| text),
        1 => Just(NAME.to_owned()),
        1 => Just("content-type: text/plain".to_owned()),
        1 => Just("\r\n\r\n".to_owned()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| format!("--b{}--", pieces.concat()))
}

/// A body, cut into pieces.
fn cut(body: &str, cuts: Vec<usize>) -> Vec<Bytes> {
    let whole = Bytes::from(body.to_owned());
    let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % (whole.len() + 1)).chain([0, whole.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| whole.slice(pair[0]..pair[1])).collect()
}

/// The parts that axum's own reader finds.
fn parts_by_axum(body: &str) -> Option<usize> {
    use axum::extract::{FromRequest as _, Multipart};
    use futures_util::FutureExt as _;
    let request = Request::post("/").header("content-type", TYPE).body(axum::body::Body::from(body.to_owned()));
    let counting = async move {
        let mut form = Multipart::from_request(request.unwrap(), &()).await.ok()?;
        let mut count = 0;
        while let Some(field) = form.next_field().await.ok()? {
            field.bytes().await.ok()?;
            count += 1;
        }
        Some(count)
    };
    counting.now_or_never().expect("nothing is waited for")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// In whatever pieces it comes, a form passes if it is sound, and axum finds as many parts in it.
    #[test]
    fn forms_pass_if_they_are_sound(body in likely(), cuts in proptest::collection::vec(any::<usize>(), 0..12)) {
        let request = Request::post("/").header("content-type", TYPE).body(pieces(cut(&body, cuts))).unwrap();
        let answer = send(&harden(), request);
        prop_assert_eq!(answer.status, if is_sound(&body) { 200 } else { 400 }, "{}", body);
        if answer.status == 200 {
            prop_assert_eq!(&answer.body[..], body.as_bytes());
            let parts = body.matches("\r\n--b").count();
            prop_assert_eq!(parts_by_axum(&body), Some(parts), "{}", body);
        }
    }

    /// Each byte of a content counts, whether or not it looks like a boundary for a while.
    #[test]
    fn the_length_of_a_part_is_that_of_its_content(
        content in "[\r\n\\-bx]{0,24}",
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let body = format!("--b\r\n{NAME}\r\n\r\n{content}\r\n--b--");
        prop_assume!(is_sound(&body) && body.matches("\r\n--b").count() == 1);
        let layer = Validate::new().limits(Limits::new().multipart_part_bytes(12)).build().unwrap();
        let request = Request::post("/").header("content-type", TYPE).body(pieces(cut(&body, cuts))).unwrap();
        prop_assert_eq!(send(&layer, request).status, if content.len() > 12 { 413 } else { 200 }, "{:?}", content);
    }
}
