//! The local backend from its border: what was acknowledged is there after whatever happened.

use super::disk::fault;
use super::file::record::{decode_record, encode_record};
use super::file::{Reader, Writer, from_bytes, to_bytes};
use super::recovery::{Image, recover};
use super::samples::{CANARY, record, story, value};
use super::{
    KeySource, Keys, LocalStore, Mode, OpenError, OpenErrorKind, OpenOptions, OpenReport, Owner, Patience,
    Record, State, Store,
};
use groma_types::Timestamp;
use proptest::prelude::*;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const KEY: KeySource = KeySource::Bytes([7; 32]);

fn options(root: &Path, mode: Mode) -> OpenOptions<'static> {
    OpenOptions {
        folder: root.join(".groma"),
        stack_id: "stack".into(),
        key: KEY,
        mode,
        owner: owner("ann"),
        patience: Patience::NONE,
    }
}

fn owner(user: &str) -> Owner {
    Owner {
        user: user.into(),
        host: "box".into(),
        pid: 17,
        since: Timestamp(1_700_000_000_000),
        command: "groma apply".into(),
    }
}

fn open(root: &Path) -> Result<(LocalStore, OpenReport), OpenError> {
    LocalStore::open(&options(root, Mode::Write))
}

/// Plays groups as far as they go; returns how many were acknowledged.
fn play(store: &mut LocalStore, groups: &[Vec<Record>]) -> usize {
    for (done, group) in groups.iter().enumerate() {
        group.iter().for_each(|r| store.append(r.clone()));
        if store.flush().is_err() {
            return done;
        }
    }
    groups.len()
}

/// A folder with the whole story in it, and the state that it comes to.
fn told() -> (tempfile::TempDir, State) {
    let root = tempfile::tempdir().unwrap();
    let (mut store, report) = open(root.path()).unwrap();
    assert!(report.is_new);
    assert_eq!(play(&mut store, &story()), story().len());
    let state = store.load();
    (root, state)
}

fn file(root: &Path, name: &str) -> PathBuf {
    root.join(".groma/state").join(name)
}

/// All states that the story passes through, a record at a time; lineage as given.
fn passages(lineage: &State) -> Vec<State> {
    let mut state = State { lineage: lineage.lineage.clone(), ..State::default() };
    let mut all = vec![state.clone()];
    for record in story().iter().flatten() {
        state.apply(record);
        all.push(state.clone());
    }
    all
}

/// How many records the first groups of the story hold.
fn records(groups: usize) -> usize {
    story().iter().take(groups).map(Vec::len).sum()
}

fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_flushed_is_there_again() {
    let (root, state) = told();
    let (store, report) = open(root.path()).unwrap();
    assert_eq!(store.load(), state);
    assert_eq!(report, OpenReport::default());
    assert_eq!(store.history().len(), 1);
    assert_eq!(super::verify::verify(&store.load()), Vec::<String>::new());
}

#[test]
fn operation_ids_are_never_given_twice() {
    let (root, _) = told();
    let (mut store, _) = open(root.path()).unwrap();
    assert_eq!(store.next_op().0, 5);
    store.compact().unwrap();
    drop(store);
    assert_eq!(open(root.path()).unwrap().0.next_op().0, 6);
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back_as_they_were(value in value()) {
        let mut keys = Keys::open(KEY).unwrap();
        let bytes = super::file::seal_value(&mut keys, "x", &value).unwrap();
        let (back, lost) = super::file::open_value(&keys, "x", &bytes).unwrap();
        prop_assert_eq!(back, value);
        prop_assert!(lost.is_empty());
    }

    #[test]
    fn records_come_back_as_they_were(record in record()) {
        let mut keys = Keys::open(KEY).unwrap();
        let bytes = to_bytes("it", &encode_record(&mut Writer::new(&mut keys), &record).unwrap()).unwrap();
        let mut reader = Reader::new(&keys);
        let back = decode_record(&mut reader, from_bytes("it", &bytes).unwrap()).unwrap();
        prop_assert_eq!(back, record);
        prop_assert!(reader.lost.is_empty());
    }
}

#[test]
fn a_crash_at_any_operation_of_the_disk_keeps_what_was_acknowledged() {
    let total = {
        let root = tempfile::tempdir().unwrap();
        let before = fault::operations();
        let mut store = open(root.path()).unwrap().0;
        play(&mut store, &story());
        store.compact().unwrap();
        fault::operations() - before
    };
    for stop in 0..total {
        let root = tempfile::tempdir().unwrap();
        fault::stop_after(Some(stop));
        let acknowledged = open(root.path()).map_or(0, |(mut store, _)| {
            let groups = play(&mut store, &story());
            drop(store.compact());
            groups
        });
        fault::stop_after(None);
        let (store, _) = open(root.path()).unwrap_or_else(|e| panic!("stopped after {stop}: {e}"));
        let serial = |s: &State| (s.serial, s.objects.clone(), s.open.clone(), s.current.clone());
        let got = serial(&store.load());
        let passed = passages(&State::default());
        let at = passed.iter().rposition(|s| serial(s) == got);
        assert!(at.is_some_and(|at| at >= records(acknowledged)), "stopped after {stop}");
        // The state goes on from there, and is read again.
        drop(store);
        let (mut store, report) = open(root.path()).unwrap();
        assert_eq!(report.torn, None);
        store.append(Record::Run { at: Timestamp(1), id: "again".into() });
        store.flush().unwrap();
        drop(store);
        assert_eq!(open(root.path()).unwrap().0.load().serial, got.0 + 1, "stopped after {stop}");
    }
}

/// The journal and head as they were after each group.
fn images() -> Vec<(Vec<u8>, Vec<u8>)> {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap().0;
    let mut images = Vec::new();
    for group in story() {
        play(&mut store, &[group]);
        images.push((
            fs::read(file(root.path(), "journal")).unwrap(),
            fs::read(file(root.path(), "head")).unwrap(),
        ));
    }
    images
}

fn put(journal: &[u8], head: &[u8]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(".groma/state")).unwrap();
    fs::write(file(root.path(), "journal"), journal).unwrap();
    fs::write(file(root.path(), "head"), head).unwrap();
    root
}

fn is_damage(image: Image<'_>) -> bool {
    recover(image, &mut Reader::new(&Keys::open(KEY).unwrap())).is_err()
}

#[test]
fn a_write_cut_at_any_byte_is_torn_and_the_rest_stands() {
    let images = images();
    for (group, pair) in images.windows(2).enumerate() {
        let ((before, head), (after, _)) = (&pair[0], &pair[1]);
        let passed = passages(&State::default());
        // Every byte of the frames' heads, then some of the payload.
        for cut in (before.len()..after.len())
            .filter(|cut| cut - before.len() < 40 || cut % 53 == 0 || after.len() - cut < 8)
        {
            let root = put(&after[..cut], head);
            let (store, report) = open(root.path()).unwrap();
            let objects = store.load().objects;
            let taken = usize::try_from(report.taken).unwrap();
            assert_eq!(objects, passed[records(group + 1) + taken].objects, "cut at {cut}");
            drop(store);
            let torn = report.torn.map_or(0, |t| {
                assert_eq!(fs::read(t.file.unwrap()).unwrap().len() as u64, t.bytes);
                t.bytes
            });
            let kept = fs::read(file(root.path(), "journal")).unwrap().len() as u64;
            assert_eq!(kept + torn, cut as u64, "cut at {cut}");
            assert_eq!(open(root.path()).unwrap().1, OpenReport::default());
        }
    }
}

#[test]
fn a_group_cut_at_any_byte_gives_whole_records() {
    let images = images();
    let keys = Keys::open(KEY).unwrap();
    let passed = passages(&State::default());
    for (group, pair) in images.windows(2).enumerate() {
        let ((before, head), (after, _)) = (&pair[0], &pair[1]);
        for cut in before.len()..=after.len() {
            let image = Image { journal: Some(&after[..cut]), head: Some(head), snapshot: None };
            let recovered = recover(image, &mut Reader::new(&keys)).unwrap().unwrap();
            let at = records(group + 1) + usize::try_from(recovered.taken).unwrap();
            assert_eq!(recovered.folded.state.objects, passed[at].objects, "cut at {cut}");
            assert_eq!(recovered.folded.state.open, passed[at].open, "cut at {cut}");
            assert!((before.len()..=cut).contains(&recovered.journal_end));
        }
    }
}

#[test]
fn a_journal_shorter_than_its_head_is_an_error_that_changes_nothing() {
    let images = images();
    let (journal, head) = images.last().unwrap();
    for cut in 0..journal.len() {
        let image = Image { journal: Some(&journal[..cut]), head: Some(head), snapshot: None };
        assert!(is_damage(image), "cut at {cut}");
    }
    for cut in (0..journal.len()).step_by(997) {
        let root = put(&journal[..cut], head);
        let before = tree(root.path());
        let error = open(root.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, OpenErrorKind::Damaged, "cut at {cut}");
        assert!(error.help.unwrap().contains("state repair"));
        let after: Vec<_> = tree(root.path()).into_iter().filter(|(p, _)| !p.ends_with("lock")).collect();
        assert_eq!(after, before);
    }
}

#[test]
fn a_flipped_bit_in_what_was_acknowledged_is_an_error() {
    let images = images();
    let (journal, head) = images.last().unwrap();
    for at in 0..journal.len() {
        let mut bad = journal.clone();
        bad[at] ^= 1 << (at % 8);
        let image = Image { journal: Some(&bad), head: Some(head), snapshot: None };
        assert!(is_damage(image), "bit at {at}");
    }
}

#[test]
fn a_torn_slot_of_the_head_falls_back_to_the_other() {
    let images = images();
    for pair in images.windows(2) {
        let ((_, old), (journal, new)) = (&pair[0], &pair[1]);
        let written = (0..old.len()).filter(|at| old[*at] != new[*at]).collect::<Vec<_>>();
        for cut in &written {
            let mut torn = new.clone();
            torn[*cut..].copy_from_slice(&old[*cut..]);
            let root = put(journal, &torn);
            let (_, report) = open(root.path()).unwrap();
            assert!(report.taken > 0 && report.torn.is_none());
            // The next open finds all acknowledged.
            assert_eq!(open(root.path()).unwrap().1, OpenReport::default());
        }
    }
    let (journal, head) = images.last().unwrap();
    for bad in [vec![], vec![0; head.len()]] {
        let error = open(put(journal, &bad).path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, OpenErrorKind::Damaged);
    }
}

#[test]
fn a_missing_file_is_an_error() {
    for missing in ["journal", "head", "snapshot"] {
        let (root, _) = told();
        let mut store = open(root.path()).unwrap().0;
        store.compact().unwrap();
        drop(store);
        fs::remove_file(file(root.path(), missing)).unwrap();
        let error = open(root.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, OpenErrorKind::Damaged, "{missing}");
    }
}

#[test]
fn a_flipped_bit_in_the_snapshot_is_an_error() {
    let (root, _) = told();
    let mut store = open(root.path()).unwrap().0;
    store.compact().unwrap();
    drop(store);
    let read = |name: &str| fs::read(file(root.path(), name)).unwrap();
    let (good, journal, head) = (read("snapshot"), read("journal"), read("head"));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(
            is_damage(Image { journal: Some(&journal), head: Some(&head), snapshot: Some(&bad) }),
            "bit at {at}"
        );
    }
}

#[test]
fn compaction_keeps_the_state_and_drops_unused_recipes() {
    let (root, _) = told();
    let mut store = open(root.path()).unwrap().0;
    let mut before = store.load();
    store.compact().unwrap();
    drop(store);
    let (mut store, report) = open(root.path()).unwrap();
    before.recipes.retain(|id, _| &*id.0 != "unused");
    assert_eq!(store.load(), before);
    assert_eq!(report, OpenReport::default());
    assert_eq!(store.history().len(), 1);
    play(&mut store, &[vec![Record::Run { at: Timestamp(2), id: "run2".into() }]]);
    drop(store);
    assert_eq!(open(root.path()).unwrap().0.load().serial, 2);
}

#[test]
fn a_run_without_changes_writes_nothing() {
    let root = tempfile::tempdir().unwrap();
    for mode in [Mode::Write, Mode::ReadOnly] {
        let mut store = LocalStore::open(&options(root.path(), mode)).unwrap().0;
        store.flush().unwrap();
        store.close().unwrap();
        assert!(tree(root.path()).is_empty() && !root.path().join(".groma").exists());
    }
    let (root, _) = told();
    let before = tree(root.path());
    for mode in [Mode::Write, Mode::ReadOnly] {
        let mut store = LocalStore::open(&options(root.path(), mode)).unwrap().0;
        store.flush().unwrap();
        store.close().unwrap();
        assert_eq!(tree(root.path()), before);
    }
}

#[test]
fn a_reader_changes_nothing_and_needs_no_lock() {
    let images = images();
    let (journal, _) = &images[3];
    let (_, head) = &images[2];
    let root = put(&journal[..journal.len() - 1], head);
    let before = tree(root.path());
    let (mut store, report) = LocalStore::open(&options(root.path(), Mode::ReadOnly)).unwrap();
    assert_eq!(report.torn.unwrap().file, None);
    assert_eq!(tree(root.path()), before);
    store.append(Record::Run { at: Timestamp(1), id: "x".into() });
    assert!(store.flush().unwrap_err().message.contains("reading only"));
    assert_eq!(tree(root.path()), before);
    let _writer = open(root.path()).unwrap();
    LocalStore::open(&options(root.path(), Mode::ReadOnly)).unwrap();
}

#[test]
fn a_second_writer_is_kept_out_and_told_by_whom() {
    let (root, _) = told();
    let (store, _) = open(root.path()).unwrap();
    let waited = Cell::new(Duration::ZERO);
    let pause = |d: Duration| waited.set(waited.get() + d);
    let mut second = options(root.path(), Mode::Write);
    second.patience = Patience { timeout: Duration::from_millis(1200), pause: &pause };
    let error = LocalStore::open(&second).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, OpenErrorKind::Held);
    for word in ["ann on box", "process 17", "groma apply", "2023-11-14T22:13:20Z"] {
        assert!(error.message.contains(word), "{error}");
    }
    assert_eq!(waited.get(), Duration::from_millis(1200));
    let holder = Cell::new(Some(store));
    let release = |_: Duration| drop(holder.take());
    second.patience = Patience { timeout: Duration::from_secs(5), pause: &release };
    LocalStore::open(&second).unwrap();
}

#[test]
fn a_dead_owner_is_seen() {
    let (root, _) = told();
    let words =
        r#"{"user":"bob","host":"far","pid":4,"since":"2023-11-14T22:13:20Z","command":"groma destroy"}"#;
    fs::write(file(root.path(), "lock"), words).unwrap();
    let (_, report) = open(root.path()).unwrap();
    assert!(report.lines()[0].contains("bob on far (process 4"), "{:?}", report.lines());
}

#[test]
fn two_first_runs_make_one_state() {
    let root = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (open(root.path()).unwrap().0, open(root.path()).unwrap().0);
    assert_eq!(play(&mut one, &story()[..1]), 1);
    two.append(Record::Run { at: Timestamp(1), id: "x".into() });
    assert!(two.flush().unwrap_err().message.contains("in use by ann"));
    drop(one);
    let mut three = open(root.path()).unwrap().0;
    assert_eq!(three.load().recipes.len(), 3);
    assert!(three.flush().is_ok() && two.flush().is_ok());
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let (root, state) = told();
    let mut store = open(root.path()).unwrap().0;
    fault::stop_after(Some(0));
    store.append(Record::Run { at: Timestamp(1), id: "x".into() });
    let error = store.flush().unwrap_err();
    fault::stop_after(None);
    assert!(error.message.contains("journal can't be written"), "{error}");
    let before = tree(root.path());
    store.append(Record::Run { at: Timestamp(1), id: "y".into() });
    assert_eq!(store.flush().unwrap_err(), error);
    assert_eq!(store.load().serial, state.serial);
    drop(store);
    let later: Vec<_> = tree(root.path()).into_iter().filter(|(p, _)| !p.ends_with("lock")).collect();
    assert_eq!(later, before.into_iter().filter(|(p, _)| !p.ends_with("lock")).collect::<Vec<_>>());
    assert_eq!(open(root.path()).unwrap().0.load().serial, state.serial);
}

#[test]
fn no_secret_is_in_any_file() {
    let (root, _) = told();
    let clear = |root: &Path| {
        let found =
            tree(root).into_iter().find(|(_, b)| b.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()));
        assert_eq!(found.map(|f| f.0), None);
    };
    clear(root.path());
    let mut store = open(root.path()).unwrap().0;
    store.compact().unwrap();
    drop(store);
    clear(root.path());
}

#[test]
fn a_lost_key_loses_the_sealed_values_alone() {
    let (root, state) = told();
    let mut other = options(root.path(), Mode::Write);
    other.key = KeySource::None;
    let (mut store, report) = LocalStore::open(&other).unwrap();
    let loaded = store.load();
    assert_eq!(loaded.objects.len(), state.objects.len());
    let object = loaded.objects.values().next().unwrap();
    assert!(object.attributes.get("secret").unwrap().is_null());
    assert!(object.attributes.get("secret").unwrap().marks().sensitive);
    assert_eq!(object.attributes.str_attr("name"), Some("o1"));
    let token = loaded.recipes.values().next().unwrap().config.get("token").unwrap();
    assert!(token.as_unknown().unwrap().residual.is_some());
    assert!(report.lines().iter().any(|l| l.contains("their key is not here")), "{:?}", report.lines());
    // What is sealed stays where it is until the key is back.
    store.compact().unwrap();
    drop(store);
    assert!(!file(root.path(), "snapshot").exists());
    assert_eq!(open(root.path()).unwrap().1, OpenReport::default());
}

#[test]
fn the_state_of_another_stack_is_refused() {
    let (root, _) = told();
    let mut other = options(root.path(), Mode::ReadOnly);
    other.stack_id = "another".into();
    let error = LocalStore::open(&other).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, OpenErrorKind::OtherStack);
}

#[cfg(unix)]
#[test]
fn files_are_private_and_links_out_are_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (root, _) = told();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root.path().join(".groma")), 0o700);
    assert_eq!(mode(&root.path().join(".groma/state")), 0o700);
    for name in ["journal", "head", "lock"] {
        assert_eq!(mode(&file(root.path(), name)), 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(root.path().join(".groma/.gitignore")).unwrap(), "*\n");
    let elsewhere = tempfile::tempdir().unwrap();
    let linked = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), linked.path().join(".groma")).unwrap();
    assert_eq!(open(linked.path()).map(|_| ()).unwrap_err().kind, OpenErrorKind::Link);
    fs::remove_file(file(root.path(), "head")).unwrap();
    symlink(elsewhere.path().join("head"), file(root.path(), "head")).unwrap();
    assert_eq!(open(root.path()).map(|_| ()).unwrap_err().kind, OpenErrorKind::Link);
}

#[test]
fn a_state_reserved_for_a_later_version_is_read_and_not_written() {
    let images = images();
    let (journal, head) = images.last().unwrap();
    for (field, at) in [("reader", 12), ("writer", 16)] {
        let mut newer = journal.clone();
        newer[at] = 2;
        let body = u32::from_le_bytes(newer[20..24].try_into().unwrap()) as usize;
        let crc = super::file::preface::checksum(&[&newer[..24], &newer[28..28 + body]]);
        newer[24..28].copy_from_slice(&crc.to_le_bytes());
        let root = put(&newer, head);
        assert_eq!(open(root.path()).map(|_| ()).unwrap_err().kind, OpenErrorKind::TooNew, "{field}");
        let read = LocalStore::open(&options(root.path(), Mode::ReadOnly));
        assert_eq!(read.is_ok(), field == "writer");
    }
}
