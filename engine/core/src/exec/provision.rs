//! Running the provisioners of one object: its commands, one after the other, and what is told of them.
//!
//! The engine starts no process: an [`Executor`] from outside does. What a secret went into is not shown, nor what came of
//! it.

use super::emit::Emitter;
use super::stop::StopSignal;
use crate::event::EventKind;
use crate::pool::Pool;
use crate::state::RecipeId;
use async_trait::async_trait;
use futures::future::{Either, select};
use groma_types::{InstanceAddr, Marks, ProviderAddr, Span, Value};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

/// A command of the machine, ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program, its arguments, and what was written as the command.
    pub argv: Vec<String>,
    /// Beside the variables that every command gets.
    pub environment: BTreeMap<String, String>,
    pub folder: Option<String>,
}

/// Takes a line of a command's output.
pub type Tell<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// Runs commands.
#[async_trait]
pub trait Executor: Send + Sync {
    /// What a command is given to where no interpreter is named.
    fn shell(&self) -> Vec<String>;

    /// Runs a command to its end; each line of its output, of both streams, goes to `line`. Let go of before its end, the
    /// command is killed, and all that it has started.
    ///
    /// # Errors
    /// It can't be started, or its end was not good: how, in words.
    async fn run(&self, command: &Command, line: &Tell<'_>) -> Result<(), String>;
}

/// A provisioner whose turn has come.
pub struct Job {
    pub kind: Arc<str>,
    /// Where it is written; `None`: the state has it.
    pub span: Option<Span>,
    pub continues: bool,
    /// Its arguments; minted parts are asked for when it starts.
    pub arguments: Value,
    pub minters: BTreeMap<ProviderAddr, RecipeId>,
}

/// A provisioner that ended badly.
#[derive(Debug)]
pub struct Failure {
    pub kind: Arc<str>,
    pub span: Option<Span>,
    pub message: String,
}

/// How the provisioners of an object ended: what was passed over, and what stopped them.
#[derive(Debug, Default)]
pub struct Provisioned {
    pub passed: Vec<Failure>,
    pub failed: Option<Failure>,
}

/// What running needs beside the jobs.
pub struct Means {
    pub executor: Arc<dyn Executor>,
    pub pool: Arc<Pool>,
    pub emitter: Arc<Emitter>,
    pub stop: StopSignal,
    pub address: InstanceAddr,
}

/// Runs provisioners in their order, up to the first that fails and must not. The first stop signal kills what runs.
pub async fn run(jobs: Vec<Job>, means: &Means) -> Provisioned {
    let mut ended = Provisioned::default();
    for job in jobs {
        let (kind, address) = (job.kind.clone(), means.address.clone());
        means.emitter.emit(EventKind::ProvisionStarted { address: address.clone(), kind: kind.clone() });
        let stopped = means.stop.reached(1);
        let result = match select(pin!(one(&job, means)), stopped).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err("the run was stopped; the command was killed".to_string()),
        };
        let Err(message) = result else {
            means.emitter.emit(EventKind::ProvisionDone { address, kind });
            continue;
        };
        means.emitter.emit(EventKind::ProvisionFailed { address, kind });
        let failure = Failure { kind: job.kind, span: job.span, message };
        if !job.continues || means.stop.level() > 0 {
            ended.failed = Some(failure);
            return ended;
        }
        ended.passed.push(failure);
    }
    ended
}

async fn one(job: &Job, means: &Means) -> Result<(), String> {
    let marks = job.arguments.deep_marks();
    let secret = secret_word(marks);
    let fresh = means.pool.fresh_parts(&job.arguments, &job.minters, false).await;
    let arguments = fresh.map_err(|e| e.to_string())?.value;
    let command = command(&arguments, &*means.executor);
    let tell = |line: &str| {
        let line = match secret {
            Some(word) => format!("(output suppressed due to {word} value in config)"),
            None => line.to_string(),
        };
        let (address, kind) = (means.address.clone(), job.kind.clone());
        means.emitter.emit(EventKind::ProvisionOutput { address, kind, line });
    };
    let is_quiet = arguments.get("quiet").and_then(Value::as_bool) == Some(true);
    match is_quiet {
        true => tell("Executing: Suppressed by quiet=true"),
        false => tell(&format!("Executing: {}", quoted(&command.argv))),
    }
    let ended = means.executor.run(&command, &tell).await;
    ended.map_err(|why| match (secret, is_quiet) {
        (None, false) => {
            let text = command.argv.last().map_or("", String::as_str);
            format!("the command {text:?} failed: {why}")
        }
        _ => format!("its command failed: {why}"),
    })
}

fn secret_word(marks: Marks) -> Option<&'static str> {
    match marks {
        Marks { sensitive: true, .. } => Some("sensitive"),
        Marks { ephemeral: true, .. } | Marks { minted: true, .. } => Some("ephemeral"),
        Marks { .. } => None,
    }
}

/// As Terraform shows it: `["/bin/sh" "-c" "echo"]`.
fn quoted(argv: &[String]) -> String {
    let words: Vec<String> = argv.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}

fn command(arguments: &Value, executor: &dyn Executor) -> Command {
    let text = |v: &Value| v.as_str().map(String::from);
    let written = arguments.get("interpreter").and_then(Value::as_seq);
    let mut argv: Vec<String> = match written {
        Some(words) if !words.is_empty() => words.iter().filter_map(text).collect(),
        _ => executor.shell(),
    };
    argv.extend(arguments.get("command").and_then(text));
    let environment = arguments.get("environment").and_then(Value::as_map).into_iter().flatten();
    Command {
        argv,
        environment: environment.filter_map(|(k, v)| Some((k.to_string(), text(v)?))).collect(),
        folder: arguments.get("working_dir").and_then(text),
    }
}
