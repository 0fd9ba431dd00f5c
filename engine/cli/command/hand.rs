//! Commands that change records of the state by hand: `taint`, `untaint`, `import`.

use super::apply::patience;
use super::plan::voice;
use super::spec;
use crate::args::{ImportArgs, TaintArgs};
use crate::exit::Exit;
use crate::render;
use crate::session::Session;
use groma_engine::facade::{self, PlanOptions, RefreshMode, Tainting};
use groma_engine::state::StoreError;
use groma_engine::state::local::LocalStore;
use groma_types::InstanceAddr;

fn address(session: &Session, text: &str) -> Result<InstanceAddr, Exit> {
    text.parse().map_err(|e: groma_types::address::AddressError| {
        session.refuse("G2023", "not an address", &e.to_string(), "write it as `groma state list` does")
    })
}

fn failed(session: &Session, error: &StoreError) -> Exit {
    session.refuse("G2025", "the journal can't be written", &error.message, "nothing was changed")
}

fn close(session: &Session, store: LocalStore) -> Result<Exit, Exit> {
    store.close().map_err(|e| failed(session, &e))?;
    Ok(Exit::Done)
}

pub(crate) fn taint(session: &Session, args: &TaintArgs, to: Tainting) -> Result<Exit, Exit> {
    let stack = session.stack()?;
    let address = address(session, &args.address)?;
    let mut store = session.write_state(&stack, patience(session, &args.lock_timeout)?)?;
    let host = session.host(&session.offline(), voice(session, false).sink());
    let done = facade::taint(&mut store, &host, &address, to).map_err(|e| failed(session, &e))?;
    if !done && !args.allow_missing {
        let why = format!("{address} is not in the state, or not tainted");
        return Err(session.refuse(
            "G2022",
            "no such object",
            &why,
            "`groma state list` shows what is there",
        ));
    }
    let text = match (done, to) {
        (false, _) => format!("{address} is not there: nothing was changed.\n"),
        (true, Tainting::Tainted) => format!("{address} is tainted: the next apply replaces it.\n"),
        (true, Tainting::Well) => format!("{address} is not tainted any more.\n"),
    };
    render::print(&text);
    close(session, store)
}

/// Takes an object of the world over into the state. Its block must be in the spec.
pub(crate) async fn import(session: &Session, args: &ImportArgs) -> Result<Exit, Exit> {
    let voice = voice(session, false);
    let stack = session.stack()?;
    let address = address(session, &args.address)?;
    let offline = session.offline();
    let loaded = spec::load_with_inputs(session, &stack, &offline.registry, &args.input);
    voice.say(loaded.diagnostics.iter(), &loaded.sources);
    if !loaded.is_sound() {
        return Err(Exit::Error);
    }
    let mut store = session.write_state(&stack, patience(session, &args.lock_timeout)?)?;
    if store.state().at(&address).is_some() {
        let why = format!("{address} has an object already");
        let help = "to take another one over, forget this one first (a removed block with destroy: false)";
        return Err(session.refuse("G2060", "the address is taken", &why, help));
    }
    let cloud = session.cloud(&stack)?;
    voice.set_clock(&cloud.clock);
    let host = session.host(&cloud, voice.sink());
    let emitter = host.emitter();
    let options = PlanOptions {
        refresh: RefreshMode::None,
        targets: vec![address.to_string()],
        imports: [(address.clone(), args.id.as_str().into())].into(),
        allow_module_exec: args.allow_module_exec,
        variables: loaded.variables.clone(),
        ..PlanOptions::default()
    };
    let importing = facade::import(loaded.config.clone(), &options, &mut store, &host, &emitter);
    let found = session.unless_stopped(importing).await?.map_err(|e| failed(session, &e))?;
    voice.say(found.iter(), &loaded.sources);
    if found.has_errors() {
        return Err(Exit::Error);
    }
    voice.key_made(&store);
    render::print(&format!("{address}: imported. The next plan shows where the spec differs from it.\n"));
    close(session, store)
}
