//! How a body that streams through has ended, for whoever answers. Body and future share a place for it; places are used
//! again, so that no request allocates one as long as not too many stream at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use super::grpc::MessageFault;
use super::multipart::PartFault;

/// Why a body was ended here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    TooLong,
    TooSlow,
    Message(MessageFault),
    Part(PartFault),
}

/// The places of a layer.
#[derive(Debug)]
pub(super) struct Places {
    places: [AtomicU8; PLACES],
    /// Where to look for a free one.
    next: AtomicUsize,
}

/// One side of a place.
#[derive(Debug)]
pub(super) struct End {
    place: Place,
    side: u8,
}

#[derive(Debug)]
enum Place {
    OfMany { places: Arc<Places>, at: usize },
    Own(Arc<AtomicU8>),
}

/// Streams at once that allocate nothing: a byte each.
const PLACES: usize = 256;
/// Places that are tried before one is allocated.
const TRIES: usize = 8;

/// The two who hold a place. It is free when neither does; what was told stands above these bits.
const BODY: u8 = 1;
const FUTURE: u8 = 2;
const SIDES: u8 = BODY | FUTURE;

impl Default for Places {
    fn default() -> Self {
        Self { places: [const { AtomicU8::new(0) }; PLACES], next: AtomicUsize::new(0) }
    }
}

impl Places {
    /// A place: the body's side, and the future's.
    pub(super) fn pair(self: &Arc<Self>) -> (End, End) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut tried = (0..TRIES).map(|more| first.wrapping_add(more) % PLACES);
        let take = |at: &usize| {
            let place = self.places.get(*at);
            place.is_some_and(|place| place.compare_exchange(0, SIDES, Ordering::AcqRel, Ordering::Relaxed).is_ok())
        };
        let (one, other) = match tried.find(take) {
            Some(at) => {
                let of_many = || Place::OfMany { places: Arc::clone(self), at };
                (of_many(), of_many())
            }
            None => {
                let own = Arc::new(AtomicU8::new(SIDES));
                (Place::Own(Arc::clone(&own)), Place::Own(own))
            }
        };
        (End { place: one, side: BODY }, End { place: other, side: FUTURE })
    }
}

impl End {
    fn place(&self) -> Option<&AtomicU8> {
        match &self.place {
            Place::OfMany { places, at } => places.places.get(*at),
            Place::Own(own) => Some(own),
        }
    }

    fn change(&self, change: impl Fn(u8) -> u8) {
        if let Some(place) = self.place() {
            // It is always changed, so that this cannot fail.
            let _ = place.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| Some(change(held)));
        }
    }

    pub(super) fn set(&self, cut: Cut) {
        let number = Cut::all().zip(1_u8..).find(|(known, _)| *known == cut).map_or(0, |(_, number)| number);
        self.change(|held| held & SIDES | number << 2);
    }

    pub(super) fn get(&self) -> Option<Cut> {
        let number = usize::from(self.place()?.load(Ordering::Acquire) >> 2);
        Cut::all().nth(number.checked_sub(1)?)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let side = self.side;
        // Whoever is the last leaves nothing.
        self.change(|held| if held & SIDES == side { 0 } else { held & !side });
    }
}

impl Cut {
    /// Each there is. They are told by their place here, counted from one.
    fn all() -> impl Iterator<Item = Self> {
        let messages = [MessageFault::TooLong, MessageFault::Compressed, MessageFault::Malformed].map(Self::Message);
        [Self::TooLong, Self::TooSlow].into_iter().chain(messages).chain(PartFault::ALL.map(Self::Part))
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the body is longer than allowed",
            Self::TooSlow => "the body did not arrive in time",
            Self::Message(MessageFault::TooLong) => "a message is longer than allowed",
            Self::Message(MessageFault::Compressed) => "a message is compressed",
            Self::Message(MessageFault::Malformed) => "a message is malformed",
            Self::Part(fault) => fault.detail(),
        })
    }
}

impl std::error::Error for Cut {}
