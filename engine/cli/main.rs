//! The command `groma`: reads the command line, runs one command, gives the exit code.
//!
//! This room knows the engine's façade, the constructors of providers, and the sandbox. It decides nothing about
//! resources: the engine does, and the renderers show what it says.

mod args;
mod clock;
mod command;
mod executor;
mod exit;
mod files;
mod modules;
mod others;
mod providers;
mod render;
mod session;
mod settings;
mod signals;
mod stack;
mod voice;

use exit::Exit;
use settings::Settings;
use std::process::ExitCode;
use std::time::Duration;

/// Enough for evaluation of deeply nested expressions in any thread.
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| render::print_error(&fault(&info.to_string()))));
    let settings = Settings::read();
    let cli = match args::parse(&Settings::command_line(), |command| settings.extra_args(command)) {
        Ok(cli) => cli,
        Err(refusal) if refusal.asked_for => {
            render::print(&refusal.text);
            return Exit::Done.into();
        }
        Err(refusal) => {
            render::print_error(&refusal.text);
            return Exit::Error.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            render::note_to_stderr(&format!("the machine gives no threads: {error}"));
            return Exit::Error.into();
        }
    };
    let run = || {
        runtime.block_on(async {
            let session = session::Session::new(settings, &cli);
            signals::listen(&session.stop);
            command::run(&session, cli).await
        })
    };
    // A panic has said its words by now; the exit code is that of any error.
    let exit = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(Exit::Error);
    // A question on the terminal that nobody answers must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    if render::is_output_lost() && exit != Exit::Error {
        render::note_to_stderr("error: the output could not be written whole; what was done is done");
        return Exit::Error.into();
    }
    exit.into()
}

/// What is said when a rule inside of groma is broken.
fn fault(what: &str) -> String {
    format!(
        "error: a fault of groma, not of your spec\n   = why: {}\n   = help: what was acknowledged is in the journal, \
         and the next run settles the rest; please report this\n",
        render::text::one_line(what)
    )
}
