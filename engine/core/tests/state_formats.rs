//! States that earlier versions wrote are read, and gone on with.
//!
//! `fixtures/state-N` was written by the first version with format N: a snapshot, a journal that goes on from it, the
//! head, and `state.json`, what it holds as `state pull` shows it. Fixtures are never written anew.

use groma_engine::state::export::{Secrets, pull};
use groma_engine::state::{
    KeySource, LocalStore, Mode, OpenOptions, OpenReport, Owner, Patience, Record, Store, verify,
};
use groma_types::Timestamp;
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};

/// Formats of which there is a fixture: all that ever were.
const FORMATS: [u32; 1] = [1];

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/state-{format}"))
}

fn open(folder: &Path, mode: Mode) -> (LocalStore, OpenReport) {
    let owner = Owner {
        user: "ann".into(),
        host: "box".into(),
        pid: 1,
        since: Timestamp(0),
        command: "groma plan".into(),
    };
    let options = OpenOptions {
        folder: folder.to_path_buf(),
        stack_id: "stack".into(),
        key: KeySource::Bytes([7; 32]),
        mode,
        owner,
        patience: Patience::NONE,
    };
    LocalStore::open(&options).expect("the state of an earlier version opens")
}

/// The document without the versions of the program that replays the records.
fn without_versions(mut document: Json) -> Json {
    let drop_version = |json: &mut Json| json.as_object_mut().map(|o| o.remove("groma_version"));
    drop_version(&mut document);
    document["objects"].as_array_mut().into_iter().flatten().for_each(|o| {
        drop_version(o);
    });
    document
}

#[test]
fn each_format_holds_what_it_held() {
    for format in FORMATS {
        let (store, report) = open(&fixture(format), Mode::ReadOnly);
        assert_eq!(report, OpenReport::default(), "format {format}");
        assert_eq!(verify::verify(store.state()), Vec::<String>::new());
        let held = fs::read(fixture(format).join("state.json")).unwrap();
        let held: Json = serde_json::from_slice(&held).unwrap();
        let document = pull(store.state(), Secrets::Shown);
        assert_eq!(without_versions(document), without_versions(held), "format {format}");
    }
}

#[test]
fn each_format_is_gone_on_with() {
    for format in FORMATS {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        for name in ["snapshot", "journal", "head"] {
            let from = fixture(format).join("state").join(name);
            fs::write(folder.path().join("state").join(name), fs::read(from).unwrap()).unwrap();
        }
        let (mut store, _) = open(folder.path(), Mode::Write);
        store.append(Record::Run { at: Timestamp(1), id: "next".into() });
        store.flush().unwrap();
        store.compact().unwrap();
        let state = store.load();
        drop(store);
        assert_eq!(open(folder.path(), Mode::ReadOnly).0.load(), state, "format {format}");
    }
}
