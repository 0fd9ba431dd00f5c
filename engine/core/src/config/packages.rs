//! Modules that are not beside the spec: what a call asks for, and what it gets.
//!
//! Nothing is fetched here. A [`super::load::FileReader`] says where the files of a package are, that they are not
//! there yet (the caller fetches what is pending and loads again), or why they can't be had.
//!
//! Invariant: a module of a package reads folders of its own package only.

use super::load::normal;
use super::{Config, ModulePath};
use groma_types::{Diagnostic, Span};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a module call names that is not a folder beside the caller.
#[derive(Clone, Copy, Debug)]
pub struct PackageRequest<'a> {
    /// The call, from the root.
    pub call: &'a ModulePath,
    pub source: &'a str,
    pub version: Option<&'a str>,
    /// The call stands in a package itself.
    pub in_package: bool,
}

/// A fetched package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Address without credentials and without the folder inside.
    pub source: Arc<str>,
    /// Where its files are; nothing of the package is read outside of it.
    pub dir: PathBuf,
}

/// The module that a call names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub package: Arc<Package>,
    /// The module's folder, in the package's.
    pub dir: PathBuf,
}

#[derive(Clone, Debug)]
pub enum PackageAnswer {
    Here(Fetched),
    /// Not there yet: the caller of `load` fetches it and loads again.
    Pending,
    /// The fault, without a place.
    Refused(Box<Diagnostic>),
}

impl PackageAnswer {
    pub fn refused(fault: Diagnostic) -> PackageAnswer {
        PackageAnswer::Refused(Box::new(fault))
    }
}

/// Whether a source names a folder by its way from the caller's.
pub fn is_local(source: &str) -> bool {
    ["./", "../", ".\\", "..\\"].iter().any(|p| source.starts_with(p)) || matches!(source, "." | "..")
}

/// A local source of a caller: its folder.
pub(super) fn local_dir(
    caller: &Path,
    source: &str,
    package: Option<&Arc<Package>>,
    span: Span,
) -> Result<PathBuf, Diagnostic> {
    let dir = normal(&caller.join(source));
    match package {
        Some(package) if !dir.starts_with(&package.dir) => {
            Err(Diagnostic::error("G0530", "A source leads out of its package")
                .detail(format!("{source:?} is no folder of the package {}.", package.source))
                .help("A fetched module can call folders of its own package, and packages by their address.")
                .at(span, "outside of the package"))
        }
        _ => Ok(dir),
    }
}

impl Config {
    /// The package that a module was fetched in.
    pub fn package(&self, path: &ModulePath) -> Option<&Arc<Package>> {
        self.modules.get(path).and_then(|m| m.package.as_ref())
    }
}
