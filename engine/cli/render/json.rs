//! The event stream of `-json`: Terraform's shapes, a line each, with additions under keys of our own.
//!
//! Additions: `type: "call"` for every API call, `seq` on all events, `groma` objects inside known shapes.

use super::{diagnostics, output, text};
use groma_engine::event::{Event, EventKind, EventSink, Summary};
use groma_engine::plan::{Change, ChangeAction, Plan, Reason};
use groma_engine::state::OutputValue;
use groma_provider::Clock;
use groma_types::{Cause, Causes, Diagnostic, InstanceAddr, InstanceKey, SourceMap, Timestamp};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Writes events as lines of JSON.
pub(crate) struct Stream {
    /// When an operation began, for Terraform's `elapsed_seconds`.
    began: Mutex<BTreeMap<InstanceAddr, (Timestamp, ChangeAction)>>,
    clock: Mutex<Arc<dyn Clock>>,
}

impl Stream {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Stream {
        Stream { began: Mutex::default(), clock: Mutex::new(clock) }
    }

    pub(crate) fn set_clock(&self, clock: Arc<dyn Clock>) {
        *self.clock.lock().expect("no holder of this lock panics") = clock;
    }

    fn now(&self) -> Timestamp {
        self.clock.lock().expect("no holder of this lock panics").now()
    }

    /// One line, with Terraform's envelope.
    pub(crate) fn write(&self, at: Timestamp, level: &str, message: &str, kind: &str, mut body: Json) {
        body["@level"] = level.into();
        body["@message"] = text::clean(message).into();
        body["@module"] = "groma.ui".into();
        body["@timestamp"] = stamp(at).into();
        body["type"] = kind.into();
        super::print(&format!("{body}\n"));
    }

    pub(crate) fn version(&self) {
        let version = env!("CARGO_PKG_VERSION");
        let body = json!({ "groma": version, "ui": "1.2" });
        self.write(self.now(), "info", &format!("groma {version}"), "version", body);
    }

    pub(crate) fn diagnostic(&self, diagnostic: &Diagnostic, sources: &SourceMap) {
        let json = diagnostics::to_json(diagnostic, sources);
        let (level, word) = match diagnostic.severity {
            groma_types::Severity::Error => ("error", "Error"),
            groma_types::Severity::Warning => ("warn", "Warning"),
            groma_types::Severity::Note => ("info", "Note"),
        };
        let message = format!("{word}: {}", diagnostic.summary);
        self.write(self.now(), level, &message, "diagnostic", json!({ "diagnostic": json }));
    }

    /// The plan: drift, changes, counts, outputs.
    pub(crate) fn plan(&self, plan: &Plan) {
        for drift in &plan.drift {
            let action = if drift.after.is_some() { "update" } else { "delete" };
            let body = json!({ "change": { "resource": resource(&drift.address), "action": action } });
            let message = format!("{}: Drift detected ({action})", drift.address);
            self.write(plan.at, "info", &message, "resource_drift", body);
        }
        for change in plan.changes.iter().filter(|c| is_told(c, plan)) {
            let message = format!("{}: Plan to {}", change.address, word(change, plan));
            self.write(
                plan.at,
                "info",
                &message,
                "planned_change",
                json!({ "change": planned(change, plan) }),
            );
        }
        let counts = plan.counts();
        let body = json!({ "changes": {
            "add": counts.add, "change": counts.change, "import": counts.import, "remove": counts.destroy,
            "operation": "plan", "groma": { "deferred": counts.deferred },
        }});
        self.write(plan.at, "info", &super::plan::counts_line(plan), "change_summary", body);
        if !plan.outputs.is_empty() {
            let one = |o: &groma_engine::plan::OutputChange| {
                let action = match (&o.before, &o.after) {
                    (None, _) => "create",
                    (_, None) => "delete",
                    (Some(_), Some(_)) => "update",
                };
                (o.name.to_string(), json!({ "sensitive": o.sensitive, "action": action }))
            };
            let outputs: serde_json::Map<String, Json> = plan.outputs.iter().map(one).collect();
            let message = format!("Outputs: {}", outputs.len());
            self.write(plan.at, "info", &message, "outputs", json!({ "outputs": outputs }));
        }
    }

    /// The end of an apply.
    pub(crate) fn summary(&self, summary: &Summary, destroy: bool, complete: bool) {
        let message = super::progress::closing(summary, destroy, complete, super::style::Style::PLAIN);
        let message = message.trim().lines().next().unwrap_or_default().to_string();
        let body = json!({ "changes": {
            "add": summary.added, "change": summary.changed, "import": summary.imported, "remove": summary.destroyed,
            "operation": if destroy { "destroy" } else { "apply" },
            "groma": {
                "failed": summary.failed, "skipped": summary.skipped, "held": summary.held,
                "suspended": summary.suspended, "calls": summary.calls, "mutating_calls": summary.mutating_calls,
            },
        }});
        self.write(self.now(), "info", &message, "change_summary", body);
    }

    pub(crate) fn outputs(&self, outputs: &BTreeMap<Arc<str>, OutputValue>) {
        if outputs.is_empty() {
            return;
        }
        let message = format!("Outputs: {}", outputs.len());
        let body = json!({ "outputs": output::for_events(outputs) });
        self.write(self.now(), "info", &message, "outputs", body);
    }

    fn hook(&self, event: &Event, address: &InstanceAddr, kind: &str, word: &str, mut extra: Json) {
        extra["resource"] = resource(address);
        let level = if kind == "apply_errored" { "error" } else { "info" };
        let body = json!({ "hook": extra, "seq": event.seq });
        self.write(event.at, level, &format!("{address}: {word}"), kind, body);
    }

    /// When the operation at an address began, and what it does.
    fn began(&self, address: &InstanceAddr, at: Timestamp) -> (u64, ChangeAction) {
        let began = self.began.lock().expect("no holder of this lock panics");
        let (since, action) = began.get(address).copied().unwrap_or((at, ChangeAction::NoOp));
        (at.since(since).as_secs(), action)
    }
}

impl EventSink for Stream {
    fn event(&self, event: Event) {
        match &event.kind {
            EventKind::OperationStarted { .. }
            | EventKind::OperationWaiting { .. }
            | EventKind::OperationDone { .. }
            | EventKind::OperationFailed { .. } => self.operation(&event),
            EventKind::OperationSkipped { address, because } => {
                let word = format!("Skipped because of {because}");
                self.hook(&event, address, "apply_skipped", &word, json!({ "because": because }));
            }
            EventKind::OperationHeld { address, action: a, why } => {
                let extra = json!({ "action": action(*a), "why": why });
                self.hook(&event, address, "apply_held", &format!("Waits for approval: {why}"), extra);
            }
            EventKind::OperationSuspended { address } => {
                self.hook(&event, address, "apply_suspended", "Left waiting", json!({}));
            }
            EventKind::RefreshStarted { address } => {
                self.hook(&event, address, "refresh_start", "Refreshing state...", json!({}));
            }
            EventKind::RefreshDone { address } => {
                self.hook(&event, address, "refresh_complete", "Refresh complete", json!({}));
            }
            EventKind::DataStarted { address } => {
                self.hook(&event, address, "apply_start", "Refreshing...", json!({ "action": "read" }));
            }
            EventKind::DataDone { address } => {
                self.hook(&event, address, "apply_complete", "Refresh complete", json!({ "action": "read" }));
            }
            EventKind::ProvisionStarted { address, kind } => {
                let word = format!("Provisioning with '{kind}'...");
                self.hook(&event, address, "provision_start", &word, json!({ "provisioner": &**kind }));
            }
            EventKind::ProvisionOutput { address, kind, line } => {
                let line = text::clean(line);
                let extra = json!({ "provisioner": &**kind, "output": line });
                self.hook(&event, address, "provision_progress", &format!("({kind}): {line}"), extra);
            }
            EventKind::ProvisionDone { address, kind } => {
                let word = format!("({kind}) Provisioning complete");
                self.hook(&event, address, "provision_complete", &word, json!({ "provisioner": &**kind }));
            }
            EventKind::ProvisionFailed { address, kind } => {
                let word = format!("({kind}) Provisioning errored");
                self.hook(&event, address, "provision_errored", &word, json!({ "provisioner": &**kind }));
            }
            EventKind::ProviderConfigured { address, world } => {
                let body = json!({ "seq": event.seq, "provider": address.to_string(), "world": world });
                let message = format!("{address}: configured ({world})");
                self.write(event.at, "info", &message, "provider_configured", body);
            }
            EventKind::Call(call) => self.call(&event, call),
            EventKind::Progress { done, total } => {
                let body = json!({ "seq": event.seq, "done": done, "total": total });
                self.write(event.at, "info", &format!("{done} of {total}"), "progress", body);
            }
            // The command writes these itself: it has the sources, and the outputs.
            EventKind::Diagnostic(_) | EventKind::Finished(_) => {}
        }
    }
}

impl Stream {
    fn operation(&self, event: &Event) {
        match &event.kind {
            EventKind::OperationStarted { address, action: a, .. } => {
                let mut began = self.began.lock().expect("no holder of this lock panics");
                began.insert(address.clone(), (event.at, *a));
                drop(began);
                let word = format!("{}...", super::progress::doing(*a));
                self.hook(event, address, "apply_start", &word, json!({ "action": action(*a) }));
            }
            EventKind::OperationWaiting { address, what } => {
                let (seconds, a) = self.began(address, event.at);
                let extra = json!({ "action": action(a), "elapsed_seconds": seconds, "waits_for": what });
                let doing = super::progress::doing(a).to_lowercase();
                let word = format!("Still {doing}... [{seconds}s elapsed]");
                self.hook(event, address, "apply_progress", &word, extra);
            }
            EventKind::OperationDone { address, action: a, millis } => {
                let extra = json!({ "action": action(*a), "elapsed_seconds": millis / 1000 });
                let word = format!("{} after {}s", super::progress::done(*a), millis / 1000);
                self.hook(event, address, "apply_complete", &word, extra);
            }
            EventKind::OperationFailed { address, action: a, error, rerun_is_safe } => {
                let (seconds, _) = self.began(address, event.at);
                let extra = json!({
                    "action": action(*a), "elapsed_seconds": seconds,
                    "error": text::clean(error), "rerun_is_safe": rerun_is_safe,
                });
                let word = format!("{} errored after {seconds}s", super::progress::noun(*a));
                self.hook(event, address, "apply_errored", &word, extra);
            }
            _ => {}
        }
    }

    fn call(&self, event: &Event, call: &groma_provider::CallRecord) {
        let body = json!({
            "seq": event.seq,
            "service": &*call.service,
            "operation": &*call.operation,
            "mutating": call.mutating,
            "status": call.status,
            "ms": call.millis,
            "request_id": call.request_id.as_deref(),
            "attempt": call.attempt,
        });
        let message = format!("{} {}: {}", call.service, call.operation, call.status);
        self.write(event.at, "debug", &message, "call", body);
    }
}

/// RFC 3339 in UTC, with milliseconds.
pub(crate) fn stamp(at: Timestamp) -> String {
    let (days, millis) = (at.0.div_euclid(86_400_000), at.0.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (h, m, s) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", millis % 1000)
}

/// RFC 3339 in UTC, as functions of the language have it.
pub(crate) fn seconds(at: Timestamp) -> String {
    let text = stamp(at);
    format!("{}Z", text.split('.').next().unwrap_or(&text))
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Terraform's word for an action.
pub(crate) fn action(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::NoOp => "noop",
        ChangeAction::Create => "create",
        ChangeAction::Update => "update",
        ChangeAction::Replace | ChangeAction::ReplaceCreateFirst => "replace",
        ChangeAction::Delete | ChangeAction::Drop => "delete",
        ChangeAction::Forget => "remove",
    }
}

pub(crate) fn reason(change: &Change) -> Option<&'static str> {
    match change.reason {
        Reason::Configuration | Reason::Destroy => None,
        Reason::CannotUpdate => Some("cannot_update"),
        Reason::Tainted(_) => Some("tainted"),
        Reason::Requested => Some("requested"),
        Reason::TriggeredBy(_) => Some("replace_triggered_by"),
        Reason::NotInConfiguration => Some("delete_because_no_resource_config"),
        Reason::AttachedTo(_) => Some("attached_to"),
        Reason::Host(_) => Some("host"),
        Reason::Deposed => Some("deposed"),
        Reason::OtherWorld { .. } => Some("other_world"),
        Reason::Gone => Some("gone"),
        Reason::Resume => Some("resume"),
    }
}

/// What must be known first, a name each.
pub(crate) fn waits(causes: &Causes) -> Vec<String> {
    let name = |cause: &Cause| match cause {
        Cause::Node(address) => address.to_string(),
        Cause::Function(name) => format!("{name}()"),
    };
    causes.iter().map(name).collect()
}

/// What changes, and what only moves.
fn is_told(change: &Change, plan: &Plan) -> bool {
    change.action != ChangeAction::NoOp || change.import.is_some() || plan.moved.contains_key(&change.address)
}

fn word(change: &Change, plan: &Plan) -> &'static str {
    match change.action {
        ChangeAction::NoOp if change.import.is_some() => "import",
        ChangeAction::NoOp if plan.moved.contains_key(&change.address) => "move",
        other => action(other),
    }
}

/// The id of an import; Terraform says `unknown` of one that is not known.
pub(crate) fn importing(import: &groma_engine::plan::Import) -> Json {
    match &import.id {
        Some(id) => json!({ "id": &**id }),
        None => json!({ "unknown": true }),
    }
}

/// A change in the event's shape; what it waits for under our own key.
fn planned(change: &Change, plan: &Plan) -> Json {
    let mut json = json!({ "resource": resource(&change.address), "action": word(change, plan) });
    if let Some(import) = &change.import {
        json["importing"] = importing(import);
    }
    if let Some(from) = plan.moved.get(&change.address) {
        json["previous_resource"] = resource(from);
    }
    if let Some(reason) = reason(change) {
        json["reason"] = reason.into();
    }
    json["groma"] = json!({
        "deferred": change.is_deferred(),
        "waits_for": waits(&change.waits_for),
        "drop": change.action == ChangeAction::Drop,
        "deposed": change.deposed.as_deref(),
    });
    json
}

/// Terraform's description of an instance.
pub(crate) fn resource(address: &InstanceAddr) -> Json {
    let resource = &address.resource;
    let local = match resource.module.is_root() {
        true => address.to_string(),
        false => {
            let full = address.to_string();
            full.strip_prefix(&format!("{}.", resource.module)).unwrap_or(&full).to_string()
        }
    };
    let kind: &str = &resource.kind;
    json!({
        "addr": address.to_string(),
        "module": resource.module.to_string(),
        "resource": local,
        "implied_provider": kind.split('_').next().unwrap_or(kind),
        "resource_type": kind,
        "resource_name": &*resource.name,
        "resource_key": match &address.key {
            None => Json::Null,
            Some(InstanceKey::Int(n)) => (*n).into(),
            Some(InstanceKey::Str(s)) => s.to_string().into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::stamp;
    use groma_types::Timestamp;

    #[test]
    fn a_stamp_is_the_calendars() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_478_400_000, "2026-11-24T00:00:00.000Z"),
        ] {
            assert_eq!(stamp(Timestamp(millis)), text);
        }
    }
}
