//! What a state on disk comes to, after whatever happened to it. Pure: bytes in, a state or the damage out.
//!
//! The journal must reach what the head acknowledges, with the head's chained hash; good records after that are
//! taken; the first bad one after that is where a write was torn. Everything else is damage, and nothing is opened.
//!
//! A snapshot that is one epoch ahead of the journal is a compaction that was cut off after the snapshot was in
//! place: the journal is stale and all of it is in the snapshot.

use super::file::object::{object_scope, output_scope, planned_scope, recipe_scope};
use super::file::preface::{Opened, Preface, PrefaceError};
use super::file::record::{RecordDto, decode_record, operation_scope};
use super::file::{FormError, Reader, from_bytes};
use super::head::{self, Head, Slotted};
use super::journal::{self, Chain, Scan};
use super::snapshot::{self, Folded, SnapshotError};
use super::{Ended, Record, State};
use std::collections::BTreeSet;

/// The files as they are; `None`: not there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Image<'a> {
    pub(crate) head: Option<&'a [u8]>,
    pub(crate) snapshot: Option<&'a [u8]>,
    pub(crate) journal: Option<&'a [u8]>,
}

#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) folded: Folded,
    /// Of the snapshot and the journal to go on with: epoch, and the record where that journal begins.
    pub(crate) preface: Preface,
    pub(crate) least_writer: u32,
    pub(crate) head: Slotted,
    /// The last good record, and the chained hash there.
    pub(crate) last: Head,
    /// Good records that the head does not know of.
    pub(crate) taken: u64,
    /// Where the journal's good records end.
    pub(crate) journal_end: usize,
    /// Where they begin.
    pub(crate) journal_start: usize,
    /// The journal is that of the epoch before.
    pub(crate) stale: bool,
}

/// Why the files are not a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A file, and what is wrong with it.
    File(&'static str, String),
    /// The file needs at least this format.
    TooNew(&'static str, u32),
    Form(FormError),
}

impl From<FormError> for Damage {
    fn from(error: FormError) -> Damage {
        Damage::Form(error)
    }
}

fn damaged<T>(file: &'static str, why: impl Into<String>) -> Result<T, Damage> {
    Err(Damage::File(file, why.into()))
}

/// Returns the state, or `None` if there is none yet.
pub(crate) fn recover(image: Image<'_>, reader: &mut Reader<'_>) -> Result<Option<Recovered>, Damage> {
    let head = read_head(image)?;
    let (Some(head), Some(journal)) = (head, image.journal) else {
        return if head.is_some_and(|h| h.head.sequence > 0) || image.snapshot.is_some() {
            damaged("journal", "it is not there, and other files of this state are")
        } else {
            Ok(None)
        };
    };
    let scan = journal::scan(journal).map_err(|e| preface_damage("journal", e))?;
    let Some(snapshot) = image.snapshot else {
        if scan.opened.preface.epoch != 0 {
            return damaged("snapshot", "it is not there, and the journal goes on from one");
        }
        let folded = Folded {
            state: State { lineage: scan.opened.preface.lineage.as_str().into(), ..State::default() },
            ..Folded::default()
        };
        let opened = scan.opened.clone();
        return replay(journal, &scan, opened, folded, head, reader).map(Some);
    };
    let (opened, folded) = snapshot::read(reader, snapshot).map_err(snapshot_damage)?;
    let (ours, theirs) = (&opened.preface, &scan.opened.preface);
    if (&ours.stack, &ours.lineage) != (&theirs.stack, &theirs.lineage) {
        return damaged("journal", "it belongs to another state than the snapshot");
    }
    if theirs.epoch.checked_add(1) == Some(ours.epoch) {
        return superseded(opened, folded, head).map(Some);
    }
    if (theirs.epoch, theirs.sequence, theirs.chain) != (ours.epoch, ours.sequence, ours.chain) {
        return damaged("journal", "it does not go on from the snapshot that is there");
    }
    replay(journal, &scan, opened, folded, head, reader).map(Some)
}

fn read_head(image: Image<'_>) -> Result<Option<Slotted>, Damage> {
    match image.head {
        Some(bytes) => match head::read(bytes) {
            Some(head) => Ok(Some(head)),
            None => damaged("head", "neither of its two slots is whole"),
        },
        None if image.journal.is_some() || image.snapshot.is_some() => {
            damaged("head", "it is not there, and other files of this state are")
        }
        None => Ok(None),
    }
}

/// The snapshot holds all that the journal of the epoch before had.
fn superseded(opened: Opened, folded: Folded, head: Slotted) -> Result<Recovered, Damage> {
    let last = Head { sequence: opened.preface.sequence, chain: opened.preface.chain };
    check_acknowledged(&head.head, &last, |_| None)?;
    Ok(Recovered {
        folded,
        preface: opened.preface,
        least_writer: opened.least_writer,
        head,
        last,
        taken: 0,
        journal_end: 0,
        journal_start: 0,
        stale: true,
    })
}

fn replay(
    bytes: &[u8],
    scan: &Scan,
    opened: Opened,
    mut folded: Folded,
    head: Slotted,
    reader: &mut Reader<'_>,
) -> Result<Recovered, Damage> {
    let start = Head { sequence: scan.opened.preface.sequence, chain: scan.opened.preface.chain };
    let last = scan.entries.last().map_or(start, |e| Head { sequence: e.sequence, chain: e.chain });
    check_acknowledged(&head.head, &last, |sequence| {
        if sequence == start.sequence {
            return Some(start.chain);
        }
        let at = usize::try_from(sequence.checked_sub(start.sequence + 1)?).ok()?;
        scan.entries.get(at).map(|e| e.chain)
    })?;
    for entry in &scan.entries {
        let dto: RecordDto = from_bytes("a record of the journal", &bytes[entry.payload.clone()])?;
        let before = std::mem::take(&mut reader.lost);
        let record = decode_record(reader, dto)?;
        let rewritten = rewritten_scope(&record);
        reader.lost.extend(before.into_iter().filter(|l| Some(&l.scope) != rewritten.as_ref()));
        folded.apply(&record);
    }
    let live = live_scopes(&folded.state);
    reader.lost.retain(|l| live.contains(&l.scope));
    reader.lost.sort();
    Ok(Recovered {
        folded,
        preface: opened.preface,
        least_writer: opened.least_writer.max(scan.opened.least_writer),
        head,
        last,
        taken: last.sequence.saturating_sub(head.head.sequence.max(start.sequence)),
        journal_end: scan.end,
        journal_start: scan.opened.end,
        stale: false,
    })
}

/// The scope whose values a record holds anew: what was lost there before does not matter any more.
fn rewritten_scope(record: &Record) -> Option<String> {
    match record {
        Record::Recipe(id, _) => Some(recipe_scope(id)),
        Record::Begin(_, begin) => Some(planned_scope(&begin.object)),
        Record::Made(op, _) => Some(operation_scope(*op)),
        Record::End(_, Ended::Settled(object)) | Record::Observed(object) => Some(object_scope(&object.id)),
        Record::Output(name, _) => Some(output_scope(name)),
        Record::End(_, Ended::Deleted { .. } | Ended::Refused(_) | Ended::Suspended)
        | Record::Run { .. }
        | Record::Forgotten(_)
        | Record::Moved(..)
        | Record::Deposed(..)
        | Record::Resettled { .. } => None,
    }
}

/// The scopes of all values that the state holds.
fn live_scopes(state: &State) -> BTreeSet<String> {
    let opened = state.open.iter();
    let opened = opened.flat_map(|(op, open)| [operation_scope(*op), planned_scope(&open.begin.object)]);
    let objects = state.objects.keys().map(object_scope);
    let recipes = state.recipes.keys().map(recipe_scope);
    let outputs = state.outputs.keys().map(|name| output_scope(name));
    opened.chain(objects).chain(recipes).chain(outputs).collect()
}

/// No acknowledged record may be missing or other than it was. A head before the snapshot's record can't be compared:
/// it is what a flipped bit in the newer slot leaves.
fn check_acknowledged(
    head: &Head,
    last: &Head,
    chain_at: impl Fn(u64) -> Option<Chain>,
) -> Result<(), Damage> {
    if head.sequence > last.sequence {
        return damaged(
            "journal",
            format!(
                "{} acknowledged records are in it, and its good ones end at {}",
                head.sequence, last.sequence
            ),
        );
    }
    let chain = if head.sequence == last.sequence { Some(last.chain) } else { chain_at(head.sequence) };
    match chain {
        Some(chain) if chain != head.chain => damaged(
            "journal",
            format!("its records up to {} are not those that were acknowledged", head.sequence),
        ),
        _ => Ok(()),
    }
}

pub(crate) fn preface_damage(file: &'static str, error: PrefaceError) -> Damage {
    match error {
        PrefaceError::Damaged(why) => Damage::File(file, why.into()),
        PrefaceError::TooNew(format) => Damage::TooNew(file, format),
        PrefaceError::Form(error) => Damage::Form(error),
    }
}

fn snapshot_damage(error: SnapshotError) -> Damage {
    match error {
        SnapshotError::Preface(error) => preface_damage("snapshot", error),
        SnapshotError::Damaged(why) => Damage::File("snapshot", why.into()),
        SnapshotError::Form(error) => Damage::Form(error),
    }
}
