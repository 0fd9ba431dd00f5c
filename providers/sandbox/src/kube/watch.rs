//! Watches: a journal of recent changes in memory, and the streams that read it.
//!
//! A watch from a version that the journal no longer covers (or that another process made) ends with
//! 410 Expired, upon which clients list anew, as with a real API server.

use super::api::{Selector, Target, clean, status_body};
use super::kinds::Kind;
use crate::core::Sandbox;
use crate::http::Request;
use crate::store::World;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

const KEPT: usize = 4096;

#[derive(Debug, Clone)]
struct Event {
    uid: String,
    version: u64,
    key: String,
    old: Option<Value>,
    new: Option<Value>,
}

/// The changes that watches may still ask for.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    events: VecDeque<Event>,
    /// Per cluster the version up to which changes are forgotten.
    floors: HashMap<String, u64>,
}

impl Journal {
    pub(crate) fn begin(&mut self, versions: impl Iterator<Item = (String, u64)>) {
        self.floors.extend(versions);
    }

    fn push(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() > KEPT
            && let Some(old) = self.events.pop_front()
        {
            self.floors.insert(old.uid, old.version);
        }
    }
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// The newest version of anything in a cluster.
pub(crate) fn newest(world: &World, uid: &str) -> u64 {
    world.get(&format!("counter/kube/{uid}")).and_then(Value::as_u64).unwrap_or(0)
}

/// Notes the changes of the batch in hand, just before it is committed.
pub(crate) fn record(world: &mut World) {
    let mut events: Vec<Event> = world
        .changes("kube/")
        .map(|(key, old, new)| Event {
            uid: key.split('/').nth(1).unwrap_or_default().to_owned(),
            version: new.map_or(0, version_of),
            key: key.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
        })
        .collect();
    for event in &mut events {
        // A cluster that is gone takes its counter with it: nobody watches it any more.
        if event.new.is_none() && world.get(&super::secret_key(&event.uid)).is_some() {
            event.version = world.next(&format!("kube/{}", event.uid));
        }
    }
    events.sort_by_key(|event| event.version);
    for event in events {
        world.journal.push(event);
    }
}

/// An open watch.
pub(crate) struct Watch {
    uid: String,
    kind: Kind,
    prefix: String,
    selector: Selector,
    /// None: begin with the objects that are there.
    from: Option<u64>,
    bookmarks: bool,
    initial_end: bool,
    ends: Instant,
}

impl Watch {
    /// The watch that a request asks for, if it asks for one.
    pub(crate) fn of(uid: &str, target: &Target, request: &Request) -> Option<Self> {
        let params = request.params();
        let truth = |name: &str| params.get(name).is_some_and(|v| v == "true" || v == "1");
        if request.method != "GET" || !truth("watch") {
            return None;
        }
        let seconds = params.get("timeoutSeconds").and_then(|s| s.parse().ok()).unwrap_or(1800);
        let version = params.get("resourceVersion").and_then(|v| v.parse().ok()).filter(|v| *v > 0);
        let initial = truth("sendInitialEvents");
        let mut selector = Selector::of(&params);
        selector.name = target.name.clone();
        Some(Self {
            uid: uid.to_owned(),
            kind: target.kind,
            prefix: target.prefix(uid),
            selector,
            from: version.filter(|_| !initial),
            bookmarks: truth("allowWatchBookmarks"),
            initial_end: initial,
            ends: Instant::now() + Duration::from_secs(seconds),
        })
    }

    /// The lines that are new by now; none when the watch has ended.
    pub(crate) fn step(&mut self, sandbox: &Sandbox) -> Option<Vec<String>> {
        if Instant::now() >= self.ends {
            return None;
        }
        let lines = sandbox.run(|ctx| Ok::<_, ()>(self.lines(ctx.world)));
        lines.ok()?.ok()?
    }

    fn lines(&mut self, world: &World) -> Option<Vec<String>> {
        world.get(&super::secret_key(&self.uid))?;
        let Some(from) = self.from else { return Some(self.begin(world)) };
        let floor = world.journal.floors.get(&self.uid).copied().unwrap_or(0);
        if from < floor {
            self.ends = Instant::now();
            let text = format!("too old resource version: {from} ({floor})");
            return Some(vec![line("ERROR", &status_body(410, "Expired", &text, None))]);
        }
        let fresh = |e: &&Event| e.uid == self.uid && e.version > from && e.key.starts_with(&self.prefix);
        let lines = world.journal.events.iter().filter(fresh).filter_map(|event| self.line(event)).collect();
        self.from = Some(newest(world, &self.uid));
        Some(lines)
    }

    fn begin(&mut self, world: &World) -> Vec<String> {
        let newest = newest(world, &self.uid);
        self.from = Some(newest);
        let there = world.under(&self.prefix).filter(|(_, object)| self.selector.fits(object));
        let mut lines: Vec<String> = there.map(|(_, object)| line("ADDED", &clean(object))).collect();
        if self.initial_end && self.bookmarks {
            lines.push(line(
                "BOOKMARK",
                &json!({
                    "apiVersion": self.kind.api_version(),
                    "kind": self.kind.kind,
                    "metadata": {
                        "resourceVersion": newest.to_string(),
                        "annotations": {"k8s.io/initial-events-end": "true"},
                    },
                }),
            ));
        }
        lines
    }

    fn line(&self, event: &Event) -> Option<String> {
        let seen = |object: &Option<Value>| object.as_ref().is_some_and(|o| self.selector.fits(o));
        let (kind, object) = match (seen(&event.old), seen(&event.new)) {
            (false, true) => ("ADDED", event.new.clone()?),
            (true, true) => ("MODIFIED", event.new.clone()?),
            (true, false) => ("DELETED", event.old.clone()?),
            (false, false) => return None,
        };
        let mut object = clean(&object);
        object["metadata"]["resourceVersion"] = event.version.to_string().into();
        Some(line(kind, &object))
    }
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}
