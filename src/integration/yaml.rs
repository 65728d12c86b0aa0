//! YAML, by the crate `yaml_serde`, into our own values: the same bounds and the same strictness as for JSON.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::spine::json::{Json, JsonLimits, Number};

/// Reads one document. What goes wrong is told in the words of the library, with its line.
pub(crate) fn read(text: &[u8], limits: &JsonLimits) -> Result<Json<'static>, String> {
    if text.len() > limits.max_bytes {
        return Err(String::from("it is too long"));
    }
    let values_left = Cell::new(limits.max_values);
    let seed = Node { values_left: &values_left, depth_left: limits.max_depth };
    seed.deserialize(yaml_serde::Deserializer::from_slice(text)).map_err(|error| error.to_string())
}

/// A value that is read, as deep and as large as may be: an alias can stand for much.
#[derive(Clone, Copy)]
struct Node<'l> {
    values_left: &'l Cell<usize>,
    depth_left: usize,
}

impl Node<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom("it is nested too deeply"))?;
        Ok(Self { depth_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json<'static>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let left = self.values_left.get().checked_sub(1).ok_or_else(|| D::Error::custom("it has too many values"))?;
        self.values_left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(Number::Whole(whole)))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(i64::try_from(whole).map_or(Number::Real(whole as f64), Number::Whole)))
    }

    fn visit_f64<E: Error>(self, real: f64) -> Result<Self::Value, E> {
        if real.is_finite() {
            Ok(Json::Number(Number::Real(real)))
        } else {
            Err(E::custom("a number is none that JSON has"))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        let mut members: Vec<(std::borrow::Cow<'static, str>, Json<'static>)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some(name) = map.next_key_seed(inner)? {
            // Statuses are written as numbers by many.
            let name = match name {
                Json::Text(name) => name.into_owned(),
                Json::Number(Number::Whole(whole)) => whole.to_string(),
                Json::Flag(flag) => flag.to_string(),
                _ => return Err(A::Error::custom("a name is none that JSON has")),
            };
            // YAML 1.1 had such a key; whoever writes one means that its members count.
            if name == "<<" {
                return Err(A::Error::custom("`<<` merges nothing: it is none of YAML 1.2"));
            }
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("an object has a member twice"));
            }
            members.push((name.into(), map.next_value_seed(inner)?));
        }
        Ok(Json::Object(members))
    }
}
