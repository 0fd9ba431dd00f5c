//! Commands that only look: `output`, `show`, `state …`.

use crate::args::{OutputArgs, ShowArgs, StateCommand};
use crate::exit::Exit;
use crate::render::{self, output as outputs, state as states};
use crate::session::Session;
use crate::stack::{Operand, operand};
use groma_engine::state::{Object, State, verify};
use groma_types::InstanceAddr;
use groma_types::diagnostic::nearest;

fn read(session: &Session) -> Result<State, Exit> {
    let stack = session.stack()?;
    Ok(session.read_state(&stack)?.state().clone())
}

pub(crate) fn output(session: &Session, args: &OutputArgs) -> Result<Exit, Exit> {
    let state = read(session)?;
    let Some(name) = &args.name else {
        let text = match (args.json, state.outputs.is_empty()) {
            (true, _) => format!("{}\n", outputs::all_as_json(&state.outputs)),
            (false, true) => {
                render::note_to_stderr("Warning: the state has no outputs. Outputs are written by an apply.");
                String::new()
            }
            (false, false) if args.raw => {
                let help = "name the output: groma output -raw NAME";
                return Err(session.refuse(
                    "G2004",
                    "-raw needs a name",
                    "it prints the text of one output",
                    help,
                ));
            }
            (false, false) => outputs::lines(&state.outputs),
        };
        render::print(&text);
        return Ok(Exit::Done);
    };
    let Some(found) = state.outputs.get(name.as_str()) else {
        let names: Vec<&str> = state.outputs.keys().map(|k| &**k).collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None if names.is_empty() => "the state has no outputs; an apply writes them".into(),
            None => format!("the outputs are: {}", names.join(", ")),
        };
        let why = format!("the state has no output {}", render::text::quote(name));
        return Err(session.refuse("G2005", "no such output", &why, &help));
    };
    let text = if args.json {
        format!("{}\n", groma_types::json::to_text(&found.value, false))
    } else if args.raw {
        let raw = outputs::raw(&found.value);
        raw.ok_or_else(|| {
            let why = format!("{name} is no string, number or boolean");
            session.refuse("G2006", "-raw can't print this output", &why, "use -json")
        })?
    } else {
        format!("{}\n", render::value::inline(&found.value.unmark_deep().0))
    };
    render::print(&text);
    Ok(Exit::Done)
}

pub(crate) fn show(session: &Session, args: &ShowArgs) -> Result<Exit, Exit> {
    if let Some(Operand::SavedPlan(path)) = session.operand().as_deref().map(operand) {
        return super::saved::show(session, &path, args.json);
    }
    let state = read(session)?;
    let text = match args.json {
        true => format!("{}\n", states::show_json(&state)),
        false => states::all(&state, session.style),
    };
    render::print(&text);
    Ok(Exit::Done)
}

pub(crate) fn state(session: &Session, command: &StateCommand) -> Result<Exit, Exit> {
    let state = read(session)?;
    match command {
        StateCommand::List { json, addresses } => list(session, &state, *json, addresses),
        StateCommand::Show { json, address } => show_object(session, &state, *json, address),
        StateCommand::Pull => {
            render::print(&format!("{:#}\n", states::pull_json(&state)));
            Ok(Exit::Done)
        }
        StateCommand::Verify => {
            let broken = verify::verify(&state);
            if broken.is_empty() {
                let text = render::text::count(state.objects.len(), "object");
                render::print(&format!("The state keeps its rules. {text}, serial {}.\n", state.serial));
                return Ok(Exit::Done);
            }
            let why = broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            Err(session.refuse(
                "G2021",
                "the state breaks its own rules",
                &why,
                "this is a fault of groma: keep the state folder and report it",
            ))
        }
    }
}

fn list(session: &Session, state: &State, json: bool, filters: &[String]) -> Result<Exit, Exit> {
    let mut lines: Vec<(String, &Object)> =
        state.objects.values().map(|o| (o.address.to_string(), o)).collect();
    lines.sort_by(|a, b| (&a.0, &a.1.id).cmp(&(&b.0, &b.1.id)));
    lines.retain(|(address, _)| filters.is_empty() || filters.iter().any(|f| is_within(address, f)));
    if lines.is_empty() && !filters.is_empty() {
        let why = format!("nothing in the state is at {}", filters.join(", "));
        return Err(session.refuse("G2022", "no such object", &why, "`groma state list` lists all"));
    }
    let text: String = match json {
        true => {
            let all: Vec<_> = lines.iter().map(|(_, o)| states::object_json(o)).collect();
            format!("{:#}\n", serde_json::Value::Array(all))
        }
        false => lines
            .iter()
            .map(|(address, o)| match states::status(o) {
                Some(status) => format!("{address} ({status})\n"),
                None => format!("{address}\n"),
            })
            .collect(),
    };
    render::print(&text);
    Ok(Exit::Done)
}

/// `module.a` holds all that is in it, `aws_x.y` all its instances.
fn is_within(address: &str, filter: &str) -> bool {
    address.strip_prefix(filter).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn show_object(session: &Session, state: &State, json: bool, address: &str) -> Result<Exit, Exit> {
    let parsed: InstanceAddr = address.parse().map_err(|e: groma_types::address::AddressError| {
        session.refuse("G2023", "not an address", &e.to_string(), "write it as `groma state list` does")
    })?;
    let found: Vec<&Object> = state.objects.values().filter(|o| o.address == parsed).collect();
    if found.is_empty() {
        let names: Vec<String> = state.current.keys().map(ToString::to_string).collect();
        let help = match nearest(address, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => "`groma state list` lists all".into(),
        };
        return Err(session.refuse(
            "G2022",
            "no such object",
            &format!("nothing in the state is at {parsed}"),
            &help,
        ));
    }
    let text: String = match json {
        true => found.iter().map(|o| format!("{:#}\n", states::object_json(o))).collect(),
        false => found.iter().map(|o| states::object(o, session.style)).collect::<Vec<_>>().join("\n"),
    };
    render::print(&text);
    Ok(Exit::Done)
}
