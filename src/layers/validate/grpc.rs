//! Messages in a gRPC body: a flag, a length and so many bytes, one after another (gRPC over HTTP/2, "Length-Prefixed-Message").

/// Follows the messages of a body, in whatever pieces it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Messages {
    max_bytes: usize,
    allows_compressed: bool,
    /// What was seen of the next message's prefix.
    prefix: [u8; PREFIX],
    seen: usize,
    /// What is left of this message.
    left: usize,
}

/// A flag and four bytes of length.
const PREFIX: usize = 5;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageFault {
    TooLong,
    Compressed,
    /// The flag is none that there is, or the body ends within it.
    Malformed,
}

impl Messages {
    pub(super) const fn new(max_bytes: usize, allows_compressed: bool) -> Self {
        Self { max_bytes, allows_compressed, prefix: [0; PREFIX], seen: 0, left: 0 }
    }

    /// Goes on with a further piece.
    pub(super) fn admit(&mut self, mut piece: &[u8]) -> Result<(), MessageFault> {
        loop {
            let skipped = self.left.min(piece.len());
            self.left -= skipped;
            piece = piece.get(skipped..).unwrap_or_default();
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            if let Some(place) = self.prefix.get_mut(self.seen) {
                *place = *byte;
            }
            self.seen += 1;
            if self.seen == PREFIX {
                self.seen = 0;
                self.left = self.begun()?;
            }
        }
    }

    /// The body has ended.
    pub(super) const fn finish(&self) -> Result<(), MessageFault> {
        if self.seen == 0 && self.left == 0 { Ok(()) } else { Err(MessageFault::Malformed) }
    }

    /// The length of the message whose prefix is there.
    fn begun(&self) -> Result<usize, MessageFault> {
        let [flag, length @ ..] = self.prefix;
        match flag {
            0 => {}
            1 if self.allows_compressed => {}
            1 => return Err(MessageFault::Compressed),
            _ => return Err(MessageFault::Malformed),
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > self.max_bytes { Err(MessageFault::TooLong) } else { Ok(length) }
    }
}
