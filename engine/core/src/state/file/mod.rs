//! The forms on disk: own types with serde, apart from the engine's, which carry none.
//!
//! All is MessagePack with named fields, so that it can be read without this program. [`preface`] opens every file;
//! nothing is decoded before its version has passed the gate. A new field is additive (old readers skip it); a new
//! record or a changed meaning raises [`FORMAT`] and the least version that may write.

pub(crate) mod object;
pub(crate) mod preface;
pub(crate) mod record;
pub(crate) mod value;

use super::seal::{Keys, SealError};
use groma_types::Value;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of the format that this program writes.
pub const FORMAT: u32 = 1;

/// Why stored bytes don't become data, or data not bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("{what} is not understood by this version of groma: {why}")]
    Unknown { what: &'static str, why: String },
    #[error("{what} can't be stored: {why}")]
    Unstorable { what: &'static str, why: String },
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// A sealed value that could not be opened: it is null in the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// `object ID`, `recipe ID`, `output NAME`.
    pub scope: String,
    pub path: String,
    pub why: SealErrorKind,
}

/// Why a sealed value is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealErrorKind {
    /// The key that sealed it is not at hand.
    KeyMissing,
    /// The key is there and the value does not open with it.
    Damaged,
}

/// Encodes with the keys at hand, sealing what is sensitive.
pub(crate) struct Writer<'a> {
    pub(crate) keys: &'a mut Keys,
    /// What is written will be sealed as a whole.
    sealing: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(keys: &'a mut Keys) -> Writer<'a> {
        Writer { keys, sealing: false }
    }
}

/// Decodes with the keys at hand and notes what does not open.
pub(crate) struct Reader<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) lost: Vec<Lost>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(keys: &'a Keys) -> Reader<'a> {
        Reader { keys, lost: Vec::new() }
    }
}

pub(crate) fn to_bytes<T: Serialize>(what: &'static str, data: &T) -> Result<Vec<u8>, FormError> {
    rmp_serde::to_vec_named(data).map_err(|e| FormError::Unstorable { what, why: e.to_string() })
}

pub(crate) fn from_bytes<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, FormError> {
    rmp_serde::from_slice(bytes).map_err(|e| FormError::Unknown { what, why: e.to_string() })
}

/// Encodes one value for a place outside of the state, such as a saved plan: sensitive parts are sealed for `scope`.
///
/// # Errors
/// There is no key, or the value nests too deep to be read back.
pub fn seal_value(keys: &mut Keys, scope: &str, value: &Value) -> Result<Vec<u8>, FormError> {
    let dto = value::encode(&mut Writer::new(keys), scope, value)?;
    to_bytes("a value", &dto)
}

/// Decodes what [`seal_value`] made for the same scope; what does not open is null and listed.
///
/// # Errors
/// The bytes are not a value.
pub fn open_value(keys: &Keys, scope: &str, bytes: &[u8]) -> Result<(Value, Vec<Lost>), FormError> {
    let mut reader = Reader::new(keys);
    let value = value::decode(&mut reader, scope, from_bytes("a value", bytes)?)?;
    Ok((value, reader.lost))
}

/// Bytes as MessagePack's own kind, not as a list of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// Reads an address that was stored as text.
pub(crate) fn parse<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, FormError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e: T::Err| FormError::Unknown { what, why: e.to_string() })
}

pub(crate) fn text(text: &Arc<str>) -> String {
    text.to_string()
}
