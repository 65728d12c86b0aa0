//! Whole numbers that begin at one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A number that may not be zero; zero itself is left to the layer, which says why. A plain `u32` would tell whoever writes -1
/// to write a number from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct FromOne<T>(pub(super) T);

struct Numbers<T>(PhantomData<T>);

impl<'de, T: TryFrom<u64>> Deserialize<'de> for FromOne<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(Numbers(PhantomData))
    }
}

impl<T: TryFrom<u64>> Visitor<'_> for Numbers<T> {
    type Value = FromOne<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 1, without quotes")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<FromOne<T>, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<FromOne<T>, E> {
        T::try_from(number).map(FromOne).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}
