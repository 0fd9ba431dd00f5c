//! The durable world: a map from key to JSON value, a log of changes, a snapshot.
//!
//! Invariants: a batch of changes is one line of the log, so it is there wholly or not at all; nothing
//! is answered before the log that holds it is synced; a torn last line is dropped at the next start, a
//! bad line before the end is an error. A request that fails takes its changes back (`rollback`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The world in memory, with the changes of the request that runs now.
#[derive(Debug, Default)]
pub(crate) struct World {
    map: BTreeMap<String, Value>,
    /// Each key changed since the last commit, with what was there before.
    before: BTreeMap<String, Option<Value>>,
    /// What watches may still ask for; this process's own and not durable.
    pub(crate) journal: crate::kube::watch::Journal,
}

impl World {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    pub(crate) fn put(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        let old = self.map.insert(key.clone(), value);
        self.before.entry(key).or_insert(old);
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        let old = self.map.remove(key);
        if old.is_some() {
            self.before.entry(key.to_owned()).or_insert_with(|| old.clone());
        }
        old
    }

    /// Changes a value in place; nothing happens where there is none.
    pub(crate) fn edit(&mut self, key: &str, change: impl FnOnce(&mut Value)) {
        if let Some(mut value) = self.get(key).cloned() {
            change(&mut value);
            self.put(key, value);
        }
    }

    /// All entries whose key starts with `prefix`, in order of their keys.
    pub(crate) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.map
            .range(prefix.to_owned()..)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        self.under(prefix).map(|(key, _)| key.to_owned()).collect()
    }

    /// A counter that never gives a number twice.
    pub(crate) fn next(&mut self, counter: &str) -> u64 {
        let key = format!("counter/{counter}");
        let number = self.get(&key).and_then(Value::as_u64).unwrap_or(0) + 1;
        self.put(key, number.into());
        number
    }

    pub(crate) fn rollback(&mut self) {
        for (key, old) in std::mem::take(&mut self.before) {
            match old {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
    }

    /// The changed keys that start with `prefix`, with the value before and the one now.
    pub(crate) fn changes<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, Option<&'a Value>, Option<&'a Value>)> {
        self.before
            .range(prefix.to_owned()..)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, old)| (key.as_str(), old.as_ref(), self.map.get(key)))
            .filter(|(_, old, new)| old != new)
    }

    fn take_batch(&mut self) -> (Map<String, Value>, Vec<String>) {
        let mut set = Map::new();
        let mut gone = Vec::new();
        for (key, old) in std::mem::take(&mut self.before) {
            match self.map.get(&key) {
                Some(value) if Some(value) != old.as_ref() => {
                    set.insert(key, value.clone());
                }
                None if old.is_some() => gone.push(key),
                Some(_) | None => {}
            }
        }
        (set, gone)
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    seq: u64,
    time: i64,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    set: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<String>,
}

/// The files behind a world.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    file: Arc<File>,
    clock: File,
    written: Arc<AtomicU64>,
    synced: Arc<Mutex<u64>>,
}

/// What a request still has to wait for before it may answer.
pub(crate) struct Pending {
    seq: u64,
    file: Arc<File>,
    written: Arc<AtomicU64>,
    synced: Arc<Mutex<u64>>,
}

impl Pending {
    /// Syncs the log unless a neighbour's sync has covered it already.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut synced = self.synced.lock().expect("invariant: no holder of the sync lock panics");
        if *synced < self.seq {
            let covered = self.written.load(Ordering::Acquire);
            self.file.sync_data()?;
            *synced = covered;
        }
        Ok(())
    }
}

/// What a start finds on disk.
pub(crate) struct Opened {
    pub(crate) world: World,
    pub(crate) log: Log,
    /// The last simulated time that anyone can have seen; none in a new world.
    pub(crate) time: Option<i64>,
}

impl Log {
    /// Reads snapshot and log, writes both as one new snapshot, and starts an empty log.
    pub(crate) fn open(folder: &Path) -> io::Result<Opened> {
        make_folder(folder)?;
        let mut world = World::default();
        let (mut seq, mut time) = read_snapshot(folder, &mut world)?;
        let mut file = private_file(&folder.join("log"), false)?;
        replay(&mut file, &mut world, &mut seq, &mut time)?;
        write_snapshot(folder, &world, seq, time.unwrap_or(0))?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.sync_data()?;
        world.journal.begin(world.map.iter().filter_map(|(key, value)| {
            Some((key.strip_prefix("counter/kube/")?.to_owned(), value.as_u64()?))
        }));
        let clock = private_file(&folder.join("clock"), false)?;
        let shown = read_clock(&clock)?;
        let log = Self {
            folder: folder.to_owned(),
            file: Arc::new(file),
            clock,
            written: Arc::new(AtomicU64::new(seq)),
            synced: Arc::new(Mutex::new(seq)),
        };
        Ok(Opened { world, log, time: time.filter(|t| *t > 0).max(shown) })
    }

    /// Writes the world's changes as one record; the answer must wait for `Pending::wait`.
    pub(crate) fn commit(&mut self, world: &mut World, now: i64) -> io::Result<Pending> {
        self.clock.write_all_at(format!("{now:020}").as_bytes(), 0)?;
        let (set, gone) = world.take_batch();
        if !set.is_empty() || !gone.is_empty() {
            let line = line(&Record { seq: self.seq() + 1, time: now, set, gone });
            (&*self.file).write_all(line.as_bytes())?;
            self.written.fetch_add(1, Ordering::Release);
        }
        Ok(Pending {
            seq: self.seq(),
            file: Arc::clone(&self.file),
            written: Arc::clone(&self.written),
            synced: Arc::clone(&self.synced),
        })
    }

    fn seq(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Folds the log into the snapshot, as a clean stop does.
    pub(crate) fn compact(&mut self, world: &World, now: i64) -> io::Result<()> {
        write_snapshot(&self.folder, world, self.seq(), now)?;
        self.file.set_len(0)?;
        (&*self.file).seek(SeekFrom::Start(0))?;
        self.file.sync_data()
    }
}

fn line(record: &Record) -> String {
    let json = serde_json::to_string(record).expect("invariant: a record is plain JSON");
    format!("{:016x} {json}\n", fnv(json.as_bytes()))
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn parse_line(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?;
    let (sum, json) = text.split_once(' ')?;
    if u64::from_str_radix(sum, 16).ok()? != fnv(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn replay(file: &mut File, world: &mut World, seq: &mut u64, time: &mut Option<i64>) -> io::Result<()> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|b| *b == b'\n') else { return Ok(()) };
        let Some(record) = parse_line(&rest[..end]) else {
            if end + 1 == rest.len() {
                return Ok(());
            }
            let at = bytes.len() - rest.len();
            return Err(io::Error::other(format!("the sandbox's log is damaged at byte {at}")));
        };
        rest = &rest[end + 1..];
        if record.seq > *seq {
            *seq = record.seq;
            *time = (*time).max(Some(record.time));
            world.map.extend(record.set);
            for key in record.gone {
                world.map.remove(&key);
            }
        }
    }
    Ok(())
}

fn read_snapshot(folder: &Path, world: &mut World) -> io::Result<(u64, Option<i64>)> {
    let bytes = match fs::read(folder.join("snapshot.json")) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, None)),
        Err(error) => return Err(error),
    };
    let record: Record = serde_json::from_slice(&bytes)
        .map_err(|e| io::Error::other(format!("the sandbox's snapshot is damaged: {e}")))?;
    world.map.extend(record.set);
    Ok((record.seq, Some(record.time)))
}

fn write_snapshot(folder: &Path, world: &World, seq: u64, time: i64) -> io::Result<()> {
    let set = world.map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let record = Record { seq, time, set, gone: Vec::new() };
    let fresh = folder.join("snapshot.json.new");
    let mut file = private_file(&fresh, true)?;
    serde_json::to_writer(&mut file, &record)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join("snapshot.json"))?;
    File::open(folder)?.sync_all()
}

fn read_clock(mut file: &File) -> io::Result<Option<i64>> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

/// Makes a folder that only its owner may enter.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Opens a file that only its owner may read, emptied if asked.
pub(crate) fn private_file(path: &Path, empty: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(empty).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn commit(opened: &mut Opened, now: i64) {
        opened.log.commit(&mut opened.world, now).unwrap().wait().unwrap();
    }

    fn write_three(folder: &Path) {
        let mut opened = Log::open(folder).unwrap();
        opened.world.put("a", json!(1));
        commit(&mut opened, 10);
        opened.world.put("b", json!({"x": [1, 2]}));
        opened.world.put("a", json!(2));
        commit(&mut opened, 20);
        opened.world.remove("a");
        commit(&mut opened, 30);
        opened.world.put("never", json!("committed"));
        // Dropped without a stop: what a killed process leaves.
    }

    #[test]
    fn a_killed_process_loses_nothing_that_it_committed() {
        let folder = tempfile::tempdir().unwrap();
        write_three(folder.path());
        for _ in 0..2 {
            let opened = Log::open(folder.path()).unwrap();
            assert_eq!(opened.world.under("").count(), 1);
            assert_eq!(opened.world.get("b"), Some(&json!({"x": [1, 2]})));
            assert_eq!(opened.time, Some(30));
        }
    }

    /// Cuts the log at every byte: the world is always the one after some whole batch.
    #[test]
    fn a_torn_tail_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        write_three(folder.path());
        let whole = fs::read(folder.path().join("log")).unwrap();
        for cut in 0..whole.len() {
            let torn = tempfile::tempdir().unwrap();
            fs::write(torn.path().join("log"), &whole[..cut]).unwrap();
            let batches = whole[..cut].iter().filter(|b| **b == b'\n').count();
            let opened = Log::open(torn.path()).unwrap();
            let seen = (opened.world.get("a").cloned(), opened.world.get("b").is_some());
            let expected = [(None, false), (Some(json!(1)), false), (Some(json!(2)), true), (None, true)];
            assert_eq!(seen, expected[batches], "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_middle_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write_three(folder.path());
        let path = folder.path().join("log");
        let mut bytes = fs::read(&path).unwrap();
        bytes[30] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(Log::open(folder.path()).is_err());
    }

    #[test]
    fn rollback_takes_back_everything() {
        let mut world = World::default();
        world.put("kept", json!(1));
        world.take_batch();
        world.put("kept", json!(2));
        world.put("kept", json!(3));
        world.put("fresh", json!(1));
        world.remove("kept");
        world.rollback();
        assert_eq!(
            world.under("").map(|(k, v)| (k.to_owned(), v.clone())).collect::<Vec<_>>(),
            [("kept".to_owned(), json!(1))]
        );
    }
}
