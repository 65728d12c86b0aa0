//! Records in fewer bytes, by the crate `flate2` on miniz_oxide: no C.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use tokio::runtime::Handle;

/// Shorter records gain nothing that counts.
const MIN_BYTES: usize = 1 << 10;
/// Longer ones are put as they are: nobody is to pack for long.
const MAX_BYTES: usize = 8 << 20;
/// Up to so many are unpacked where they are met; more in a thread that may take its time.
const SHORT_BYTES: usize = 64 << 10;

/// A record as it is put.
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    /// How long it was, where it was packed.
    pub(super) whole: Option<usize>,
}

/// Packs a record where that is of use. It takes a thread of those that may be busy for a while: nobody waits for it.
pub(super) async fn pack(record: Bytes, compresses: bool) -> Packed {
    if compresses && (MIN_BYTES..=MAX_BYTES).contains(&record.len()) {
        let (whole, taken) = (record.len(), record.clone());
        if let Some(bytes) = apart(move || deflate(&taken)).await {
            return Packed { bytes, whole: Some(whole) };
        }
    }
    Packed { bytes: record.into(), whole: None }
}

/// A record as it was, if it is `whole` bytes long and no more than `most`: what was put by somebody else may be anything.
pub(super) async fn unpack(packed: Vec<u8>, whole: usize, most: usize) -> Option<Vec<u8>> {
    if whole > most || whole > MAX_BYTES {
        return None;
    }
    if whole <= SHORT_BYTES { inflate(&packed, whole) } else { apart(move || inflate(&packed, whole)).await }
}

async fn apart(work: impl FnOnce() -> Option<Vec<u8>> + Send + 'static) -> Option<Vec<u8>> {
    Handle::try_current().ok()?.spawn_blocking(work).await.ok()?
}

/// `None` where less than an eighth is won.
fn deflate(record: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(record.len() / 2), Compression::fast());
    encoder.write_all(record).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() <= record.len() - record.len() / 8).then_some(packed)
}

fn inflate(packed: &[u8], whole: usize) -> Option<Vec<u8>> {
    let mut record = Vec::with_capacity(whole);
    // One byte more than there should be is enough to know that there are too many.
    let mut decoder = DeflateDecoder::new(packed).take(whole as u64 + 1);
    decoder.read_to_end(&mut record).ok()?;
    let rest = decoder.into_inner().into_inner();
    (record.len() == whole && rest.is_empty()).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_packed_is_what_it_was() {
        for length in [MIN_BYTES, SHORT_BYTES + 1, 300_000] {
            let record: Vec<u8> = b"a rather short sentence. ".iter().copied().cycle().take(length).collect();
            let packed = pack(record.clone().into(), true).await;
            assert_eq!(packed.whole, Some(length));
            assert!(packed.bytes.len() < length / 4);
            assert_eq!(unpack(packed.bytes, length, length).await, Some(record));
        }
    }

    #[tokio::test]
    async fn what_would_not_shrink_stays() {
        let mut seed = 1_u64;
        let mut noise = Vec::new();
        for _ in 0..2000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.push((seed >> 56) as u8);
        }
        let short = vec![b'a'; MIN_BYTES - 1];
        let long = vec![b'a'; MAX_BYTES + 1];
        for (record, compresses) in [(noise, true), (short, true), (long, true), (vec![b'a'; 5000], false)] {
            let packed = pack(record.clone().into(), compresses).await;
            assert_eq!((packed.whole, packed.bytes.len()), (None, record.len()));
            assert!(packed.bytes == record);
        }
    }

    #[tokio::test]
    async fn bombs_and_junk_are_no_records() {
        let bomb = deflate(&vec![0; 4 << 20]).unwrap();
        assert!(bomb.len() < 64 << 10);
        for (whole, most) in [(100, 1000), (4 << 20, 1 << 20), (5 << 20, 8 << 20), (usize::MAX, usize::MAX), (0, 1000)]
        {
            assert_eq!(unpack(bomb.clone(), whole, most).await, None, "{whole}");
        }
        let good = deflate(&[b'a'; 2000]).unwrap();
        assert!(unpack(good.clone(), 2000, 2000).await.is_some());
        assert_eq!(unpack(good[..good.len() - 1].to_vec(), 2000, 2000).await, None);
        assert_eq!(unpack([&good[..], b"x"].concat(), 2000, 2000).await, None);
        assert_eq!(unpack(b"junk".to_vec(), 2000, 2000).await, None);
        assert_eq!(unpack(Vec::new(), 2000, 2000).await, None);
    }
}
