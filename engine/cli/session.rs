//! What every command needs: the stack, how to talk, the sandbox if it is asked for, the state, the engine's host.

use crate::args::{Cli, Global};
use crate::clock::{OsEntropy, SandboxClock, WallClock};
use crate::executor::RealExecutor;
use crate::exit::Exit;
use crate::files::RealFiles;
use crate::providers;
use crate::render::style::Style;
use crate::render::{self, diagnostics};
use crate::settings::Settings;
use crate::stack::Stack;
use groma_engine::event::EventSink;
use groma_engine::facade::{Host, Registry, StopSignal};
use groma_engine::state::local::LocalStore;
use groma_engine::state::lock::{Owner, Patience};
use groma_engine::state::open::{Mode, OpenError, OpenOptions};
use groma_engine::state::seal::KeySource;
use groma_provider::{Clock, Environment, NoLog};
use groma_sandbox::ServeOptions;
use groma_sandbox::client::{self, Running};
use groma_types::{Diagnostic, SourceMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// One run of the command.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) global: Global,
    pub(crate) cwd: PathBuf,
    pub(crate) style: Style,
    pub(crate) error_style: Style,
    pub(crate) stop: StopSignal,
    operand: Option<PathBuf>,
}

/// A cloud to work on: the real ones, or the stack's sandbox.
pub(crate) struct Cloud {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: Registry,
    sandbox: Option<Running>,
    workspace: String,
}

impl Session {
    pub(crate) fn new(settings: Settings, cli: &Cli) -> Session {
        let mut global = cli.global.clone();
        global.sandbox |= settings.sandbox();
        let speed = settings.sandbox_speed().and_then(|s| s.parse().ok());
        global.sandbox_speed = global.sandbox_speed.or(speed);
        let colour = settings.colour_allowed() && !global.no_color;
        Session {
            cwd: global.chdir.as_deref().map_or_else(|| settings.cwd.clone(), |dir| settings.cwd.join(dir)),
            style: Style { colour: colour && settings.stdout_is_terminal },
            error_style: Style { colour: colour && settings.stderr_is_terminal },
            stop: StopSignal::default(),
            operand: cli.command.path().cloned(),
            settings,
            global,
        }
    }

    /// Does what changes nothing, such as planning: the first signal ends it at once, and what it has started.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Exit> {
        tokio::select! {
            done = work => Ok(done),
            () = self.stop.reached(1) => Err(Exit::Interrupted),
        }
    }

    /// A path of the command line, from the folder that the command works in.
    pub(crate) fn at(&self, path: &Path) -> PathBuf {
        self.cwd.join(path)
    }

    /// The operand as it was given.
    pub(crate) fn operand(&self) -> Option<PathBuf> {
        self.operand.as_deref().map(|p| self.at(p))
    }

    /// The stack that the command line names; the current folder if none.
    pub(crate) fn stack(&self) -> Result<Stack, Exit> {
        if let (Some(a), Some(b)) = (&self.operand, &self.global.stack)
            && a != b
        {
            return Err(self.refuse(
                "G2001",
                "two stacks are named",
                &format!("{} is the operand, -stack={} the flag", a.display(), b.display()),
                "name the stack once",
            ));
        }
        let path = self.operand.as_deref().or(self.global.stack.as_deref());
        let path = path.map_or_else(|| self.cwd.clone(), |p| self.at(p));
        Stack::find(&path, self.global.sandbox, self.settings.workspace()).map_err(|why| {
            self.refuse(
                "G2002",
                "there is no such stack",
                &why,
                "give the folder of a stack, or one spec file",
            )
        })
    }

    /// Says an error of the command itself.
    pub(crate) fn refuse(&self, code: &'static str, summary: &str, why: &str, help: &str) -> Exit {
        let diagnostic = Diagnostic::error(code, summary).detail(why).help(help);
        self.say([&diagnostic], &SourceMap::default());
        Exit::Error
    }

    /// Shows diagnostics to a person.
    pub(crate) fn say<'a>(&self, found: impl IntoIterator<Item = &'a Diagnostic>, sources: &SourceMap) {
        render::print_error(&diagnostics::render(found, sources, self.error_style));
    }

    /// The cloud to work on. In sandbox mode the stack's sandbox is joined, or started.
    pub(crate) fn cloud(&self, stack: &Stack) -> Result<Cloud, Exit> {
        if !self.global.sandbox {
            let registry = providers::registry(None, &self.settings, &self.cwd);
            let workspace = stack.workspace.clone();
            return Ok(Cloud { clock: Arc::new(WallClock), registry, sandbox: None, workspace });
        }
        let failed = |why: String| {
            self.refuse(
                "G2010",
                "the sandbox does not start",
                &why,
                "see serve.log in the stack's .groma/sandbox",
            )
        };
        stack.prepare_sandbox().map_err(|e| failed(e.to_string()))?;
        let folder = stack.sandbox_dir();
        let mut options = ServeOptions::new(&folder);
        options.speed = self.global.sandbox_speed.unwrap_or(options.speed);
        options.faults = self.global.fault.clone();
        let running = client::ensure_running(&folder, &self.settings.program, &options)
            .map_err(|e| failed(e.to_string()))?;
        let clock = client::now(&folder).map_err(|e| failed(e.to_string()))?;
        Ok(Cloud {
            clock: Arc::new(SandboxClock(clock)),
            registry: providers::registry(Some(&running), &self.settings, &self.cwd),
            sandbox: Some(running),
            workspace: stack.workspace.clone(),
        })
    }

    /// A cloud that nothing is asked of: for commands that stay offline.
    pub(crate) fn offline(&self) -> Cloud {
        Cloud {
            clock: Arc::new(WallClock),
            registry: providers::registry(None, &self.settings, &self.cwd),
            sandbox: None,
            workspace: self.settings.workspace().to_string(),
        }
    }

    /// What the engine takes from outside.
    pub(crate) fn host(&self, cloud: &Cloud, events: Arc<dyn EventSink>) -> Host {
        let sandbox = cloud.sandbox.as_ref();
        let entropy = Arc::new(OsEntropy);
        Host {
            registry: cloud.registry.clone(),
            clock: cloud.clock.clone(),
            entropy: entropy.clone(),
            events,
            env: Environment {
                clock: cloud.clock.clone(),
                entropy,
                calls: Arc::new(NoLog),
                network: providers::network(sandbox),
                vars: Arc::new(providers::variables(&self.settings, sandbox)),
            },
            executor: Arc::new(self.executor(sandbox.is_some())),
            files: Arc::new(self.files()),
            cwd: self.settings.cwd.to_string_lossy().into_owned(),
            workspace: cloud.workspace.clone(),
        }
    }

    /// In the sandbox a command gets none of the machine's credentials: what they lead to is not the sandbox.
    fn executor(&self, sandbox: bool) -> RealExecutor {
        let kept = |name: &&str| self.settings.get(name).map(|v| (name.to_string(), v.to_string()));
        let vars = sandbox.then(|| providers::PROGRAM_VARS.iter().filter_map(kept).collect());
        RealExecutor { folder: self.cwd.clone(), vars }
    }

    pub(crate) fn files(&self) -> RealFiles {
        RealFiles { base: self.cwd.clone(), home: self.settings.get("HOME").map(String::from) }
    }

    /// Opens the state for reading. Needs no lock and writes nothing.
    pub(crate) fn read_state(&self, stack: &Stack) -> Result<LocalStore, Exit> {
        self.open(stack, Mode::ReadOnly, Duration::ZERO)
    }

    /// Opens the state for writing, under its lock.
    pub(crate) fn write_state(&self, stack: &Stack, patience: Duration) -> Result<LocalStore, Exit> {
        self.open(stack, Mode::Write, patience)
    }

    fn open(&self, stack: &Stack, mode: Mode, patience: Duration) -> Result<LocalStore, Exit> {
        let options = open_options(&self.settings, stack, mode, patience);
        let (store, report) = LocalStore::open(&options).map_err(|e| self.state_error(&e))?;
        for line in report.lines() {
            render::note_to_stderr(&render::text::one_line(&line));
        }
        Ok(store)
    }

    fn state_error(&self, error: &OpenError) -> Exit {
        let mut diagnostic =
            Diagnostic::error("G2020", "the state can't be opened").detail(error.message.clone());
        diagnostic.help.clone_from(&error.help);
        self.say([&diagnostic], &SourceMap::default());
        Exit::Error
    }
}

/// How a stack's state is opened by this command.
pub(crate) fn open_options(
    settings: &Settings,
    stack: &Stack,
    mode: Mode,
    patience: Duration,
) -> OpenOptions<'static> {
    let key = match settings.key_dir() {
        Some(dir) => KeySource::File(dir.join(stack.key_name())),
        None => KeySource::None,
    };
    let owner = Owner {
        user: settings.get("USER").unwrap_or("unknown").to_string(),
        host: settings.get("HOSTNAME").unwrap_or("this machine").to_string(),
        pid: std::process::id(),
        since: WallClock.now(),
        command: "groma".into(),
    };
    OpenOptions {
        folder: stack.state_dir(),
        stack_id: stack.identity(),
        key,
        mode,
        owner,
        patience: Patience { timeout: patience, pause: &|d| std::thread::sleep(d) },
    }
}

/// `90s`, `5m`, `1h30m`: a duration as Terraform's flags take it.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis = match &rest[..unit_len] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total += Duration::from_millis(number.checked_mul(millis)?);
        rest = &rest[unit_len..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_read_as_terraform_writes_them() {
        for (text, seconds) in
            [("0s", Some(0)), ("90s", Some(90)), ("1h30m", Some(5400)), ("5", None), ("x", None)]
        {
            assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
