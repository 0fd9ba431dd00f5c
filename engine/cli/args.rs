//! The command line: Terraform's commands and flags, with one dash or two.

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use groma_types::diagnostic::nearest;
use std::path::PathBuf;

#[derive(Parser, Debug)]
#[command(
    name = "groma",
    version,
    about = "Plans and applies cloud infrastructure together with what runs on it, in one pass",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Global {
    /// Switch to this folder first.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) chdir: Option<PathBuf>,
    /// The stack: a folder or one spec file.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) stack: Option<PathBuf>,
    /// Run against the built-in sandbox instead of a cloud (also GROMA_SANDBOX=1).
    #[arg(long, global = true)]
    pub(crate) sandbox: bool,
    /// Simulated seconds per second in the sandbox.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) sandbox_speed: Option<f64>,
    /// A fault for the sandbox, such as `eks.CreateCluster: throttle 3x`.
    #[arg(long, global = true, value_name = "RULE")]
    pub(crate) fault: Vec<String>,
    /// No colours.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Refuse what Terraform has not, so that it can run the stack as well.
    #[arg(long, global = true)]
    pub(crate) strict: bool,
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Show what an apply would do.
    Plan(PlanArgs),
    /// Make the world as the spec says.
    Apply(ApplyArgs),
    /// Delete all that the state knows.
    Destroy(ApplyArgs),
    /// Check the spec without looking at the world.
    Validate(ValidateArgs),
    /// Show outputs of the last apply.
    Output(OutputArgs),
    /// Show the state, or a saved plan.
    Show(ShowArgs),
    /// Look into the state.
    State(StateArgs),
    /// Take an existing object over into the state.
    Import(ImportArgs),
    /// Have an object replaced by the next apply.
    Taint(TaintArgs),
    /// Take a taint back.
    Untaint(TaintArgs),
    /// Print the dependency graph in DOT.
    Graph(GraphArgs),
    /// Print the version.
    Version(JsonArgs),
    /// Fetch the modules that the spec calls and pin them in groma.lock.
    Init(InitArgs),
    /// The same as init, for modules alone.
    Get(GetArgs),
    /// List the modules that the spec calls.
    Modules(ModulesArgs),
    /// Show which providers the spec needs; `schema -json` prints their schemas.
    Providers(ProvidersArgs),
    /// Print a JSON Schema of specs, for editors.
    Schema,
    /// The built-in sandbox: serve, status, stop, fault, world.
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Write YAML from *.tf and *.tf.json; the old files become *.bak.
    Convert(ConvertArgs),
    /// Bring files to their usual layout: specs and values of variables, in each of the three syntaxes.
    Fmt(FmtArgs),
    /// Answer expressions over the stack, one after the other.
    Console(ConsoleArgs),
    /// Tell what the language has: `functions -json`.
    #[command(subcommand)]
    Metadata(MetadataCommand),
    /// Explain an error code.
    Explain(ExplainArgs),
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Input {
    /// Value of an input variable, NAME=VALUE.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<String>,
    /// File with values of input variables.
    #[arg(long, value_name = "FILE")]
    pub(crate) var_file: Vec<String>,
    /// Both kinds in the order of the command line; later ones win.
    #[arg(skip)]
    pub(crate) ordered: Vec<VarArg>,
}

/// One `-var` or `-var-file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VarArg {
    Assign(String),
    File(String),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct PlanFlags {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Only this and what it needs (repeatable).
    #[arg(long, value_name = "ADDR")]
    pub(crate) target: Vec<String>,
    /// All but this and what needs it (repeatable).
    #[arg(long, value_name = "ADDR")]
    pub(crate) exclude: Vec<String>,
    /// Replace this object (repeatable).
    #[arg(long, value_name = "ADDR")]
    pub(crate) replace: Vec<String>,
    /// Look at the world before planning.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) refresh: bool,
    /// Let fetched modules run commands on this machine.
    #[arg(long)]
    pub(crate) allow_module_exec: bool,
    /// Run destroy-time commands that only the state still has.
    #[arg(long)]
    pub(crate) allow_recipe_exec: bool,
    /// Only bring the state up to date with the world.
    #[arg(long)]
    pub(crate) refresh_only: bool,
    /// Plan the deletion of everything.
    #[arg(long)]
    pub(crate) destroy: bool,
    /// At most this many operations at a time (default: no overall limit).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) parallelism: Option<u32>,
    /// How long to wait for the state's lock.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) lock_timeout: String,
    /// Ask for what is missing.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) input_allowed: bool,
    /// Machine-readable events, one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Plan although Terraform's state beside the spec has resources that ours does not know.
    #[arg(long)]
    pub(crate) ignore_terraform_state: bool,
    /// Exit code 2 if there are changes.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) flags: PlanFlags,
    /// Save the plan in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write blocks for imports that have none into this new file (*.yaml, *.tf or *.tf.json) of the stack's folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) generate_config_out: Option<PathBuf>,
    /// A stack's folder or one spec file.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deferred {
    None,
    Create,
    #[default]
    Update,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Allowed {
    Create,
    Update,
    Delete,
    Replace,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) flags: PlanFlags,
    /// Apply without asking.
    #[arg(long)]
    pub(crate) auto_approve: bool,
    /// How far changes that are found during the run are approved.
    #[arg(long, value_enum, default_value = "update", value_name = "HOW")]
    pub(crate) approve_deferred: Deferred,
    /// Destroy although the spec is gone or does not parse.
    #[arg(long)]
    pub(crate) without_spec: bool,
    /// Refuse a plan with more deletions than this.
    #[arg(long, value_name = "N")]
    pub(crate) max_deletes: Option<usize>,
    /// Refuse a plan with other actions than these.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ACTIONS")]
    pub(crate) allow: Vec<Allowed>,
    /// A stack's folder, one spec file, or a saved plan.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    #[arg(long)]
    pub(crate) json: bool,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct OutputArgs {
    /// The bare text of one output.
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    #[arg(long)]
    pub(crate) json: bool,
    /// Name of one output.
    pub(crate) name: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    #[arg(long)]
    pub(crate) json: bool,
    /// A stack or a saved plan.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct StateArgs {
    #[command(subcommand)]
    pub(crate) command: StateCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum StateCommand {
    /// List addresses.
    List {
        #[arg(long)]
        json: bool,
        /// Only addresses that begin with one of these.
        addresses: Vec<String>,
    },
    /// Show one object.
    Show {
        #[arg(long)]
        json: bool,
        address: String,
    },
    /// Print the whole state as JSON; sensitive values are null.
    Pull,
    /// Check the state's own rules.
    Verify,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// How long to wait for the state's lock.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) lock_timeout: String,
    /// Ask for what is missing.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) input_allowed: bool,
    /// Let fetched modules run commands on this machine.
    #[arg(long)]
    pub(crate) allow_module_exec: bool,
    /// The instance in the spec.
    pub(crate) address: String,
    /// What the provider calls the object.
    pub(crate) id: String,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TaintArgs {
    /// Exit code 0 even if there is no such object.
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// How long to wait for the state's lock.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) lock_timeout: String,
    pub(crate) address: String,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct JsonArgs {
    #[arg(long)]
    pub(crate) json: bool,
}

/// Terraform's flags are taken; those of backends change nothing.
#[derive(Args, Clone, Debug)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Take what the sources give now, whatever groma.lock says.
    #[arg(long)]
    pub(crate) upgrade: bool,
    #[arg(long)]
    pub(crate) reconfigure: bool,
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) input_allowed: Option<bool>,
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) backend: Option<bool>,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Take what the sources give now, whatever groma.lock says.
    #[arg(long)]
    pub(crate) update: bool,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ModulesArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    #[arg(long)]
    pub(crate) json: bool,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProvidersArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(subcommand)]
    pub(crate) command: Option<ProvidersCommand>,
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum ProvidersCommand {
    /// Print the schemas of the providers that the spec needs, in Terraform's shape.
    Schema {
        #[command(flatten)]
        input: Input,
        /// The only form there is.
        #[arg(long, required = true)]
        json: bool,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum SandboxCommand {
    /// Run the sandbox of a stack in the foreground.
    Serve {
        /// Folder of its world and of its own files.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Simulated seconds per second on the wall.
        #[arg(long, value_name = "N")]
        speed: Option<f64>,
        /// End after this many seconds without a call.
        #[arg(long, value_name = "SECONDS")]
        idle: Option<u64>,
        /// Seed of faults that hit a part of all calls.
        #[arg(long, default_value = "0")]
        seed: u64,
    },
    /// Say whether it runs, and where.
    Status,
    /// End it; its world stays.
    Stop,
    /// Add a fault to the running sandbox, such as `eks.CreateCluster: throttle 3x`; `clear` takes all back.
    #[command(name = "fault")]
    AddFault { rule: String },
    /// Print all that exists in it, as JSON.
    World,
    /// Empty its world.
    Reset,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConvertArgs {
    /// A folder, or one *.tf or *.tf.json file.
    pub(crate) path: Option<PathBuf>,
    /// Write the YAML into this folder and leave the old files as they are.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct FmtArgs {
    /// Name the files whose layout differs.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) list: bool,
    /// Write the files.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) write: bool,
    /// Show what changes.
    #[arg(long)]
    pub(crate) diff: bool,
    /// Write nothing; exit code 3 if a file's layout differs.
    #[arg(long)]
    pub(crate) check: bool,
    /// Also folders inside of the folder.
    #[arg(long)]
    pub(crate) recursive: bool,
    /// Folders and files; `-` for standard input. Default: this folder.
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConsoleArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Over what a plan would make of the stack, data sources included, instead of over the state.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Ask for what is missing.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) input_allowed: bool,
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum MetadataCommand {
    /// Print the signatures of all functions, in Terraform's shape.
    Functions {
        /// The only form there is.
        #[arg(long, required = true)]
        json: bool,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainArgs {
    /// Such as G0107.
    pub(crate) code: String,
}

/// Why the command line can't be taken; `text` goes to stderr, or stdout where the user asked for help.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) text: String,
    pub(crate) asked_for: bool,
}

/// Parses a command line (program name first), extra arguments inserted after the command.
pub(crate) fn parse(line: &[String], extra: impl Fn(&str) -> Vec<String>) -> Result<Cli, Refusal> {
    let line = normalise(line);
    let at = command_index(&line);
    let line = match at {
        Some(at) => {
            let (head, tail) = line.split_at(at + 1);
            let extra = normalise_all(&extra(&line[at]));
            head.iter().cloned().chain(extra).chain(tail.iter().cloned()).collect()
        }
        None => line,
    };
    if let Some(refusal) = at.and_then(|at| unknown_command(&line[at])) {
        return Err(refusal);
    }
    let refuse = |e: clap::Error| Refusal { asked_for: !e.use_stderr(), text: e.render().to_string() };
    let mut matches = Cli::command().try_get_matches_from(&line).map_err(refuse)?;
    let ordered = ordered_vars(innermost(&matches));
    let mut cli = Cli::from_arg_matches_mut(&mut matches).map_err(refuse)?;
    if let Some(input) = cli.command.input_mut() {
        input.ordered = ordered;
    }
    Ok(cli)
}

impl Command {
    fn input_mut(&mut self) -> Option<&mut Input> {
        match self {
            Command::Plan(args) => Some(&mut args.flags.input),
            Command::Apply(args) | Command::Destroy(args) => Some(&mut args.flags.input),
            Command::Graph(args) => Some(&mut args.input),
            Command::Validate(args) => Some(&mut args.input),
            Command::Init(args) => Some(&mut args.input),
            Command::Get(args) => Some(&mut args.input),
            Command::Modules(args) => Some(&mut args.input),
            Command::Providers(args) => match &mut args.command {
                Some(ProvidersCommand::Schema { input, .. }) => Some(input),
                None => Some(&mut args.input),
            },
            Command::Import(args) => Some(&mut args.input),
            Command::Console(args) => Some(&mut args.input),
            Command::Output(_)
            | Command::Show(_)
            | Command::State(_)
            | Command::Taint(_)
            | Command::Untaint(_)
            | Command::Version(_)
            | Command::Schema
            | Command::Sandbox(_)
            | Command::Fmt(_)
            | Command::Convert(_)
            | Command::Metadata(_)
            | Command::Explain(_) => None,
        }
    }

    /// The stack that the command's own operand names.
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        match self {
            Command::Convert(args) => args.path.as_ref(),
            Command::Plan(args) => args.path.as_ref(),
            Command::Apply(args) | Command::Destroy(args) => args.path.as_ref(),
            Command::Validate(args) => args.path.as_ref(),
            Command::Show(args) => args.path.as_ref(),
            Command::Graph(args) => args.path.as_ref(),
            Command::Init(args) => args.path.as_ref(),
            Command::Get(args) => args.path.as_ref(),
            Command::Modules(args) => args.path.as_ref(),
            Command::Output(_)
            | Command::State(_)
            | Command::Import(_)
            | Command::Taint(_)
            | Command::Untaint(_)
            | Command::Version(_)
            | Command::Providers(_)
            | Command::Schema
            | Command::Sandbox(_)
            | Command::Fmt(_)
            | Command::Console(_)
            | Command::Metadata(_)
            | Command::Explain(_) => None,
        }
    }
}

/// The arguments of the command itself.
fn innermost(matches: &clap::ArgMatches) -> &clap::ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

/// `-var` and `-var-file` in the order of the command line.
fn ordered_vars(matches: &clap::ArgMatches) -> Vec<VarArg> {
    let mut found: Vec<(usize, VarArg)> = Vec::new();
    let of = |id: &str| match matches.try_get_many::<String>(id) {
        Ok(Some(values)) => {
            let places = matches.indices_of(id).into_iter().flatten();
            places.zip(values.cloned().collect::<Vec<_>>()).collect()
        }
        _ => Vec::new(),
    };
    found.extend(of("var").into_iter().map(|(i, v)| (i, VarArg::Assign(v))));
    found.extend(of("var_file").into_iter().map(|(i, v)| (i, VarArg::File(v))));
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, v)| v).collect()
}

/// Gives Terraform's single-dash flags their second dash, up to a bare `--`.
fn normalise(line: &[String]) -> Vec<String> {
    let Some((program, rest)) = line.split_first() else { return Vec::new() };
    [program.clone()].into_iter().chain(normalise_all(rest)).collect()
}

fn normalise_all(args: &[String]) -> Vec<String> {
    let end = args.iter().position(|a| a == "--").unwrap_or(args.len());
    let flags = args[..end].iter().map(|a| normalise_flag(a));
    flags.chain(args[end..].iter().cloned()).collect()
}

fn normalise_flag(arg: &str) -> String {
    let Some(name) = arg.strip_prefix('-') else { return arg.to_string() };
    if name == "v" {
        return "--version".into();
    }
    let is_long = name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphabetic());
    let name = if is_long { name } else { name.strip_prefix('-').unwrap_or(name) };
    let is_long = is_long || arg.starts_with("--");
    // `input` is the name of the flattened arguments, so the flag has another one inside.
    match name {
        "input" => "--input-allowed".into(),
        _ if name.starts_with("input=") => format!("--input-allowed={}", &name["input=".len()..]),
        _ if is_long => format!("--{name}"),
        _ => arg.to_string(),
    }
}

/// Where the command stands: the first argument that is no flag and no flag's value.
fn command_index(line: &[String]) -> Option<usize> {
    let takes_value = ["--chdir", "--stack", "--sandbox-speed", "--fault"];
    let mut at = 1;
    while at < line.len() {
        let arg = line[at].as_str();
        if !arg.starts_with('-') {
            return Some(at);
        }
        at += 1 + usize::from(takes_value.contains(&arg));
    }
    None
}

fn unknown_command(name: &str) -> Option<Refusal> {
    let command = Cli::command();
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    if names.contains(&name) {
        return None;
    }
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!(" Did you mean \"{near}\"?"),
        None => String::new(),
    };
    let text = format!(
        "groma has no command named \"{}\".{hint}\n\nThe commands are: {}.\n",
        crate::render::text::clean(name),
        names.join(", ")
    );
    Some(Refusal { text, asked_for: false })
}

#[cfg(test)]
mod tests {
    use super::{Cli, Command, VarArg, parse};

    fn line(text: &str) -> Result<Cli, String> {
        let words: Vec<String> = ["groma"].into_iter().chain(text.split(' ')).map(String::from).collect();
        parse(&words, |_| Vec::new()).map_err(|r| r.text)
    }

    #[test]
    fn the_definition_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn one_dash_and_two_mean_the_same() {
        for text in ["apply -auto-approve -refresh=false dir", "apply --auto-approve --refresh=false dir"] {
            let cli = line(text).expect(text);
            let Command::Apply(args) = cli.command else { panic!("{text}") };
            assert!(args.auto_approve && !args.flags.refresh, "{text}");
            assert_eq!(args.path.as_deref(), Some(std::path::Path::new("dir")));
        }
    }

    #[test]
    fn variables_keep_their_order() {
        let cli = line("plan -var a=1 -var-file=f -var=a=2 -input=false").expect("parses");
        let Command::Plan(args) = cli.command else { panic!("not a plan") };
        let expected = [VarArg::Assign("a=1".into()), VarArg::File("f".into()), VarArg::Assign("a=2".into())];
        assert_eq!(args.flags.input.ordered, expected);
        assert!(!args.flags.input_allowed);
    }

    #[test]
    fn a_near_command_is_named() {
        let text = line("aply").expect_err("unknown");
        assert!(text.contains("Did you mean \"apply\"?"), "{text}");
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for text in ["-chdir=x --sandbox output -raw name", "output -raw --sandbox -chdir x name"] {
            let cli = line(text).expect(text);
            assert!(cli.global.sandbox && cli.global.chdir.is_some(), "{text}");
        }
    }

    #[test]
    fn extra_arguments_come_after_the_command() {
        let words = ["groma", "-chdir=x", "plan", "-json"].map(String::from);
        let cli = parse(&words, |c| vec![format!("-var=c={c}")]).expect("parses");
        let Command::Plan(args) = cli.command else { panic!("not a plan") };
        assert_eq!(args.flags.input.var, ["c=plan"]);
    }
}
