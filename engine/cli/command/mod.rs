//! The commands. Each takes the session and its arguments, and says how it ended.

mod apply;
mod console;
mod convert;
mod draft;
mod explain;
mod fmt;
mod graph;
mod hand;
mod init;
mod look;
mod plan;
mod sandbox;
mod saved;
mod schema;
pub(crate) mod spec;
mod validate;

use crate::args::{Cli, Command, MetadataCommand};
use crate::exit::Exit;
use crate::render;
use crate::session::Session;
use groma_engine::facade::Tainting;

/// Runs one command.
pub(crate) async fn run(session: &Session, cli: Cli) -> Exit {
    let done = match cli.command {
        Command::Plan(args) => plan::run(session, &args).await,
        Command::Apply(args) => apply::run(session, &args, args.flags.destroy).await,
        Command::Destroy(args) => apply::run(session, &args, true).await,
        Command::Validate(args) => validate::run(session, &args),
        Command::Output(args) => look::output(session, &args),
        Command::Show(args) => look::show(session, &args),
        Command::State(args) => look::state(session, &args.command),
        Command::Graph(args) => graph::run(session, &args.input),
        Command::Import(args) => hand::import(session, &args).await,
        Command::Taint(args) => hand::taint(session, &args, Tainting::Tainted),
        Command::Untaint(args) => hand::taint(session, &args, Tainting::Well),
        Command::Version(args) => Ok(version(args.json)),
        Command::Init(args) => init::run(session, &args.input, args.upgrade),
        Command::Get(args) => init::run(session, &args.input, args.update),
        Command::Modules(args) => init::list(session, &args.input, args.json),
        Command::Providers(args) => schema::providers(session, &args),
        Command::Schema => Ok(schema::run(session)),
        Command::Sandbox(command) => sandbox::run(session, command).await,
        Command::Convert(args) => convert::run(session, &args),
        Command::Fmt(args) => fmt::run(session, &args),
        Command::Console(args) => console::run(session, &args).await,
        Command::Metadata(MetadataCommand::Functions { .. }) => Ok(functions()),
        Command::Explain(args) => explain::run(session, &args.code),
    };
    done.unwrap_or_else(|exit| exit)
}

fn functions() -> Exit {
    render::print(&format!("{}\n", render::functions::all()));
    Exit::Done
}

fn version(json: bool) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if json {
        let json = serde_json::json!({
            "groma_version": version, "terraform_language": "1.11", "platform": format!("{os}_{arch}"),
            "provider_selections": {}, "terraform_outdated": false,
        });
        render::print(&format!("{json:#}\n"));
    } else {
        render::print(&format!("groma v{version}\non {os}_{arch}\nlanguage level: Terraform 1.11\n"));
    }
    Exit::Done
}
