//! Checks of a body that is there, whole.

use super::breach::{Breach, Check};
use super::head::check_encoded;
use super::limits::Limits;
use super::media::BodyKind;
use crate::spine::json::{JsonFault, Nothing, read_as};
use crate::spine::problem::ProblemKind;

/// Looks at a body of a kind.
pub(super) fn check(kind: BodyKind, body: &[u8], limits: &Limits) -> Option<Breach> {
    match kind {
        BodyKind::Json => json(body, limits),
        BodyKind::Form => form(body, limits),
        BodyKind::Multipart | BodyKind::Grpc | BodyKind::Other | BodyKind::Nothing => None,
    }
}

fn json(body: &[u8], limits: &Limits) -> Option<Breach> {
    let stop = read_as::<Nothing>(body, &limits.json(body.len())).err()?;
    Some(no_json(stop.fault, stop.pointer()))
}

/// What cannot be read, and where.
pub(super) fn no_json(fault: JsonFault, pointer: String) -> Breach {
    let detail = match fault {
        JsonFault::NotUtf8 => "The JSON is not UTF-8.",
        JsonFault::TooDeep => "The JSON is nested too deeply.",
        JsonFault::TooManyValues => "The JSON has too many items.",
        JsonFault::TooManyMembers => "An object has too many members.",
        JsonFault::TooManyElements => "A list has too many elements.",
        JsonFault::Prototype => "A member has a name that scripts take for something else.",
        JsonFault::MemberTwice => "An object has a member twice.",
        JsonFault::TrailingData => "Something follows the JSON.",
        JsonFault::TextTooLong => "A string, or a name, is too long.",
        JsonFault::NumberTooLong => "A number is too long.",
        JsonFault::Nul => "A string has a NUL in it.",
        _ => "The body is no JSON.",
    };
    Breach::new(Check::Json, ProblemKind::BadRequest, detail).at(pointer)
}

/// `application/x-www-form-urlencoded` (WHATWG URL, section 5.1): fields between `&`.
fn form(body: &[u8], limits: &Limits) -> Option<Breach> {
    let refuse = |detail: String| Some(Breach::new(Check::Form, ProblemKind::BadRequest, detail));
    for (at, field) in body.split(|byte| *byte == b'&').enumerate() {
        if at >= limits.form_fields {
            return refuse(format!("The form has more than {} fields.", limits.form_fields));
        }
        if let Err(detail) = check_encoded(field) {
            return refuse(detail.to_owned());
        }
    }
    None
}
