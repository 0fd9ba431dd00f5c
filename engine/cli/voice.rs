//! How a plan or an apply speaks: lines for people, or a stream of JSON events.

use crate::render::json::Stream;
use crate::render::progress::{Lines, Report};
use crate::render::style::Style;
use crate::render::{self, diagnostics, output, plan, progress};
use groma_engine::event::{EventSink, Summary};
use groma_engine::plan::Plan;
use groma_engine::state::{LocalStore, OutputValue};
use groma_provider::Clock;
use groma_types::{Diagnostic, SourceMap};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) enum Voice {
    People { lines: Arc<Lines>, style: Style, error_style: Style },
    Machines(Arc<Stream>),
}

impl Voice {
    pub(crate) fn people(style: Style, error_style: Style) -> Voice {
        Voice::People { lines: Arc::new(Lines::new(style)), style, error_style }
    }

    /// The first event, the version, is written now.
    pub(crate) fn machines(clock: Arc<dyn Clock>) -> Voice {
        let stream = Stream::new(clock);
        stream.version();
        Voice::Machines(Arc::new(stream))
    }

    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        match self {
            Voice::People { lines, .. } => lines.clone(),
            Voice::Machines(stream) => stream.clone(),
        }
    }

    /// Events after this carry the time of the cloud that is worked on.
    pub(crate) fn set_clock(&self, clock: &Arc<dyn Clock>) {
        match self {
            Voice::People { .. } => {}
            Voice::Machines(stream) => stream.set_clock(clock.clone()),
        }
    }

    pub(crate) fn say<'a>(&self, found: impl IntoIterator<Item = &'a Diagnostic>, sources: &SourceMap) {
        match self {
            Voice::People { error_style, .. } => {
                render::print_error(&diagnostics::render(found, sources, *error_style));
            }
            Voice::Machines(stream) => found.into_iter().for_each(|d| stream.diagnostic(d, sources)),
        }
    }

    /// A remark that machines have no use for.
    pub(crate) fn remark(&self, text: &str) {
        match self {
            Voice::People { .. } => render::print(&format!("{text}\n")),
            Voice::Machines(_) => {}
        }
    }

    /// Tells of the key, if this run has made it.
    pub(crate) fn key_made(&self, store: &LocalStore) {
        if let Some(path) = store.key_made() {
            let path = path.display();
            self.remark(&format!(
                "\nSensitive values of this stack are sealed; their key is {path}. Keep a copy of it."
            ));
        }
    }

    pub(crate) fn plan(&self, plan: &Plan, around: plan::Around) {
        match self {
            Voice::People { style, .. } => render::print(&plan::render(plan, *style, around)),
            Voice::Machines(stream) => stream.plan(plan),
        }
    }

    /// The end of an apply: what went wrong, the counts, the outputs.
    pub(crate) fn end(&self, summary: &Summary, ending: Ending, outputs: &BTreeMap<Arc<str>, OutputValue>) {
        match self {
            Voice::People { lines, style, .. } => {
                let report: Report = lines.report();
                render::print(&report.render(*style));
                render::print(&progress::closing(summary, ending.destroy, ending.complete, *style));
                if !ending.destroy {
                    render::print(&output::block(outputs));
                }
            }
            Voice::Machines(stream) => {
                stream.summary(summary, ending.destroy, ending.complete);
                stream.outputs(outputs);
            }
        }
    }
}

/// What kind of apply ended, and whether all of it was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) destroy: bool,
    pub(crate) complete: bool,
}
