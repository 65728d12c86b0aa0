//! Bodies that come compressed.
#![cfg(feature = "decompression")]

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::{Method, Request};
use http_body_util::Full;
use proptest::prelude::*;
use tower_rampart::validate::{Check, Decision, Inspect, Limits, Part, Route, Validate, ValidateLayer};

use crate::support::{Answer, json, pieces, send};

const POLL: &str = "{\"question\":\"Tea or coffee?\",\"options\":[\"tea\",\"coffee\"]}";
/// The same by brotli's own encoder.
const POLL_BROTLI: &str = "8b1b807b227175657374696f6e223a22546561206f7220636f666665653f222c226f7074696f6e73223a5b22746561222c22636f66666565225d7d03";
/// Four megabytes of spaces.
const BOMB_BROTLI: &str = "9bffff3ff82540e2b14020f7fe07";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn taking(codings: &[&'static str]) -> Validate {
    Validate::new().content_encodings(codings.iter().copied())
}

fn all() -> Validate {
    taking(&["gzip", "deflate", "br"])
}

fn coded(coding: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = json(body);
    request.headers_mut().insert("content-encoding", coding.parse().unwrap());
    request
}

fn ask(layer: &ValidateLayer, coding: &str, body: impl Into<Bytes>) -> Answer {
    send(layer, coded(coding, body))
}

/// What was looked at is what came out; what goes on is what came in.
#[test]
fn a_body_is_looked_at_decoded_and_handed_on_as_it_came() {
    let layer = all().build().unwrap();
    for (coding, body) in [
        ("gzip", gzip(POLL.as_bytes())),
        ("GZip", gzip(POLL.as_bytes())),
        ("deflate", zlib(POLL.as_bytes())),
        ("br", bytes(POLL_BROTLI)),
    ] {
        let answer = ask(&layer, coding, body.clone());
        assert_eq!((answer.status, &answer.body[..]), (200, &body[..]), "{coding}");
    }
    let twice = b"{\"a\":1,\"\\u0061\":2}";
    for (coding, body) in [("gzip", gzip(twice)), ("deflate", zlib(twice))] {
        let answer = ask(&layer, coding, body);
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "json"), "{coding}");
    }
    let mut form = coded("gzip", gzip(b"a=%zz"));
    form.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    assert_eq!(send(&layer, form).error().0, "form");
}

#[cfg(feature = "json-schema")]
#[test]
fn schemas_and_values_are_of_what_came_out() {
    use tower_rampart::validate::Schema;
    let route = Route::new(Method::POST, "/").schema(Schema::new("{\"required\":[\"question\"]}").unwrap());
    let layer = all().add_route(route).build().unwrap();
    assert_eq!(ask(&layer, "gzip", gzip(POLL.as_bytes())).status, 200);
    assert_eq!(ask(&layer, "gzip", gzip(b"{}")).status, 422);
}

/// RFC 9110 section 15.5.16; and section 8.4: codings in a row are those of several hands.
#[test]
fn codings_that_are_not_taken_or_not_alone_are_refused() {
    let body = gzip(POLL.as_bytes());
    for coding in ["br", "gzip, gzip", "gzip, br", "gzip, identity", "identity, gzip", "x-gzip", "gzip;q=1", "zstd"] {
        let answer = ask(&taking(&["gzip", "zstd"]).build().unwrap(), coding, body.clone());
        assert_eq!((answer.status, answer.error().0.as_str()), (415, "content-encoding"), "{coding}");
    }
    let mut two_fields = coded("gzip", body);
    two_fields.headers_mut().append("content-encoding", "identity".parse().unwrap());
    assert_eq!(send(&all().build().unwrap(), two_fields).status, 415);
    // Two in a row are refused where they would stream through, too.
    let mut image = coded("gzip, br", "x");
    image.headers_mut().insert("content-type", "image/png".parse().unwrap());
    assert_eq!(send(&all().build().unwrap(), image).status, 415);
}

/// One stream, whole, and nothing behind it.
#[test]
fn what_decoders_differ_about_is_refused() {
    let poll = POLL.as_bytes();
    let raw_deflate = {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(poll).unwrap();
        encoder.finish().unwrap()
    };
    let changed = |mut body: Vec<u8>, from_end: usize| {
        let at = body.len() - from_end;
        body[at] ^= 1;
        body
    };
    let and = |mut body: Vec<u8>, more: &[u8]| {
        body.extend_from_slice(more);
        body
    };
    for (coding, body) in [
        ("gzip", poll.to_vec()),
        ("deflate", poll.to_vec()),
        ("br", b"\xff\xff\xff".to_vec()),
        ("gzip", zlib(poll)),
        ("deflate", gzip(poll)),
        ("deflate", raw_deflate),
        // A second member (RFC 1952 section 2.2), and anything else.
        ("gzip", and(gzip(poll), &gzip(b" "))),
        ("gzip", and(gzip(poll), b"\0")),
        ("deflate", and(zlib(poll), b"\0")),
        ("br", and(bytes(POLL_BROTLI), b"\0")),
        // Sums that are wrong: of the content, and of its length.
        ("gzip", changed(gzip(poll), 8)),
        ("gzip", changed(gzip(poll), 1)),
        ("deflate", changed(zlib(poll), 1)),
    ] {
        let answer = ask(&all().build().unwrap(), coding, body);
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "content-encoding"), "{coding}");
    }
    for (coding, body) in [("gzip", gzip(poll)), ("deflate", zlib(poll)), ("br", bytes(POLL_BROTLI))] {
        for length in 1..body.len() {
            let answer = ask(&all().build().unwrap(), coding, body[..length].to_vec());
            assert_eq!(answer.status, 400, "{coding}, {length} bytes of it");
        }
    }
}

/// A little that becomes a lot is refused before it has.
#[test]
fn bombs_do_not_go_off() {
    let spaces = vec![b' '; 4 << 20];
    let bombs = [("gzip", gzip(&spaces)), ("deflate", zlib(&spaces)), ("br", bytes(BOMB_BROTLI))];
    let layer = all().build().unwrap();
    for (coding, bomb) in bombs {
        assert!(bomb.len() < 5000);
        let mut answer = None;
        let most = allocation_counter::measure(|| answer = Some(ask(&layer, coding, bomb.clone()))).bytes_max;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.error().0.as_str()), (413, "decoded-bytes"), "{coding}");
        // Of what came out a megabyte is held, in a vector that has doubled; brotli has its window besides.
        assert!(most < 12 << 20, "{coding}: {most} bytes");
    }
    let exact = all().limits(Limits::new().decoded_bytes(POLL.len())).build().unwrap();
    assert_eq!(ask(&exact, "gzip", gzip(POLL.as_bytes())).status, 200);
    let less = all().limits(Limits::new().decoded_bytes(POLL.len() - 1)).build().unwrap();
    assert_eq!(ask(&less, "gzip", gzip(POLL.as_bytes())).status, 413);
    let reporting = all().limits(Limits::new().decoded_bytes(1)).report(Check::DecodedBytes).build().unwrap();
    assert_eq!(ask(&reporting, "gzip", gzip(POLL.as_bytes())).status, 200);
}

/// What comes out is held among all that is held, and given back.
#[test]
fn what_comes_out_has_room_or_is_refused_for_now() {
    let limits = Limits::new().body_bytes(1000).buffer_bytes(1000);
    let layer = all().limits(limits).build().unwrap();
    let small = gzip(&[b"[".as_slice(), &vec![b' '; 500], b"]"].concat());
    let large = gzip(&[b"[".as_slice(), &vec![b' '; 1500], b"]"].concat());
    for _ in 0..10 {
        assert_eq!(ask(&layer, "gzip", small.clone()).status, 200);
        let answer = ask(&layer, "gzip", large.clone());
        assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (503, "1"));
    }
}

#[test]
fn a_hook_sees_what_came_out() {
    struct Plain;
    impl Inspect for Plain {
        fn inspect(&self, part: Part<'_>) -> Decision {
            match part {
                Part::Body(body) if body != POLL.as_bytes() => Decision::Refuse,
                _ => Decision::Pass,
            }
        }
    }
    let layer = all().inspect(Plain).build().unwrap();
    assert_eq!(ask(&layer, "gzip", gzip(POLL.as_bytes())).status, 200);
    assert_eq!(ask(&layer, "gzip", gzip(b"{}")).status, 400);
}

/// An upload of any type streams through as it is.
#[test]
fn what_is_not_looked_at_is_not_decoded() {
    let layer = all().add_route(Route::new(Method::POST, "/").any_body()).build().unwrap();
    assert_eq!(ask(&layer, "gzip", "no gzip at all").status, 200);
}

proptest! {
    /// Whatever is in a body, and in whatever pieces it comes, the verdict is that of what comes out of it.
    #[test]
    fn verdicts_are_those_of_what_comes_out(
        text in prop_oneof!["[\\[\\]{}\",:0-9a-c ]{1,40}", Just(POLL.to_owned())],
        coding in prop_oneof![Just("gzip"), Just("deflate")],
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let layer = all().build().unwrap();
        let plain = send(&layer, json(text.clone()));
        let body = Bytes::from(if coding == "gzip" { gzip(text.as_bytes()) } else { zlib(text.as_bytes()) });
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % body.len()).chain([0, body.len()]).collect();
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| body.slice(pair[0]..pair[1])).collect();
        let request = Request::post("/").header("content-type", "application/json").header("content-encoding", coding);
        let answer = send(&layer, request.body(pieces(parts)).unwrap());
        prop_assert_eq!(answer.status, plain.status, "{}", text);
        prop_assert_eq!(&answer.body, if plain.status == 200 { &body } else { &plain.body });
    }

    /// Bytes that are no stream of any coding are refused, and nothing else happens.
    #[test]
    fn noise_is_refused(
        noise in proptest::collection::vec(any::<u8>(), 1..200),
        coding in prop_oneof![Just("gzip"), Just("deflate"), Just("br")],
    ) {
        let status = ask(&all().build().unwrap(), coding, noise).status;
        prop_assert!(matches!(status, 400 | 413), "{}", status);
    }
}
