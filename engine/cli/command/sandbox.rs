//! `groma sandbox …`: the process that stands in for the clouds, and how to talk to it.

use crate::args::SandboxCommand;
use crate::exit::Exit;
use crate::render;
use crate::session::Session;
use groma_sandbox::{ServeOptions, client};
use std::path::Path;
use std::time::Duration;

pub(crate) async fn run(session: &Session, command: SandboxCommand) -> Result<Exit, Exit> {
    if let SandboxCommand::Serve { folder, speed, idle, seed } = command {
        let folder = match folder {
            Some(folder) => session.at(&folder),
            None => {
                let stack = session.stack()?;
                stack.prepare_sandbox().map_err(|e| failed(session, &e.to_string()))?;
                stack.sandbox_dir()
            }
        };
        let mut options = ServeOptions::new(folder);
        options.speed = speed.or(session.global.sandbox_speed).unwrap_or(options.speed);
        options.idle = idle.map_or(options.idle, Duration::from_secs);
        options.seed = seed;
        options.faults.clone_from(&session.global.fault);
        groma_sandbox::serve(options, session.stop.reached(1))
            .await
            .map_err(|e| failed(session, &e.to_string()))?;
        return Ok(Exit::Done);
    }
    let folder = session.stack()?.sandbox_dir();
    ask(&folder, &command).map_err(|e| failed(session, &e.to_string()))
}

fn ask(folder: &Path, command: &SandboxCommand) -> Result<Exit, groma_sandbox::Error> {
    let text = match command {
        SandboxCommand::Serve { .. } | SandboxCommand::Status => return Ok(status(folder)),
        SandboxCommand::Stop => match client::stop(folder)? {
            true => "stopped; its world stays\n".to_string(),
            false => "no sandbox was running\n".to_string(),
        },
        SandboxCommand::AddFault { rule } if rule == "clear" => {
            client::clear_faults(folder)?;
            "no faults\n".to_string()
        }
        SandboxCommand::AddFault { rule } => {
            client::fault(folder, rule)?;
            format!("added: {}\n", render::text::one_line(rule))
        }
        SandboxCommand::World => format!("{:#}\n", client::world(folder)?),
        SandboxCommand::Reset => {
            client::reset(folder)?;
            "its world is empty\n".to_string()
        }
    };
    render::print(&text);
    Ok(Exit::Done)
}

fn status(folder: &Path) -> Exit {
    let text = match client::status(folder) {
        Some(running) => format!("running at {}, process {}\n", running.base_url, running.pid),
        None => "not running\n".to_string(),
    };
    render::print(&text);
    Exit::Done
}

fn failed(session: &Session, why: &str) -> Exit {
    session.refuse(
        "G2011",
        "the sandbox refuses",
        why,
        "`groma sandbox status` says whether one runs for this stack",
    )
}
