//! The first bytes of the journal and of the snapshot, and the gate: which versions may read and write the file.
//!
//! Magic (8 bytes), format, least reader, least writer, length (u32 little-endian each), CRC-32 of all of it, then the
//! [`Preface`] as MessagePack. The versions come before everything that a later format could change.

use super::{FORMAT, FormError, from_bytes, to_bytes};
use serde::{Deserialize, Serialize};

pub(crate) const JOURNAL: &[u8; 8] = b"gromajnl";
pub(crate) const SNAPSHOT: &[u8; 8] = b"gromasnp";
const FIXED: usize = 28;

/// What a file is a state of, and where it stands in the chain of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preface {
    pub(crate) groma_version: String,
    pub(crate) stack: String,
    pub(crate) lineage: String,
    /// Counts snapshots; a journal belongs to the snapshot of its epoch.
    pub(crate) epoch: u64,
    /// The last record that the snapshot holds; the journal begins after it.
    pub(crate) sequence: u64,
    /// The chained hash at that record.
    pub(crate) chain: [u8; 32],
}

/// A preface with what stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) preface: Preface,
    pub(crate) least_writer: u32,
    /// Where the rest of the file begins.
    pub(crate) end: usize,
}

/// Why the beginning of a file is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrefaceError {
    Damaged(&'static str),
    /// Written by a later version; the least one that may read it.
    TooNew(u32),
    Form(FormError),
}

pub(crate) fn write(magic: &[u8; 8], preface: &Preface) -> Result<Vec<u8>, FormError> {
    let body = to_bytes("a preface", preface)?;
    let len = u32::try_from(body.len())
        .map_err(|e| FormError::Unstorable { what: "a preface", why: e.to_string() })?;
    let mut out = magic.to_vec();
    // Format 1 is written so that any version may read and write it.
    for number in [FORMAT, 1, 1, len] {
        out.extend(number.to_le_bytes());
    }
    out.extend(checksum(&[&out, &body]).to_le_bytes());
    out.extend(body);
    Ok(out)
}

pub(crate) fn read(magic: &[u8; 8], bytes: &[u8]) -> Result<Opened, PrefaceError> {
    let fixed = bytes.get(..FIXED).ok_or(PrefaceError::Damaged("it ends in its first bytes"))?;
    if fixed[..8] != *magic {
        return Err(PrefaceError::Damaged("its first bytes are not those of such a file"));
    }
    let number = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let (least_reader, least_writer, len, crc) = (number(12), number(16), number(20), number(24));
    let end = FIXED + len as usize;
    let body = bytes.get(FIXED..end).ok_or(PrefaceError::Damaged("it ends in its first bytes"))?;
    if checksum(&[&fixed[..24], body]) != crc {
        return Err(PrefaceError::Damaged("its first bytes don't match their checksum"));
    }
    if least_reader > FORMAT {
        return Err(PrefaceError::TooNew(least_reader));
    }
    let preface = from_bytes("a preface", body).map_err(PrefaceError::Form)?;
    Ok(Opened { preface, least_writer, end })
}

pub(crate) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
