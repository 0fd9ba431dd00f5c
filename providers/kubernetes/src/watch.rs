//! Watching one object, so that a wait ends when the object changes and not when it is looked at next.
//!
//! A watch only wakes: what counts is what a read finds then. So whatever goes wrong with it (no right to watch, a
//! stream that ends, a version that is too old) costs time alone, for the wait goes on looking at intervals.

use crate::client::{Client, Target, text_at};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::params::WatchParams;
use serde_json::Value as Json;

/// What a wait sees of its object between two looks.
pub(crate) struct Sight<'a> {
    client: &'a Client,
    target: &'a Target,
    stream: Option<Stream>,
    /// The API does not let us watch.
    is_blind: bool,
}

impl<'a> Sight<'a> {
    pub(crate) fn of(client: &'a Client, target: &'a Target) -> Sight<'a> {
        Sight { client, target, stream: None, is_blind: false }
    }

    /// Returns when the object is no longer as in this reading; if it can't be watched, never.
    pub(crate) async fn changes(&mut self, live: &Json) {
        if self.stream.is_none() && !self.is_blind {
            self.stream = open(self.client, self.target, live).await;
            self.is_blind = self.stream.is_none();
        }
        if let Some(stream) = &mut self.stream {
            while let Some(event) = stream.next().await {
                if text_at(&event, "/type") == "ERROR" {
                    break;
                }
                if is_news(&event["object"], live) {
                    return;
                }
            }
            // It has ended; the next wait opens another.
            self.stream = None;
        }
        std::future::pending::<()>().await;
    }
}

async fn open(client: &Client, target: &Target, live: &Json) -> Option<Stream> {
    let params = WatchParams::default().fields(&format!("metadata.name={}", target.name));
    let version = text_at(live, "/metadata/resourceVersion");
    let request = target.requests().watch(&params, version).ok()?;
    let body = client.stream(request, &format!("WATCH {}", target.resource.label())).await.ok()?;
    Some(Stream { body, buffer: Vec::new() })
}

/// Whether an event tells of a version that is newer than a reading.
fn is_news(object: &Json, live: &Json) -> bool {
    let version = |o: &Json| text_at(o, "/metadata/resourceVersion").parse::<u64>().ok();
    match (version(object), version(live)) {
        (Some(event), Some(read)) => event > read,
        _ => object["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"],
    }
}

/// Events, one a line.
struct Stream {
    body: Body,
    buffer: Vec<u8>,
}

impl Stream {
    /// The next event; `None` at the end. May be dropped and called again: nothing is lost.
    async fn next(&mut self) -> Option<Json> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}
