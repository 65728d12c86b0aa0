//! gRPC's trailers-only responses (gRPC over HTTP/2, "Responses").

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::cut;
use crate::spine::grpc;
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestFacts;

/// The most bytes of an encoded `grpc-message`. Clients bound their header lists (8 KiB is a common default), and kill
/// the whole call with a protocol error when one is larger.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The most bytes of a request's content-type that are repeated; real ones have less than 40.
const MAX_CONTENT_TYPE_BYTES: usize = 64;

/// What the specification wants encoded (all but 0x20 to 0x7E, and `%`), which is also what tonic decodes.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// HTTP 200, the status in the headers, and no body: END_STREAM then stands on the HEADERS frame.
pub(super) fn trailers_only(rejection: &Rejection, facts: &RequestFacts) -> Response<Bytes> {
    let problem = rejection.problem();
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(facts.grpc_content_type()));
    let text = problem.detail().unwrap_or_else(|| problem.kind().title());
    grpc::write(headers, problem.kind(), message(text));
    if let Some(wait) = rejection.retry_after() {
        // What gRPC clients understand instead of `Retry-After`, rounded up as that is.
        grpc::write_pushback(headers, wait);
    }
    response
}

/// The request's own content-type, so that `+proto` and gRPC-web clients recognise the answer.
fn content_type(requested: Option<&HeaderValue>) -> HeaderValue {
    const PLAIN: HeaderValue = HeaderValue::from_static("application/grpc");
    let is_plain_token = |value: &&HeaderValue| {
        value.len() <= MAX_CONTENT_TYPE_BYTES
            && value.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"/+-.".contains(byte))
    };
    requested.filter(is_plain_token).cloned().unwrap_or(PLAIN)
}

fn message(text: &str) -> HeaderValue {
    // Encoding triples a byte at most, so a longer text cannot fit; this bounds the work before the bytes are counted.
    let mut encoded = String::new();
    for piece in percent_encode(cut(text, MAX_MESSAGE_BYTES).as_bytes(), ENCODED) {
        let room = MAX_MESSAGE_BYTES - encoded.len();
        if piece.len() > room {
            // A run of plain text may be cut anywhere, an escape only as a whole, a character's escapes only together.
            if !piece.starts_with('%') {
                encoded.push_str(cut(piece, room));
            }
            break;
        }
        encoded.push_str(piece);
    }
    drop_torn_character(&mut encoded);
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static("refused"))
}

/// Removes the escapes of a character that was cut in its middle, so that clients decode valid UTF-8.
fn drop_torn_character(encoded: &mut String) {
    let decoded = percent_encoding::percent_decode_str(encoded);
    if let Err(torn) = decoded.clone().decode_utf8() {
        let whole: Vec<u8> = decoded.take(torn.valid_up_to()).collect();
        *encoded = percent_encode(&whole, ENCODED).to_string();
    }
}
