//! The snapshot: a state as of one record, in parts that can be read alone.
//!
//! A preface, the parts (each MessagePack), the index, then 24 bytes: where the index begins (u64), its length and
//! CRC-32 (u32 each, little-endian), magic. The index tells of each part what it is, where it is, and its CRC-32.

use super::file::object::{
    ObjectDto, OutputDto, RecipeDto, decode_object, decode_output, decode_recipe, encode_object,
    encode_output, encode_recipe,
};
use super::file::preface::{self, Opened, Preface, PrefaceError, checksum};
use super::file::record::{OpenOpDto, decode_open, encode_open};
use super::file::{FormError, Reader, Writer, from_bytes, to_bytes};
use super::{Object, OpId, RecipeId, State, Status};
use groma_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const TRAILER: usize = 24;
/// Serials whose runs are remembered.
const HISTORY_MAX: usize = 50;

/// A run that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub serial: u64,
    pub at: Timestamp,
    pub id: Arc<str>,
}

/// A state and what the journal needs beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Folded {
    pub(crate) state: State,
    /// The highest operation id that was ever given.
    pub(crate) last_op: u64,
    pub(crate) history: Vec<Run>,
}

#[derive(Serialize, Deserialize)]
struct Index {
    serial: u64,
    last_op: u64,
    history: Vec<RunDto>,
    parts: Vec<PartDto>,
}

#[derive(Serialize, Deserialize)]
struct RunDto {
    serial: u64,
    at_ms: i64,
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Object,
    Recipe,
    Open,
    Output,
}

#[derive(Serialize, Deserialize)]
struct PartDto {
    kind: Kind,
    /// Object, recipe or operation id, or the output's name.
    name: String,
    /// The address of an object.
    address: Option<String>,
    offset: u64,
    len: u64,
    crc: u32,
}

/// Why a snapshot can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SnapshotError {
    Preface(PrefaceError),
    Damaged(&'static str),
    Form(FormError),
}

impl From<FormError> for SnapshotError {
    fn from(error: FormError) -> SnapshotError {
        SnapshotError::Form(error)
    }
}

impl Folded {
    /// Applies a record, and keeps count of what the state itself does not.
    pub(crate) fn apply(&mut self, record: &super::Record) {
        use super::Record;
        self.state.apply(record);
        match record {
            Record::Run { at, id } => {
                self.history.push(Run { serial: self.state.serial, at: *at, id: id.clone() });
                let excess = self.history.len().saturating_sub(HISTORY_MAX);
                self.history.drain(..excess);
            }
            Record::Begin(op, _) => self.last_op = self.last_op.max(op.0),
            Record::Recipe(..)
            | Record::Made(..)
            | Record::End(..)
            | Record::Observed(_)
            | Record::Forgotten(_)
            | Record::Moved(..)
            | Record::Deposed(..)
            | Record::Resettled { .. }
            | Record::Output(..) => {}
        }
    }
}

/// The bytes of a snapshot.
pub(crate) fn write(
    writer: &mut Writer<'_>,
    preface: &Preface,
    folded: &Folded,
) -> Result<Vec<u8>, FormError> {
    let mut out = preface::write(preface::SNAPSHOT, preface)?;
    let mut parts = Vec::new();
    let mut put = |kind, name: String, address: Option<String>, bytes: Vec<u8>| {
        let (offset, len) = (out.len() as u64, bytes.len() as u64);
        parts.push(PartDto { kind, name, address, offset, len, crc: checksum(&[&bytes]) });
        out.extend(bytes);
    };
    let state = &folded.state;
    for (id, recipe) in &state.recipes {
        let bytes = to_bytes("a recipe", &encode_recipe(writer, id, recipe)?)?;
        put(Kind::Recipe, id.to_string(), None, bytes);
    }
    for (id, object) in &state.objects {
        let bytes = to_bytes("an object", &encode_object(writer, object)?)?;
        put(Kind::Object, id.to_string(), Some(object.address.to_string()), bytes);
    }
    for (op, open) in &state.open {
        let bytes = to_bytes("an operation", &encode_open(writer, *op, open)?)?;
        put(Kind::Open, op.0.to_string(), None, bytes);
    }
    for (name, output) in &state.outputs {
        let bytes = to_bytes("an output", &encode_output(writer, name, output)?)?;
        put(Kind::Output, name.to_string(), None, bytes);
    }
    let history = folded.history.iter();
    let history = history.map(|r| RunDto { serial: r.serial, at_ms: r.at.0, id: r.id.to_string() }).collect();
    let index = Index { serial: state.serial, last_op: folded.last_op, history, parts };
    let index = to_bytes("the index", &index)?;
    let offset = out.len() as u64;
    let len = u32::try_from(index.len())
        .map_err(|e| FormError::Unstorable { what: "the index", why: e.to_string() })?;
    let crc = checksum(&[&index]);
    out.extend(index);
    out.extend(offset.to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(crc.to_le_bytes());
    out.extend(preface::SNAPSHOT);
    Ok(out)
}

pub(crate) fn read(reader: &mut Reader<'_>, bytes: &[u8]) -> Result<(Opened, Folded), SnapshotError> {
    let opened = preface::read(preface::SNAPSHOT, bytes).map_err(SnapshotError::Preface)?;
    let index = read_index(bytes)?;
    let mut state =
        State { lineage: opened.preface.lineage.as_str().into(), serial: index.serial, ..State::default() };
    for part in &index.parts {
        read_part(reader, bytes, part, &mut state)?;
    }
    let history = index.history.into_iter();
    let history =
        history.map(|r| Run { serial: r.serial, at: Timestamp(r.at_ms), id: r.id.into() }).collect();
    Ok((opened, Folded { state, last_op: index.last_op, history }))
}

fn read_part(
    reader: &mut Reader<'_>,
    bytes: &[u8],
    part: &PartDto,
    state: &mut State,
) -> Result<(), SnapshotError> {
    let body = part_bytes(bytes, part)?;
    match part.kind {
        Kind::Object => {
            let object = decode_object(reader, from_bytes::<ObjectDto>("an object", body)?)?;
            insert(state, object);
        }
        Kind::Recipe => {
            let id = RecipeId(part.name.as_str().into());
            let recipe = decode_recipe(reader, &id, from_bytes::<RecipeDto>("a recipe", body)?)?;
            state.recipes.insert(id, recipe);
        }
        Kind::Open => {
            let op = part.name.parse().map_err(|_| SnapshotError::Damaged("an operation has no number"))?;
            let open = decode_open(reader, OpId(op), from_bytes::<OpenOpDto>("an operation", body)?)?;
            state.open.insert(OpId(op), open);
        }
        Kind::Output => {
            let output = decode_output(reader, &part.name, from_bytes::<OutputDto>("an output", body)?)?;
            state.outputs.insert(part.name.as_str().into(), output);
        }
    }
    Ok(())
}

fn insert(state: &mut State, object: Object) {
    if !matches!(object.status, Status::Deposed(_)) {
        state.current.insert(object.address.clone(), object.id.clone());
    }
    state.objects.insert(object.id.clone(), object);
}

fn part_bytes<'a>(bytes: &'a [u8], part: &PartDto) -> Result<&'a [u8], SnapshotError> {
    let start = usize::try_from(part.offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(part.len).unwrap_or(usize::MAX));
    let body = bytes.get(start..end).ok_or(SnapshotError::Damaged("a part lies beyond its end"))?;
    if checksum(&[body]) != part.crc {
        return Err(SnapshotError::Damaged("a part does not match its checksum"));
    }
    Ok(body)
}

fn read_index(bytes: &[u8]) -> Result<Index, SnapshotError> {
    let at = bytes.len().checked_sub(TRAILER).ok_or(SnapshotError::Damaged("it is too short"))?;
    let (offset, len, crc) = read_trailer(&bytes[at..])?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    if start.saturating_add(len) != at {
        return Err(SnapshotError::Damaged("its index is not where it should be"));
    }
    let index = &bytes[start..at];
    if checksum(&[index]) != crc {
        return Err(SnapshotError::Damaged("its index does not match its checksum"));
    }
    Ok(from_bytes("the index", index)?)
}

fn read_trailer(trailer: &[u8]) -> Result<(u64, usize, u32), SnapshotError> {
    let (offset, rest) = trailer.split_first_chunk::<8>().ok_or(SnapshotError::Damaged("it is too short"))?;
    let (len, rest) = rest.split_first_chunk::<4>().ok_or(SnapshotError::Damaged("it is too short"))?;
    let (crc, magic) = rest.split_first_chunk::<4>().ok_or(SnapshotError::Damaged("it is too short"))?;
    if magic != preface::SNAPSHOT {
        return Err(SnapshotError::Damaged("its last bytes are not those of a snapshot"));
    }
    Ok((u64::from_le_bytes(*offset), u32::from_le_bytes(*len) as usize, u32::from_le_bytes(*crc)))
}
