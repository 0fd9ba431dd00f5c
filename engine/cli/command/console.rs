//! `groma console`: expressions from standard input, answered one by one. Nothing is written and no lock is taken.

use super::spec::{self, Loaded};
use crate::args::ConsoleArgs;
use crate::exit::Exit;
use crate::files::RealFiles;
use crate::render::{self, console as render_console, json};
use crate::session::{Cloud, Session};
use crate::stack::Stack;
use groma_engine::console::{Answer, Console};
use groma_engine::event::NoSink;
use groma_engine::facade::{self, PlanOptions};
use groma_lang::FunctionHost;
use groma_lang::format::is_open;
use groma_provider::{Clock, Entropy};
use groma_types::{SourceMap, Value};
use std::sync::Arc;

const HELP: &str =
    "An expression is answered with its value: var.name, local.name, aws_vpc.main.id, length(\"abc\").
type(EXPRESSION) tells its type; an open bracket goes on in the next line.
exit, quit or Control-D ends this.
";

pub(crate) async fn run(session: &Session, args: &ConsoleArgs) -> Result<Exit, Exit> {
    let stack = session.stack()?;
    let offline = session.offline();
    let mut loaded = spec::load_with_inputs(session, &stack, &offline.registry, &args.input);
    session.say(loaded.diagnostics.iter(), &loaded.sources);
    if !loaded.is_sound() {
        return Err(Exit::Error);
    }
    spec::respect_backend(session, &loaded)?;
    let console = match args.plan {
        true => planned(session, &stack, &loaded).await?,
        false => recorded(session, &stack, &offline, &loaded)?,
    };
    talk(session, &console, &mut loaded.sources).await
}

fn recorded(session: &Session, stack: &Stack, offline: &Cloud, loaded: &Loaded) -> Result<Console, Exit> {
    let store = session.read_state(stack)?;
    let mut host = session.host(offline, Arc::new(NoSink));
    let entropy = host.entropy.clone();
    host.files = Arc::new(Live { files: session.files(), clock: host.clock.clone(), entropy });
    let config = loaded.config.as_ref().ok_or(Exit::Error)?;
    Ok(Console::over_state(config, loaded.variables.clone(), store.state(), &host))
}

async fn planned(session: &Session, stack: &Stack, loaded: &Loaded) -> Result<Console, Exit> {
    let strict = session.global.strict;
    let options = PlanOptions { strict, variables: loaded.variables.clone(), ..PlanOptions::default() };
    let store = session.read_state(stack)?;
    let cloud = session.cloud(stack)?;
    let host = session.host(&cloud, Arc::new(NoSink));
    let emitter = host.emitter();
    let planning = facade::plan(loaded.config.clone(), &options, store.state(), &host, &emitter);
    let planned = session.unless_stopped(planning).await?;
    session.say(planned.plan.diagnostics.iter(), &loaded.sources);
    match planned.plan.diagnostics.has_errors() {
        true => Err(Exit::Error),
        false => Ok(Console::over_plan(planned)),
    }
}

/// Where nobody sits at a terminal the first error ends it.
async fn talk(session: &Session, console: &Console, sources: &mut SourceMap) -> Result<Exit, Exit> {
    let is_person = session.settings.stdin_is_terminal;
    let mut asked = String::new();
    loop {
        if is_person {
            render::print(if asked.is_empty() { "> " } else { "  " });
        }
        let line = session.unless_stopped(line()).await?;
        let is_end = line.is_empty();
        asked.push_str(&line);
        if !is_end && is_open(&asked) {
            continue;
        }
        let text = std::mem::take(&mut asked);
        match text.trim() {
            "" => {}
            "exit" | "quit" => return Ok(Exit::Done),
            "help" => render::print(HELP),
            expression => {
                let source = sources.add("<console-input>", expression);
                match console.ask(source, expression) {
                    Ok(answer) => render::print(&(written(&answer) + "\n")),
                    Err(faults) => {
                        session.say(faults.iter(), sources);
                        if !is_person {
                            return Err(Exit::Error);
                        }
                    }
                }
            }
        }
        if is_end {
            return Ok(Exit::Done);
        }
    }
}

fn written(answer: &Answer) -> String {
    match answer {
        Answer::Value(value) => render_console::value(value),
        Answer::Type(ty) => render_console::ty(ty),
    }
}

/// The next line with its end; empty where there is none.
async fn line() -> String {
    let read = || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line).unwrap_or_default()
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// The machine's files, with the time and chance that a plan leaves for later.
struct Live {
    files: RealFiles,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl FunctionHost for Live {
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.read_file(path)
    }
    fn file_exists(&self, path: &str) -> Result<bool, String> {
        self.files.file_exists(path)
    }
    fn list_files(&self, base: &str) -> Result<Vec<String>, String> {
        self.files.list_files(base)
    }
    fn real_path(&self, path: &str) -> Result<String, String> {
        self.files.real_path(path)
    }
    fn base_dir(&self) -> String {
        self.files.base_dir()
    }
    fn home_dir(&self) -> Option<String> {
        self.files.home_dir()
    }
    fn timestamp(&self) -> Value {
        Value::string(json::seconds(self.clock.now()))
    }
    fn plan_timestamp(&self) -> Value {
        self.timestamp()
    }
    fn uuid(&self) -> Value {
        let mut bytes = [0_u8; 16];
        self.entropy.fill(&mut bytes);
        // Version 4, variant 1.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let part = |range: std::ops::Range<usize>| &hex[range];
        Value::string(format!(
            "{}-{}-{}-{}-{}",
            part(0..8),
            part(8..12),
            part(12..16),
            part(16..20),
            part(20..32)
        ))
    }
}
