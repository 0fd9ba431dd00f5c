//! A plan for people: it reads like a diff and shows the changes only. What deletes comes last, in full.

use super::style::{Paint, Style};
use super::text::{self, count};
use super::value::{self, Shown};
use groma_engine::plan::{Change, ChangeAction, Drift, OutputChange, Plan, Reason};
use groma_engine::state::OnDestroy;
use groma_types::{InstanceAddr, Mode};
use std::fmt::Write;

/// Words around the plan that only the caller knows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Around {
    /// Set for a saved plan or before a question: no hint about what comes next.
    pub(crate) quiet: bool,
}

/// The whole plan, with its last line that counts.
pub(crate) fn render(plan: &Plan, style: Style, around: Around) -> String {
    let mut out = String::new();
    drift(&mut out, plan, style);
    doubts(&mut out, plan, style);
    if plan.is_empty() {
        out.push_str(&nothing(plan, style));
        return out;
    }
    let (last, first): (Vec<&Change>, Vec<&Change>) = plan
        .changes
        .iter()
        .map(|c| &**c)
        .filter(|c| c.action != ChangeAction::NoOp || c.import.is_some())
        .partition(|c| is_grave(c.action));
    if !first.is_empty() || !last.is_empty() || !plan.moved.is_empty() {
        out.push_str("groma will do this:\n\n");
    }
    moves(&mut out, plan, style);
    for change in in_order(first) {
        one_change(&mut out, plan, change, style);
    }
    expansions(&mut out, plan, style);
    reads(&mut out, plan, style);
    for change in in_order(last) {
        one_change(&mut out, plan, change, style);
    }
    warnings(&mut out, plan, style);
    out.push_str(&summary_line(plan, style));
    outputs(&mut out, &plan.outputs, style);
    if !around.quiet && plan.counts().deferred > 0 {
        out.push_str(
            "\nDeferred changes are planned in full during the apply, as soon as what they wait for is known;\n\
             -approve-deferred says how far they may go (default: create and update in place).\n",
        );
    }
    out
}

fn is_grave(action: ChangeAction) -> bool {
    action.deletes() || action == ChangeAction::Forget
}

/// Certain ones first, then deferred ones; each by address.
fn in_order(mut changes: Vec<&Change>) -> Vec<&Change> {
    changes.sort_by_key(|c| {
        (c.action == ChangeAction::Delete, c.is_deferred(), c.address.to_string(), c.deposed.clone())
    });
    changes
}

fn nothing(plan: &Plan, style: Style) -> String {
    let text = match plan.destroy {
        true => "No changes. No objects need to be destroyed.\n",
        false => "No changes. The infrastructure matches the spec.\n",
    };
    style.paint(Paint::Bold, text.trim_end()) + "\n"
}

/// Objects that only get another address.
fn moves(out: &mut String, plan: &Plan, style: Style) {
    let changes =
        |to: &InstanceAddr| plan.changes.iter().any(|c| c.address == *to && c.action != ChangeAction::NoOp);
    for (to, from) in plan.moved.iter().filter(|(to, _)| !changes(to)) {
        let line = format!("# {from} has moved to {to}");
        let _ = writeln!(out, "  {}\n", style.paint(Paint::Bold, &line));
    }
}

fn one_change(out: &mut String, plan: &Plan, change: &Change, style: Style) {
    let address = change.address.to_string();
    let (symbol, paint) = symbol(change.action);
    let moved = plan.moved.get(&change.address).map(|from| format!("(moved from {from})"));
    for line in headline(change).into_iter().chain(moved) {
        let _ = writeln!(out, "  {}", style.paint(Paint::Bold, &format!("# {line}")));
    }
    let name = match &change.deposed {
        Some(key) => format!("{address} (deposed {key})"),
        None => address.clone(),
    };
    let _ = writeln!(out, "{:>3} {name}", style.paint(paint, symbol));
    let after = (change.action.creates() || change.action == ChangeAction::Update).then_some(&change.planned);
    let after = after.and_then(Option::as_ref);
    let before = (change.action != ChangeAction::Create).then_some(&change.prior).and_then(Option::as_ref);
    if change.action != ChangeAction::Forget && (before.is_some() || after.is_some()) {
        let shown =
            Shown { style, hidden: &change.sensitive_paths, forcing: &change.replace_paths, own: &address };
        let lines = match (change.action, before) {
            (ChangeAction::NoOp, Some(imported)) => value::whole(imported, &shown, 6),
            _ => value::diff(before, after, &shown, 6),
        };
        if !lines.is_empty() {
            let _ = writeln!(out, "{lines}");
        }
    }
    out.push('\n');
}

fn symbol(action: ChangeAction) -> (&'static str, Paint) {
    match action {
        ChangeAction::NoOp => (" ", Paint::Dim),
        ChangeAction::Create => ("+", Paint::Green),
        ChangeAction::Update => ("~", Paint::Yellow),
        ChangeAction::Replace => ("-/+", Paint::Red),
        ChangeAction::ReplaceCreateFirst => ("+/-", Paint::Red),
        ChangeAction::Delete | ChangeAction::Drop => ("-", Paint::Red),
        ChangeAction::Forget => (".", Paint::Yellow),
    }
}

/// What happens, and why where that is not plain.
fn headline(change: &Change) -> Vec<String> {
    let address = &change.address;
    let verb = match change.action {
        ChangeAction::NoOp if change.import.is_some() && change.is_deferred() => {
            "will be imported, and changed where it differs"
        }
        ChangeAction::NoOp if change.import.is_some() => "will be imported",
        ChangeAction::NoOp => "stays as it is",
        ChangeAction::Create => "will be created",
        ChangeAction::Update => "will be updated in place",
        ChangeAction::Replace => "will be replaced (destroyed, then created)",
        ChangeAction::ReplaceCreateFirst => "will be replaced (created, then destroyed)",
        ChangeAction::Delete => "will be destroyed",
        ChangeAction::Drop => "goes with its host, without a call",
        ChangeAction::Forget => "will no longer be tracked; the object stays",
    };
    let mut lines = vec![format!("{address} {verb}")];
    lines.extend(reason(change));
    if let Some(id) = change.import.as_ref().and_then(|i| i.id.as_ref()) {
        lines.push(format!("(imported from {})", text::quote(id)));
    }
    if change.is_deferred() {
        let causes = value::awaited(&change.waits_for, &address.to_string());
        lines.push(format!("(deferred: waits for {causes})"));
    }
    if let Some(host) = &change.dropped_with {
        lines.push(format!("(dropped with {host})"));
    }
    if change.action == ChangeAction::Delete && change.external_effect {
        lines.push(
            "(it has effects outside of its host, so it is deleted first and awaited to absence)".into(),
        );
    }
    if change.action.deletes() && change.on_destroy == OnDestroy::Keep {
        lines.push("(on_destroy = keep: the object stays in the world)".into());
    }
    lines
}

fn reason(change: &Change) -> Option<String> {
    Some(match &change.reason {
        Reason::Configuration | Reason::Destroy => return None,
        Reason::CannotUpdate => {
            let paths: Vec<String> = change.replace_paths.iter().map(ToString::to_string).collect();
            if paths.is_empty() {
                return None;
            }
            format!("({} can't be changed in place)", text::listing(&paths))
        }
        Reason::Tainted(why) => format!("(tainted: {})", text::one_line(why)),
        Reason::Requested => "(asked for by -replace)".into(),
        Reason::AttachedTo(other) => format!("(it is part of {other}, which is replaced)"),
        Reason::Host(host) => format!("(it lives on {host}, which is replaced or destroyed)"),
        Reason::TriggeredBy(what) => format!("(replace_triggered_by {})", text::one_line(what)),
        Reason::NotInConfiguration => "(it is no longer in the spec)".into(),
        Reason::Deposed => "(an earlier replacement left it)".into(),
        Reason::OtherWorld { was, now } => {
            format!(
                "(its provider leads to another world: was {}, now {})",
                text::one_line(was),
                text::one_line(now)
            )
        }
        Reason::Gone => "(it was there and is gone)".into(),
        Reason::Resume => "(an earlier run left its operation going on)".into(),
    })
}

fn drift(out: &mut String, plan: &Plan, style: Style) {
    if plan.drift.is_empty() {
        return;
    }
    out.push_str("Changed outside of groma since the last apply:\n\n");
    for Drift { address, before, after } in &plan.drift {
        let own = address.to_string();
        match after {
            None => {
                let _ = writeln!(out, "  {} {own} is gone\n", style.paint(Paint::Red, "-"));
            }
            Some(after) => {
                let _ = writeln!(out, "  {} {own}", style.paint(Paint::Yellow, "~"));
                let hidden = plan.changes.iter().find(|c| c.address == *address);
                let hidden = hidden.map(|c| c.sensitive_paths.as_slice()).unwrap_or_default();
                let shown = Shown { style, hidden, forcing: &[], own: &own };
                let _ = writeln!(out, "{}\n", value::diff(Some(before), Some(after), &shown, 6));
            }
        }
    }
}

fn doubts(out: &mut String, plan: &Plan, style: Style) {
    if plan.doubts.is_empty() {
        return;
    }
    out.push_str("An earlier run was cut off; these are settled first:\n\n");
    for doubt in &plan.doubts {
        let _ = writeln!(
            out,
            "  {} {}: {}",
            style.paint(Paint::Yellow, "?"),
            doubt.address,
            text::one_line(&doubt.what)
        );
    }
    out.push('\n');
}

fn expansions(out: &mut String, plan: &Plan, style: Style) {
    for expansion in &plan.expansions {
        let causes = value::awaited(&expansion.waits_for, "");
        let bound = expansion.max_instances.map(|n| format!(", at most {n}")).unwrap_or_default();
        let line = format!("# {}: how many is known after {causes}{bound}", expansion.resource);
        let _ = writeln!(out, "  {}", style.paint(Paint::Bold, &line));
        let _ = writeln!(out, "{:>3} {}[…]\n", style.paint(Paint::Green, "+"), expansion.resource);
    }
}

fn reads(out: &mut String, plan: &Plan, style: Style) {
    for read in &plan.reads {
        let causes = value::awaited(&read.waits_for, &read.address.to_string());
        let done = if read.address.resource.mode == Mode::Ephemeral { "opened" } else { "read" };
        let line = format!("# {} is {done} during the apply (waits for {causes})", read.address);
        let _ = writeln!(out, "  {}", style.paint(Paint::Bold, &line));
        let _ = writeln!(out, "{:>3} {}\n", style.paint(Paint::Blue, "<="), read.address);
    }
}

/// Shrinking capacity, said before the last line.
fn warnings(out: &mut String, plan: &Plan, style: Style) {
    for change in plan.changes.iter().filter(|c| c.action == ChangeAction::Update) {
        let size = |v: &Option<groma_types::Value>| {
            let block = v.as_ref()?.get("scaling_config")?.at(0)?.clone();
            block.get("desired_size")?.as_number().and_then(groma_types::Number::to_i64)
        };
        if let (Some(before), Some(after)) = (size(&change.prior), size(&change.planned))
            && after < before
        {
            let line = format!("Warning: {} shrinks from {before} to {after} nodes.", change.address);
            let _ = writeln!(out, "{}\n", style.paint(Paint::Yellow, &line));
        }
    }
}

/// `Plan: 1 to add, 0 to change, 0 to destroy.`, and how many of them are deferred.
pub(crate) fn counts_line(plan: &Plan) -> String {
    let counts = plan.counts();
    let deferred = match counts.deferred {
        0 => String::new(),
        n => format!(" {n} of them deferred."),
    };
    let import = match counts.import {
        0 => String::new(),
        n => format!("{n} to import, "),
    };
    format!(
        "Plan: {import}{} to add, {} to change, {} to destroy.{deferred}",
        counts.add, counts.change, counts.destroy
    )
}

fn summary_line(plan: &Plan, style: Style) -> String {
    let mut line = style.paint(Paint::Bold, &counts_line(plan)) + "\n";
    if plan.targeted {
        line.push_str("Only a part of the spec is planned, because of -target or -exclude.\n");
    }
    let calls: usize = plan.calls.values().sum();
    if calls > 0 {
        let by: Vec<String> = plan.calls.iter().map(|(service, n)| format!("{service} {n}")).collect();
        let line_of_calls = format!("# {} to look at the world ({})", count(calls, "call"), by.join(", "));
        line.push_str(&style.paint(Paint::Dim, &line_of_calls));
        line.push('\n');
    }
    line
}

fn outputs(out: &mut String, changes: &[OutputChange], style: Style) {
    if changes.is_empty() {
        return;
    }
    out.push_str("\nChanges to outputs:\n");
    for change in changes {
        let hide = |v: &groma_types::Value| match change.sensitive {
            true => v.clone().mark(groma_types::Marks::SENSITIVE),
            false => v.clone(),
        };
        let of = |v: &Option<groma_types::Value>| {
            groma_types::Value::object(v.as_ref().map(|v| (change.name.clone(), hide(v))))
        };
        let shown = Shown { style, hidden: &[], forcing: &[], own: "" };
        let lines = value::diff(Some(&of(&change.before)), Some(&of(&change.after)), &shown, 2);
        let _ = writeln!(out, "{lines}");
    }
}
