//! The journal: a preface, then frames, each a record.
//!
//! A frame is length (u32), CRC-32 (u32) of all that follows, sequence number (u64), epoch (u64), payload; numbers
//! little-endian. A frame is good if it is whole, its checksum matches, its number follows the one before and its
//! epoch is the journal's. The chained hash after a frame is SHA-256 of the hash before it and the frame's bytes.

use super::file::preface::{self, Opened, PrefaceError, checksum};
use aws_lc_rs::digest;
use std::ops::Range;

const FRAME: usize = 24;
/// Longer records are refused: a length beyond this is damage.
pub(crate) const RECORD_MAX: usize = 256 << 20;

pub(crate) type Chain = [u8; 32];

/// A good frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) payload: Range<usize>,
    /// The chained hash after it.
    pub(crate) chain: Chain,
}

/// What a journal holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) opened: Opened,
    pub(crate) entries: Vec<Entry>,
    /// Where the good frames end; what follows is torn.
    pub(crate) end: usize,
}

/// Appends one frame and returns the chained hash after it.
pub(crate) fn frame(
    out: &mut Vec<u8>,
    (sequence, epoch): (u64, u64),
    payload: &[u8],
    chain: &Chain,
) -> Chain {
    let start = out.len();
    let len = u32::try_from(payload.len()).expect("records are bounded by RECORD_MAX");
    let numbers = [sequence.to_le_bytes(), epoch.to_le_bytes()].concat();
    let crc = checksum(&[&len.to_le_bytes(), &numbers, payload]);
    out.extend(len.to_le_bytes());
    out.extend(crc.to_le_bytes());
    out.extend(numbers);
    out.extend(payload);
    link(chain, &out[start..])
}

/// The chained hash after a frame.
fn link(chain: &Chain, frame: &[u8]) -> Chain {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(chain);
    context.update(frame);
    let mut next = [0; 32];
    next.copy_from_slice(context.finish().as_ref());
    next
}

/// Reads frames up to the first one that is not good.
pub(crate) fn scan(bytes: &[u8]) -> Result<Scan, PrefaceError> {
    let opened = preface::read(preface::JOURNAL, bytes)?;
    let (mut sequence, mut chain) = (opened.preface.sequence, opened.preface.chain);
    let mut end = opened.end;
    let mut entries = Vec::new();
    while let Some(payload) = good_frame(bytes, end, (sequence + 1, opened.preface.epoch)) {
        sequence += 1;
        chain = link(&chain, &bytes[end..payload.end]);
        end = payload.end;
        entries.push(Entry { sequence, payload, chain });
    }
    Ok(Scan { opened, entries, end })
}

fn good_frame(bytes: &[u8], at: usize, numbers: (u64, u64)) -> Option<Range<usize>> {
    let head = bytes.get(at..at + FRAME)?;
    let short = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (len, crc) = (short(0) as usize, short(4));
    if len > RECORD_MAX || head[8..] != [numbers.0.to_le_bytes(), numbers.1.to_le_bytes()].concat() {
        return None;
    }
    let payload = at + FRAME..at + FRAME + len;
    let good = checksum(&[&head[..4], &head[8..], bytes.get(payload.clone())?]) == crc;
    good.then_some(payload)
}
