//! What functions in a fetched module may read: files of its own package and of the stack's folder.
//!
//! Invariant: a path counts by where it leads when all links are followed.

use crate::config::{Config, ModulePath};
use groma_lang::eval::FunctionHost;
use groma_types::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Host = Arc<dyn FunctionHost + Send + Sync>;

/// A host whose files end at some folders.
pub(crate) struct Confined {
    inner: Host,
    source: Arc<str>,
    /// The package's folder and the stack's.
    folders: [String; 2],
}

impl Confined {
    /// A host for each fetched module.
    pub(crate) fn of(config: &Config, host: &Host) -> BTreeMap<ModulePath, Confined> {
        let text = |dir: &Path| match dir.as_os_str().is_empty() {
            true => ".".to_string(),
            false => dir.to_string_lossy().into_owned(),
        };
        let confined = |(path, module): (&ModulePath, &crate::config::Module)| {
            let package = module.package.as_ref()?;
            let folders = [text(&package.dir), text(&config.root_dir)];
            Some((path.clone(), Confined { inner: host.clone(), source: package.source.clone(), folders }))
        };
        config.modules.iter().filter_map(confined).collect()
    }

    pub(crate) fn permit(&self, path: &str) -> Result<(), String> {
        let real = self.inner.real_path(path)?;
        for folder in &self.folders {
            if Path::new(&real).starts_with(self.inner.real_path(folder)?) {
                return Ok(());
            }
        }
        Err(format!(
            "{path} is neither in the package {} nor in the stack's folder, and a fetched module reads nothing else",
            self.source
        ))
    }
}

impl FunctionHost for Confined {
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        self.permit(path)?;
        self.inner.read_file(path)
    }
    fn file_exists(&self, path: &str) -> Result<bool, String> {
        self.permit(path)?;
        self.inner.file_exists(path)
    }
    fn list_files(&self, base: &str) -> Result<Vec<String>, String> {
        self.permit(base)?;
        self.inner.list_files(base)
    }
    fn real_path(&self, path: &str) -> Result<String, String> {
        self.inner.real_path(path)
    }
    fn base_dir(&self) -> String {
        self.inner.base_dir()
    }
    fn home_dir(&self) -> Option<String> {
        self.inner.home_dir()
    }
    fn timestamp(&self) -> Value {
        self.inner.timestamp()
    }
    fn plan_timestamp(&self) -> Value {
        self.inner.plan_timestamp()
    }
    fn uuid(&self) -> Value {
        self.inner.uuid()
    }
    fn bcrypt(&self, text: &str, cost: u32) -> Result<Value, String> {
        self.inner.bcrypt(text, cost)
    }
}
