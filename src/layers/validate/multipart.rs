//! The parts of a multipart form (RFC 7578; RFC 2046 section 5.1), followed in whatever pieces the body comes. Nothing of
//! them is kept but the head of the one that begins.
//!
//! Receivers differ about everything that senders have no need for: text before the first boundary and after the last,
//! spaces behind one, line ends of one character, a boundary that goes on. Whoever hides something hides it there, so that
//! it is refused.

use memchr::memchr2;

use super::part_head::PartHead;

/// Follows the parts of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Multipart {
    /// `--` and the boundary. No line end is in it, so that a match that fails begins anew at the next one.
    dashed: Box<[u8]>,
    max_parts: usize,
    max_part_bytes: usize,
    parts: usize,
    head: PartHead,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Of the first boundary, which begins the body, so many bytes were seen.
    Begins {
        matched: usize,
    },
    /// Behind a boundary, and what was seen there.
    Behind {
        seen: Option<u8>,
    },
    /// In the head of a part.
    Head,
    Content(Content),
    /// Behind the last boundary, where one line end may be, of which so many bytes were seen.
    Ended {
        seen: usize,
    },
}

/// Where in a part's content we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    bytes: usize,
    line: Line,
    /// Bytes of the boundary that were seen since the line began.
    matched: usize,
}

/// What stands before the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// No line end.
    Inside,
    /// A CR, to which an LF may still come.
    Cr,
    /// What some take for a line end: a CR or an LF alone, or the empty line behind the head.
    Bare,
    /// A line end.
    CrLf,
}

/// What is wrong with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartFault {
    /// The boundaries are not where they must be, or what is between them is none.
    Malformed,
    TooMany,
    TooLong,
    /// Its head has too many bytes, or is none.
    Head,
    /// It has no name, or one that can be read in two ways, or a file's that leads elsewhere.
    Name,
    /// It is a form itself, or its text is not UTF-8.
    Type,
    /// It is encoded once more.
    Encoded,
}

impl PartFault {
    pub(super) const ALL: [Self; 7] =
        [Self::Malformed, Self::TooMany, Self::TooLong, Self::Head, Self::Name, Self::Type, Self::Encoded];

    /// In words for whoever sent it.
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "The parts of the form are malformed.",
            Self::TooMany => "The form has too many parts.",
            Self::TooLong => "A part of the form is too long.",
            Self::Head => "The head of a part is malformed, or too long.",
            Self::Name => "A part has no name, or one that is not taken.",
            Self::Type => "A part is of a type that is not taken.",
            Self::Encoded => "A part is encoded.",
        }
    }
}

impl Multipart {
    pub(super) fn new(boundary: &str, max_parts: usize, max_part_bytes: usize) -> Self {
        Self {
            dashed: ["--", boundary].concat().into_bytes().into(),
            max_parts,
            max_part_bytes,
            parts: 0,
            head: PartHead::default(),
            state: State::Begins { matched: 0 },
        }
    }

    /// Goes on with a further piece.
    pub(super) fn admit(&mut self, mut piece: &[u8]) -> Result<(), PartFault> {
        while let Some((byte, rest)) = piece.split_first() {
            let State::Content(content) = &mut self.state else {
                self.step(*byte)?;
                piece = rest;
                continue;
            };
            if content.line == Line::Inside {
                // Most of a file has no line end in it.
                let run = memchr2(b'\r', b'\n', piece).unwrap_or(piece.len());
                content.count(run, self.max_part_bytes)?;
                piece = piece.get(run..).unwrap_or_default();
            }
            let Some((byte, rest)) = piece.split_first() else { break };
            piece = rest;
            if content.step(*byte, &self.dashed, self.max_part_bytes)? {
                self.state = State::Behind { seen: None };
            }
        }
        Ok(())
    }

    /// The body has ended.
    pub(super) const fn finish(&self) -> Result<(), PartFault> {
        match self.state {
            State::Ended { seen: 0 | 2 } => Ok(()),
            _ => Err(PartFault::Malformed),
        }
    }

    /// A byte outside of contents.
    fn step(&mut self, byte: u8) -> Result<(), PartFault> {
        self.state = match (self.state, byte) {
            (State::Begins { matched }, byte) if self.dashed.get(matched) == Some(&byte) => {
                let matched = matched + 1;
                if matched == self.dashed.len() { State::Behind { seen: None } } else { State::Begins { matched } }
            }
            (State::Behind { seen: None }, b'\r' | b'-') => State::Behind { seen: Some(byte) },
            (State::Behind { seen: Some(b'-') }, b'-') => State::Ended { seen: 0 },
            (State::Behind { seen: Some(b'\r') }, b'\n') => {
                self.parts += 1;
                if self.parts > self.max_parts {
                    return Err(PartFault::TooMany);
                }
                self.head = PartHead::default();
                State::Head
            }
            (State::Head, byte) => {
                if self.head.admit(byte)? {
                    // The empty line behind a head belongs to no boundary.
                    State::Content(Content { bytes: 0, line: Line::Bare, matched: 0 })
                } else {
                    State::Head
                }
            }
            (State::Ended { seen: 0 }, b'\r') => State::Ended { seen: 1 },
            (State::Ended { seen: 1 }, b'\n') => State::Ended { seen: 2 },
            _ => return Err(PartFault::Malformed),
        };
        Ok(())
    }
}

impl Content {
    fn count(&mut self, bytes: usize, max_bytes: usize) -> Result<(), PartFault> {
        self.bytes += bytes;
        if self.bytes > max_bytes { Err(PartFault::TooLong) } else { Ok(()) }
    }

    /// One byte; whether a boundary is complete with it. What may belong to a boundary counts once it turns out not to.
    fn step(&mut self, byte: u8, dashed: &[u8], max_bytes: usize) -> Result<bool, PartFault> {
        if self.line != Line::Inside && dashed.get(self.matched) == Some(&byte) {
            self.matched += 1;
            return match self.line {
                _ if self.matched < dashed.len() => Ok(false),
                Line::CrLf => Ok(true),
                _ => Err(PartFault::Malformed),
            };
        }
        if (self.line, self.matched, byte) == (Line::Cr, 0, b'\n') {
            self.line = Line::CrLf;
            return Ok(false);
        }
        let ends = match self.line {
            Line::Inside => 0,
            // Of the empty line behind the head nothing is content; of a bare LF, it was counted.
            Line::Bare => 0,
            Line::Cr => 1,
            Line::CrLf => 2,
        };
        self.count(ends + self.matched, max_bytes)?;
        self.matched = 0;
        self.line = match byte {
            b'\r' => Line::Cr,
            b'\n' => Line::Bare,
            _ => Line::Inside,
        };
        self.count(usize::from(byte != b'\r'), max_bytes).map(|()| false)
    }
}
