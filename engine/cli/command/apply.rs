//! `groma apply` and `groma destroy`: plan, show, ask, do, report.

use super::plan::{options, respect_terraform, voice};
use super::saved;
use super::spec::{self, Loaded};
use crate::args::{Allowed, ApplyArgs, Deferred};
use crate::exit::Exit;
use crate::render;
use crate::render::plan::Around;
use crate::session::{Session, duration};
use crate::stack::{Operand, operand};
use crate::voice::{Ending, Voice};
use groma_engine::exec::emit::Emitter;
use groma_engine::facade::{
    self, ApplyOptions, ApplyOutcome, ApproveDeferred, Ended, Host, PlanOptions, Planned, Spec,
};
use groma_engine::plan::{ChangeAction, Plan};
use groma_engine::state::local::LocalStore;
use groma_engine::state::{Store, StoreError};
use groma_types::{Diagnostic, Severity, SourceMap};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn run(session: &Session, args: &ApplyArgs, destroy: bool) -> Result<Exit, Exit> {
    if let Some(Operand::SavedPlan(path)) = session.operand().as_deref().map(operand) {
        return saved::apply(session, args, destroy, &path).await;
    }
    check_flags(session, args)?;
    let voice = voice(session, args.flags.json);
    let stack = session.stack()?;
    let offline = session.offline();
    let loaded = spec::load_with_inputs(session, &stack, &offline.registry, &args.flags.input);
    spec_or_leave(session, args, destroy, &loaded, &voice)?;
    spec::respect_backend(session, &loaded)?;
    let options = options(session, &args.flags, destroy, &loaded)?;
    let patience = patience(session, &args.flags.lock_timeout)?;
    let mut store = session.write_state(&stack, patience)?;
    respect_terraform(session, &stack, &args.flags, store.state())?;
    let cloud = session.cloud(&stack)?;
    voice.set_clock(&cloud.clock);
    let host = session.host(&cloud, voice.sink());
    let run = Run {
        session,
        args,
        voice: &voice,
        sources: &loaded.sources,
        emitter: host.emitter(),
        host: &host,
        spec: loaded.config.clone(),
        options: &options,
    };
    run.settle(&mut store).await?;

    let state = store.load();
    let planning = facade::plan(loaded.config.clone(), &options, &state, &host, &run.emitter);
    let planned = session.unless_stopped(planning).await?;
    voice.say(planned.plan.diagnostics.iter(), &loaded.sources);
    if planned.plan.diagnostics.has_errors() {
        return Err(Exit::Error);
    }
    voice.plan(&planned.plan, Around { quiet: args.auto_approve });
    gates(session, args, &planned.plan)?;
    if !planned.plan.is_empty() && !args.auto_approve {
        ask(session, destroy, args.flags.input_allowed).await?;
    }
    run.apply(planned, store).await
}

/// What an apply carries from its beginning to its end.
pub(crate) struct Run<'a> {
    pub(crate) session: &'a Session,
    pub(crate) args: &'a ApplyArgs,
    pub(crate) voice: &'a Voice,
    pub(crate) sources: &'a SourceMap,
    pub(crate) emitter: Arc<Emitter>,
    pub(crate) host: &'a Host,
    pub(crate) spec: Spec,
    pub(crate) options: &'a PlanOptions,
}

impl Run<'_> {
    /// Finds out what became of the operations that an earlier run left open.
    pub(crate) async fn settle(&self, store: &mut LocalStore) -> Result<(), Exit> {
        let settled = facade::settle(store, self.host, &self.emitter, &self.session.stop).await;
        let found = settled.map_err(|e| self.store_failed(&e))?;
        self.voice.say(found.iter(), self.sources);
        if self.session.stop.level() > 0 {
            return Err(Exit::Interrupted);
        }
        Ok(())
    }

    pub(crate) async fn apply(&self, planned: Planned, mut store: LocalStore) -> Result<Exit, Exit> {
        let apply = ApplyOptions {
            approve_deferred: approved(self.args),
            parallelism: self.args.flags.parallelism.and_then(|n| usize::try_from(n).ok()),
        };
        let destroy = planned.plan.destroy;
        let done = facade::apply(planned, &mut store, &apply, &self.emitter, &self.session.stop).await;
        let outcome = done.map_err(|e| self.store_failed(&e))?;
        self.report(&outcome, destroy, &store);
        if outcome.ended == Ended::Held {
            self.what_is_left(&outcome).await;
        }
        if let Err(error) = store.close() {
            render::note_to_stderr(&format!("Warning: the journal was not folded: {error}"));
        }
        Ok(outcome.ended.into())
    }

    fn report(&self, outcome: &ApplyOutcome, destroy: bool, store: &LocalStore) {
        self.voice.say(outcome.diagnostics.iter(), self.sources);
        self.voice.key_made(store);
        let ending = Ending { destroy, complete: outcome.ended == Ended::Done };
        self.voice.end(&outcome.summary, ending, &outcome.outputs);
    }

    /// What was held, planned anew on what is there now: this is to be approved.
    async fn what_is_left(&self, outcome: &ApplyOutcome) {
        self.voice.remark("\nWhat is left goes beyond what was approved. It is:\n");
        let spec = self.spec.clone();
        let mut left = facade::plan(spec, self.options, &outcome.state, self.host, &self.emitter).await;
        // The calls of the whole run are counted by its emitter; they say nothing of this plan.
        left.plan.calls.clear();
        self.voice.say(left.plan.diagnostics.iter(), self.sources);
        self.voice.plan(&left.plan, Around { quiet: true });
        self.voice.remark("\nTo approve it, run the command again, or with -approve-deferred=all.");
    }

    /// The journal can't be written: no call left after that.
    fn store_failed(&self, error: &StoreError) -> Exit {
        let mut diagnostic =
            Diagnostic::error("G2025", "the journal can't be written").detail(error.message.clone());
        diagnostic.help.clone_from(&error.help);
        self.voice.say([&diagnostic], self.sources);
        Exit::Error
    }
}

fn check_flags(session: &Session, args: &ApplyArgs) -> Result<(), Exit> {
    if args.flags.json && !args.auto_approve {
        let help = "add -auto-approve";
        return Err(session.refuse(
            "G2031",
            "-json needs -auto-approve",
            "a stream of events can't ask",
            help,
        ));
    }
    Ok(())
}

pub(crate) fn patience(session: &Session, text: &str) -> Result<Duration, Exit> {
    duration(text).ok_or_else(|| {
        let why = format!("{} is no duration", render::text::quote(text));
        session.refuse("G2032", "-lock-timeout can't be read", &why, "write it as 30s, 5m or 1h30m")
    })
}

/// An apply needs a sound spec. A destroy can do without, if the user says so.
fn spec_or_leave(
    session: &Session,
    args: &ApplyArgs,
    destroy: bool,
    loaded: &Loaded,
    voice: &Voice,
) -> Result<(), Exit> {
    if loaded.is_sound() {
        voice.say(loaded.diagnostics.iter(), &loaded.sources);
        return Ok(());
    }
    let goes_on = destroy && loaded.config.is_none() && (args.without_spec || !args.auto_approve);
    let found = loaded.diagnostics.iter().cloned().map(|d| match goes_on {
        true => Diagnostic { severity: d.severity.max(Severity::Warning), ..d },
        false => d,
    });
    voice.say(&found.collect::<Vec<_>>(), &loaded.sources);
    if !destroy || loaded.config.is_some() {
        return Err(Exit::Error);
    }
    if !goes_on {
        let why =
            "the spec is gone or does not parse; what the state holds would be destroyed by what it recorded";
        let help = "if that is meant, add -without-spec";
        return Err(session.refuse("G2033", "there is no spec to destroy by", why, help));
    }
    voice.remark(
        "There is no spec that can be read: this destroys what the state holds, by what it recorded.\n",
    );
    Ok(())
}

/// How far deferred changes may go. The hard gates are not talked round by `-approve-deferred`.
fn approved(args: &ApplyArgs) -> ApproveDeferred {
    let asked = match args.approve_deferred {
        Deferred::None => ApproveDeferred::None,
        Deferred::Create => ApproveDeferred::Create,
        Deferred::Update => ApproveDeferred::Update,
        Deferred::All => ApproveDeferred::All,
    };
    let allows = |what: Allowed| args.allow.is_empty() || args.allow.contains(&what);
    let most = if !allows(Allowed::Create) {
        ApproveDeferred::None
    } else if !allows(Allowed::Update) {
        ApproveDeferred::Create
    } else if !allows(Allowed::Delete) || !allows(Allowed::Replace) || args.max_deletes.is_some() {
        ApproveDeferred::Update
    } else {
        ApproveDeferred::All
    };
    asked.min(most)
}

/// `-max-deletes` and `-allow`.
pub(crate) fn gates(session: &Session, args: &ApplyArgs, plan: &Plan) -> Result<(), Exit> {
    let deletions = plan.counts().destroy;
    if let Some(most) = args.max_deletes
        && deletions > most
    {
        let why = format!("the plan deletes {deletions} objects, -max-deletes allows {most}");
        return Err(session.refuse(
            "G2040",
            "too many deletions",
            &why,
            "look at the plan, then raise -max-deletes",
        ));
    }
    if args.allow.is_empty() {
        return Ok(());
    }
    let needed = |action: ChangeAction| match action {
        ChangeAction::NoOp | ChangeAction::Forget => None,
        ChangeAction::Create => Some(Allowed::Create),
        ChangeAction::Update => Some(Allowed::Update),
        ChangeAction::Replace | ChangeAction::ReplaceCreateFirst => Some(Allowed::Replace),
        ChangeAction::Delete | ChangeAction::Drop => Some(Allowed::Delete),
    };
    let refused = plan.changes.iter().filter(|c| needed(c.action).is_some_and(|n| !args.allow.contains(&n)));
    let refused: Vec<String> = refused.map(|c| c.address.to_string()).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let why = format!("-allow does not name what the plan does to {}", render::text::listing(&refused));
    Err(session.refuse("G2041", "an action is not allowed", &why, "look at the plan, then widen -allow"))
}

/// Asks on the terminal; anything but `yes` is no.
async fn ask(session: &Session, destroy: bool, allowed: bool) -> Result<(), Exit> {
    if !allowed || !session.settings.may_ask() {
        let why = "nobody is there to approve it: this is no terminal, or CI or -input=false says so";
        return Err(session.refuse("G2034", "the plan is not approved", why, "add -auto-approve"));
    }
    let question = match destroy {
        true => "\nDo you really want to destroy all of this? There is no undo.",
        false => "\nDo you want to perform these actions?",
    };
    render::print(&format!("{question}\n  Only 'yes' is accepted to approve.\n\n  Enter a value: "));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line).unwrap_or_default()
    });
    tokio::select! {
        line = line => match line.is_ok_and(|l| l.trim() == "yes") {
            true => {
                render::print("\n");
                Ok(())
            }
            false => {
                render::print("\nNot approved: nothing was changed.\n");
                Err(Exit::Error)
            }
        },
        () = session.stop.reached(1) => Err(Exit::Interrupted),
    }
}
