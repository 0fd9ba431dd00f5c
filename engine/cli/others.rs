//! The outputs of other stacks, for the data source that reads them.

use crate::session::open_options;
use crate::settings::Settings;
use crate::stack::Stack;
use groma_engine::state::local::LocalStore;
use groma_engine::state::open::Mode;
use groma_engine::state::store::Store;
use groma_provider_std::Stacks;
use groma_types::{Marks, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The stacks of this machine. Those of the sandbox are read in the sandbox alone, and the others out of it.
#[derive(Debug)]
pub(crate) struct Others {
    pub(crate) settings: Settings,
    pub(crate) sandbox: bool,
}

impl Stacks for Others {
    fn outputs(&self, path: &Path, workspace: &str) -> Result<Option<BTreeMap<Arc<str>, Value>>, String> {
        let stack = Stack::find(path, self.sandbox, workspace)?;
        let options = open_options(&self.settings, &stack, Mode::ReadOnly, Duration::ZERO);
        let (store, report) = LocalStore::open(&options).map_err(|e| e.message)?;
        if report.is_new {
            return Ok(None);
        }
        let secret =
            |sensitive: bool, value: Value| if sensitive { value.mark(Marks::SENSITIVE) } else { value };
        let outputs = store.load().outputs;
        Ok(Some(outputs.into_iter().map(|(name, o)| (name, secret(o.sensitive, o.value))).collect()))
    }
}
