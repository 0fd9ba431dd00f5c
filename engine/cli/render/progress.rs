//! What happens during a run, as plain lines; and the report at its end.

use super::style::{Paint, Style};
use super::text::{self, count, elapsed};
use groma_engine::event::{Event, EventKind, EventSink, Summary};
use groma_engine::plan::ChangeAction;
use groma_types::{InstanceAddr, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

/// A waiting operation is shown again after this much of the run's time.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Prints a line for each event that a person wants to see.
pub(crate) struct Lines {
    inner: Mutex<Inner>,
    style: Style,
}

#[derive(Default)]
struct Inner {
    running: BTreeMap<(InstanceAddr, bool), Running>,
    report: Report,
    calls: CallCounts,
}

#[derive(Clone)]
struct Running {
    since: Timestamp,
    said: Timestamp,
    what: String,
}

/// What the end of a run tells: failures, what they kept from starting, what waits for approval.
#[derive(Clone, Default)]
pub(crate) struct Report {
    pub(crate) failed: Vec<Failure>,
    pub(crate) skipped: Vec<(String, String)>,
    pub(crate) held: Vec<(String, ChangeAction, String)>,
    pub(crate) suspended: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) address: String,
    pub(crate) action: ChangeAction,
    pub(crate) error: String,
    pub(crate) rerun_is_safe: bool,
}

/// Calls by service: all, and those that can change something.
type CallCounts = BTreeMap<String, (usize, usize)>;

impl Lines {
    pub(crate) fn new(style: Style) -> Lines {
        Lines { inner: Mutex::default(), style }
    }

    pub(crate) fn report(&self) -> Report {
        self.lock().report.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }
}

impl EventSink for Lines {
    fn event(&self, event: Event) {
        let line = self.lock().line(&event);
        if let Some(line) = line {
            let line = match &event.kind {
                EventKind::OperationFailed { .. } => self.style.paint(Paint::Red, &line),
                EventKind::OperationHeld { .. } => self.style.paint(Paint::Yellow, &line),
                _ => line,
            };
            super::print(&format!("{line}\n"));
        }
    }
}

impl Inner {
    fn line(&mut self, event: &Event) -> Option<String> {
        self.report.note(&event.kind);
        match &event.kind {
            EventKind::OperationStarted { address, action, deposed } => {
                let running = Running { since: event.at, said: event.at, what: String::new() };
                self.running.insert((address.clone(), deletes_now(*action)), running);
                let suffix = if *deposed { " (deposed)" } else { "" };
                Some(format!("{address}{suffix}: {}…", doing(*action)))
            }
            EventKind::OperationWaiting { address, what } => self.waiting(address, what, event.at),
            EventKind::OperationDone { address, action, millis } => {
                self.running.remove(&(address.clone(), deletes_now(*action)));
                Some(format!(
                    "{address}: {} after {}",
                    done(*action),
                    elapsed(Duration::from_millis(*millis))
                ))
            }
            EventKind::OperationFailed { address, action, error, .. } => {
                self.running.remove(&(address.clone(), deletes_now(*action)));
                Some(format!("{address}: {} failed: {}", noun(*action), text::one_line(error)))
            }
            EventKind::OperationSkipped { address, because } => {
                Some(format!("{address}: skipped because of {}", text::one_line(because)))
            }
            EventKind::OperationHeld { address, action, why } => {
                Some(format!("{address}: {} waits for approval: {}", noun(*action), text::one_line(why)))
            }
            EventKind::OperationSuspended { address } => {
                Some(format!("{address}: left waiting; the next run goes on with it"))
            }
            EventKind::ProviderConfigured { address, world } if !world.is_empty() => {
                Some(format!("{address}: configured ({})", text::one_line(world)))
            }
            EventKind::ProvisionStarted { address, kind } => {
                Some(format!("{address}: Provisioning with '{kind}'…"))
            }
            EventKind::ProvisionOutput { address, kind, line } => {
                Some(format!("{address} ({kind}): {}", text::clean(line)))
            }
            EventKind::ProvisionFailed { address, kind } => {
                Some(format!("{address} ({kind}): Provisioning failed"))
            }
            EventKind::Call(call) => {
                let counts = self.calls.entry(call.service.to_string()).or_default();
                counts.0 += 1;
                counts.1 += usize::from(call.mutating);
                None
            }
            EventKind::Diagnostic(_)
            | EventKind::ProviderConfigured { .. }
            | EventKind::ProvisionDone { .. }
            | EventKind::RefreshStarted { .. }
            | EventKind::RefreshDone { .. }
            | EventKind::DataStarted { .. }
            | EventKind::DataDone { .. }
            | EventKind::Progress { .. }
            | EventKind::Finished(_) => None,
        }
    }

    fn waiting(&mut self, address: &InstanceAddr, what: &str, at: Timestamp) -> Option<String> {
        let place = self.running.iter_mut().rev().find(|((a, _), _)| a == address).map(|(_, r)| r);
        let running = match place {
            Some(running) => running,
            None => {
                let new = Running { since: at, said: at, what: String::new() };
                self.running.entry((address.clone(), false)).or_insert(new)
            }
        };
        if running.what == what && at.since(running.said) < REPEAT_AFTER {
            return None;
        }
        running.what = what.to_string();
        running.said = at;
        let passed = elapsed(at.since(running.since));
        Some(format!("{address}: … still waiting: {} [{passed}]", text::one_line(what)))
    }
}

fn deletes_now(action: ChangeAction) -> bool {
    matches!(action, ChangeAction::Delete | ChangeAction::Drop)
}

pub(crate) fn doing(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::NoOp => "Checking",
        ChangeAction::Create => "Creating",
        ChangeAction::Update => "Modifying",
        ChangeAction::Replace | ChangeAction::ReplaceCreateFirst => "Replacing",
        ChangeAction::Delete => "Destroying",
        ChangeAction::Drop => "Dropping",
        ChangeAction::Forget => "Forgetting",
    }
}

pub(crate) fn done(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::NoOp => "Checks complete",
        ChangeAction::Create => "Creation complete",
        ChangeAction::Update => "Modifications complete",
        ChangeAction::Replace | ChangeAction::ReplaceCreateFirst => "Replacement complete",
        ChangeAction::Delete => "Destruction complete",
        ChangeAction::Drop => "Gone with its host",
        ChangeAction::Forget => "No longer tracked",
    }
}

pub(crate) fn noun(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::NoOp => "Check",
        ChangeAction::Create => "Creation",
        ChangeAction::Update => "Modification",
        ChangeAction::Replace | ChangeAction::ReplaceCreateFirst => "Replacement",
        ChangeAction::Delete => "Destruction",
        ChangeAction::Drop => "Drop",
        ChangeAction::Forget => "Forgetting",
    }
}

impl Report {
    pub(crate) fn note(&mut self, kind: &EventKind) {
        match kind {
            EventKind::OperationFailed { address, action, error, rerun_is_safe } => {
                self.failed.push(Failure {
                    address: address.to_string(),
                    action: *action,
                    error: error.clone(),
                    rerun_is_safe: *rerun_is_safe,
                });
            }
            EventKind::OperationSkipped { address, because } => {
                self.skipped.push((address.to_string(), because.clone()));
            }
            EventKind::OperationHeld { address, action, why } => {
                self.held.push((address.to_string(), *action, why.clone()));
            }
            EventKind::OperationSuspended { address } => self.suspended.push(address.to_string()),
            _ => {}
        }
    }

    /// What went wrong, what it kept from starting, what to do. Empty after a good run.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut out = String::new();
        if !self.failed.is_empty() {
            let head = format!("\n{} failed:\n", count(self.failed.len(), "operation"));
            out.push_str(&style.paint(Paint::Red, &head));
        }
        for failure in &self.failed {
            let _ = writeln!(out, "  {} of {}", noun(failure.action), failure.address);
            let _ = writeln!(out, "      {}", text::one_line(&failure.error));
            let advice = match failure.rerun_is_safe {
                true => "Nothing is left half-made unseen: running the same command again is safe.",
                false => "See what the message asks for before the next run.",
            };
            let _ = writeln!(out, "      {advice}");
        }
        if !self.skipped.is_empty() {
            let _ = writeln!(out, "\nSkipped:");
        }
        for (address, because) in &self.skipped {
            let _ = writeln!(out, "  {address}, because of {}", text::one_line(because));
        }
        if !self.held.is_empty() {
            let _ = writeln!(out, "\nNot approved with the plan, so not done:");
        }
        for (address, action, why) in &self.held {
            let _ = writeln!(out, "  {} of {address}: {}", noun(*action), text::one_line(why));
        }
        if !self.suspended.is_empty() {
            let _ = writeln!(out, "\nLeft waiting, the next run goes on with them:");
            for address in &self.suspended {
                let _ = writeln!(out, "  {address}");
            }
        }
        out
    }
}

/// `Apply complete! …` or how far it came.
pub(crate) fn closing(summary: &Summary, destroy: bool, complete: bool, style: Style) -> String {
    let imported = match summary.imported {
        0 => String::new(),
        n => format!("{n} imported, "),
    };
    let text = match (destroy, complete) {
        (true, true) => format!("Destroy complete! Resources: {} destroyed.", summary.destroyed),
        (true, false) => format!("Destroy incomplete. Resources: {} destroyed so far.", summary.destroyed),
        (false, complete) => format!(
            "{} Resources: {imported}{} added, {} changed, {} destroyed.",
            if complete { "Apply complete!" } else { "Apply incomplete." },
            summary.added,
            summary.changed,
            summary.destroyed
        ),
    };
    let mut out = format!("\n{}\n", style.paint(if complete { Paint::Green } else { Paint::Red }, &text));
    if !summary.calls.is_empty() {
        let by = |(service, n): (&String, &usize)| {
            let changing = summary.mutating_calls.get(service).copied().unwrap_or(0);
            format!("{service} {n} ({changing} changing)")
        };
        let calls: Vec<String> = summary.calls.iter().map(by).collect();
        let _ = writeln!(out, "{}", style.paint(Paint::Dim, &format!("# calls: {}", calls.join(", "))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{ChangeAction, EventKind, Inner};
    use groma_engine::event::Event;
    use groma_types::{InstanceAddr, Timestamp};

    fn check(events: Vec<(i64, EventKind)>, expected: &[&str]) {
        let mut inner = Inner::default();
        let lines: Vec<String> = events
            .into_iter()
            .enumerate()
            .filter_map(|(i, (secs, kind))| {
                inner.line(&Event { seq: i as u64 + 1, at: Timestamp::from_secs(secs), kind })
            })
            .collect();
        assert_eq!(lines, expected);
    }

    fn address() -> InstanceAddr {
        "aws_eks_cluster.main".parse().expect("an address")
    }

    #[test]
    fn a_wait_is_told_when_it_changes_and_now_and_then() {
        let waiting = |what: &str| EventKind::OperationWaiting { address: address(), what: what.into() };
        let action = ChangeAction::Create;
        check(
            vec![
                (0, EventKind::OperationStarted { address: address(), action, deposed: false }),
                (1, waiting("cluster is CREATING")),
                (5, waiting("cluster is CREATING")),
                (32, waiting("cluster is CREATING")),
                (33, EventKind::OperationDone { address: address(), action, millis: 33_000 }),
            ],
            &[
                "aws_eks_cluster.main: Creating…",
                "aws_eks_cluster.main: … still waiting: cluster is CREATING [1s]",
                "aws_eks_cluster.main: … still waiting: cluster is CREATING [32s]",
                "aws_eks_cluster.main: Creation complete after 33s",
            ],
        );
    }
}
