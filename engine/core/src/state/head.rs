//! The head: how far the journal is acknowledged. Two slots, each in a block of its own, rewritten in turn, so that a
//! write that is torn leaves the one before.
//!
//! A slot is magic (8 bytes), sequence number (u64 little-endian), chained hash (32 bytes), CRC-32 of these.

use super::disk::DiskFile;
use super::file::preface::checksum;
use super::journal::Chain;
use std::io;

const MAGIC: &[u8; 8] = b"gromahed";
const SLOT: usize = 52;
const BLOCK: usize = 4096;

/// What is acknowledged: all records up to this one, with this chained hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sequence: u64,
    pub(crate) chain: Chain,
}

/// A head and the slot that it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slotted {
    pub(crate) head: Head,
    pub(crate) slot: usize,
}

/// The file of a new state.
pub(crate) fn first(head: &Head) -> Vec<u8> {
    let mut bytes = vec![0; 2 * BLOCK];
    bytes[..SLOT].copy_from_slice(&slot(head));
    bytes
}

fn slot(head: &Head) -> Vec<u8> {
    let mut bytes = [MAGIC.as_slice(), &head.sequence.to_le_bytes(), &head.chain].concat();
    bytes.extend(checksum(&[&bytes]).to_le_bytes());
    bytes
}

/// Returns the newer of the good slots.
pub(crate) fn read(bytes: &[u8]) -> Option<Slotted> {
    let slots = [0, 1].map(|slot| Some(Slotted { head: read_slot(bytes.get(slot * BLOCK..)?)?, slot }));
    slots.into_iter().flatten().max_by_key(|s| s.head.sequence)
}

fn read_slot(bytes: &[u8]) -> Option<Head> {
    let bytes = bytes.get(..SLOT)?;
    let (body, crc) = bytes.split_at(SLOT - 4);
    if body[..8] != *MAGIC || checksum(&[body]).to_le_bytes() != *crc {
        return None;
    }
    Some(Head {
        sequence: u64::from_le_bytes(body[8..16].try_into().expect("eight bytes were taken")),
        chain: body[16..48].try_into().expect("32 bytes were taken"),
    })
}

/// Writes the slot that does not hold the present head, durably; returns it.
pub(crate) fn advance(file: &mut DiskFile, present: usize, head: &Head) -> io::Result<usize> {
    let other = 1 - present;
    file.write_at((other * BLOCK) as u64, &slot(head))?;
    file.sync()?;
    Ok(other)
}
