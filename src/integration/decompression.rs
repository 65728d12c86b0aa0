//! Decompression, by the crates `flate2`, on miniz_oxide, and `brotli-decompressor`: no C.
//!
//! A body is one stream of its coding, whole and with nothing behind it: decoders differ about a second one, and about what
//! is left when a checksum is wrong.

use std::io::Read as _;

use brotli_decompressor::{BrotliDecoderParameter, BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use crate::spine::coding::{Coding, DecodeFault};

/// How much comes out before it is counted.
const STEP_BYTES: usize = 8 << 10;

/// What came out so far.
struct Decoded<'a> {
    bytes: Vec<u8>,
    max_bytes: usize,
    hold: &'a mut dyn FnMut(usize) -> bool,
}

impl Decoded<'_> {
    fn add(&mut self, bytes: &[u8]) -> Result<(), DecodeFault> {
        if self.bytes.len() + bytes.len() > self.max_bytes {
            return Err(DecodeFault::TooLong);
        }
        if !(self.hold)(bytes.len()) {
            return Err(DecodeFault::NoRoom);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Undoes a coding. No more than `max_bytes` and one step comes out, whatever goes in; `hold` is asked for the room.
pub(crate) fn decode(
    coding: Coding,
    body: &[u8],
    max_bytes: usize,
    hold: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, DecodeFault> {
    let mut decoded = Decoded { bytes: Vec::new(), max_bytes, hold };
    match coding {
        Coding::Gzip => gzip(body, &mut decoded)?,
        Coding::Deflate => zlib(body, &mut decoded)?,
        Coding::Brotli => brotli(body, &mut decoded)?,
    }
    Ok(decoded.bytes)
}

fn gzip(body: &[u8], decoded: &mut Decoded<'_>) -> Result<(), DecodeFault> {
    let mut decoder = GzDecoder::new(body);
    let mut step = [0; STEP_BYTES];
    loop {
        let count = decoder.read(&mut step).map_err(|_| DecodeFault::Malformed)?;
        if count == 0 {
            break;
        }
        decoded.add(step.get(..count).unwrap_or_default())?;
    }
    // RFC 1952 section 2.2 lets another member follow.
    if decoder.into_inner().is_empty() { Ok(()) } else { Err(DecodeFault::Malformed) }
}

fn zlib(body: &[u8], decoded: &mut Decoded<'_>) -> Result<(), DecodeFault> {
    let mut decoder = Decompress::new(true);
    let mut step = [0; STEP_BYTES];
    let mut rest = body;
    loop {
        let (taken, made) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(rest, &mut step, FlushDecompress::None).map_err(|_| DecodeFault::Malformed)?;
        let since = |total: u64, before: u64| usize::try_from(total - before).map_err(|_| DecodeFault::Malformed);
        let (taken, made) = (since(decoder.total_in(), taken)?, since(decoder.total_out(), made)?);
        rest = rest.get(taken..).unwrap_or_default();
        decoded.add(step.get(..made).unwrap_or_default())?;
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(()),
            Status::Ok if taken + made > 0 => {}
            // It goes on behind its end, or does not end.
            _ => return Err(DecodeFault::Malformed),
        }
    }
}

fn brotli(body: &[u8], decoded: &mut Decoded<'_>) -> Result<(), DecodeFault> {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    // Windows beyond those of RFC 7932.
    state.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
    let mut step = [0; STEP_BYTES];
    let (mut left, mut at, mut total) = (body.len(), 0, 0);
    loop {
        let (mut room, mut made) = (STEP_BYTES, 0);
        let result =
            BrotliDecompressStream(&mut left, &mut at, body, &mut room, &mut made, &mut step, &mut total, &mut state);
        decoded.add(step.get(..made).unwrap_or_default())?;
        match result {
            BrotliResult::ResultSuccess if left == 0 => return Ok(()),
            BrotliResult::NeedsMoreOutput if made > 0 => {}
            _ => return Err(DecodeFault::Malformed),
        }
    }
}
