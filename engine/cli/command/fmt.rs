//! `groma fmt`: files in their usual layout. A file that has faults stays as it is, and the others are done.

use crate::args::FmtArgs;
use crate::exit::Exit;
use crate::files;
use crate::render::{self, diff};
use crate::session::Session;
use groma_engine::config::format::{Syntax, format, is_spec, syntax_of, syntax_of_text};
use groma_types::{Diagnostic, Diagnostics, SourceMap};
use std::path::{Path, PathBuf};

/// What becomes of YAML files of other tools.
#[derive(Clone, Copy)]
enum Strangers {
    Refused,
    PassedBy,
}

struct Formatter<'a> {
    args: &'a FmtArgs,
    sources: SourceMap,
    faults: Diagnostics,
    differs: bool,
}

pub(crate) fn run(session: &Session, args: &FmtArgs) -> Result<Exit, Exit> {
    let mut formatter =
        Formatter { args, sources: SourceMap::default(), faults: Diagnostics::new(), differs: false };
    if args.paths.iter().any(|path| path.as_os_str() == "-") {
        formatter.standard_input();
    } else {
        let here = [PathBuf::from(".")];
        let paths = if args.paths.is_empty() { &here[..] } else { &args.paths[..] };
        paths.iter().for_each(|path| formatter.operand(session, path));
    }
    session.say(formatter.faults.iter(), &formatter.sources);
    match () {
        () if formatter.faults.has_errors() => Err(Exit::Error),
        () if args.check && formatter.differs => Ok(Exit::Unformatted),
        () => Ok(Exit::Done),
    }
}

impl Formatter<'_> {
    fn fail(&mut self, path: &Path, why: &str) {
        let detail = format!("{}: {why}.", path.display());
        self.faults.push(Diagnostic::error("G0542", "This can't be formatted").detail(detail));
    }

    fn standard_input(&mut self) {
        let text = match files::read_standard_input() {
            Ok(text) => text,
            Err(error) => return self.fail(Path::new("standard input"), &error.to_string()),
        };
        let syntax = syntax_of_text(&text);
        let Some(mut formatted) = self.format(syntax, Path::new("<stdin>"), &text) else { return };
        self.differs |= formatted != text;
        if self.args.diff {
            render::print(&diff::unified("<stdin>", &text, &formatted));
        } else if !self.args.check {
            if !formatted.ends_with('\n') {
                formatted.push('\n');
            }
            render::print(&formatted);
        }
    }

    /// A path that the user has named.
    fn operand(&mut self, session: &Session, path: &Path) {
        let at = session.at(path);
        if at.is_dir() {
            let top = match at.canonicalize() {
                Ok(top) => top,
                Err(error) => return self.fail(path, &error.to_string()),
            };
            return self.folder(&top, &at, path);
        }
        match syntax_of(&path.to_string_lossy()) {
            _ if !at.exists() => self.fail(path, "there is no such file or folder"),
            Some(syntax) => self.file(syntax, &at, path, Strangers::Refused),
            None => self.fail(path, "only specs and files of their variables have a layout"),
        }
    }

    /// A folder's files. What lies outside of the named folder is not reached through links.
    fn folder(&mut self, top: &Path, dir: &Path, shown: &Path) {
        let names = match files::names(dir) {
            Ok(names) => names,
            Err(error) => return self.fail(shown, &error.to_string()),
        };
        for name in names.iter().filter(|name| !is_ignored(name)) {
            let (at, shown) = (dir.join(name), shown.join(name));
            let shown = shown.strip_prefix(".").unwrap_or(&shown);
            let is_inside = at.canonicalize().is_ok_and(|real| real.starts_with(top));
            if at.is_dir() {
                if self.args.recursive && is_inside && !at.is_symlink() {
                    self.folder(top, &at, shown);
                }
            } else if let Some(syntax) = syntax_of(name)
                && is_inside
            {
                self.file(syntax, &at, shown, Strangers::PassedBy);
            }
        }
    }

    fn format(&mut self, syntax: Syntax, shown: &Path, text: &str) -> Option<String> {
        let source = self.sources.add(shown.to_string_lossy(), text);
        format(syntax, source, text).map_err(|faults| self.faults.extend(faults)).ok()
    }

    fn file(&mut self, syntax: Syntax, at: &Path, shown: &Path, strangers: Strangers) {
        let text = match files::read_text(at) {
            Ok(text) => text,
            Err(error) => return self.fail(shown, &error.to_string()),
        };
        if syntax == Syntax::Yaml && !is_spec(&text) {
            return match strangers {
                Strangers::Refused => self.fail(shown, "it is YAML, but no spec"),
                Strangers::PassedBy => {}
            };
        }
        let Some(formatted) = self.format(syntax, shown, &text) else { return };
        let name = render::text::one_line(&shown.to_string_lossy());
        let args = self.args;
        if formatted != text {
            self.differs = true;
            if args.list {
                render::print(&format!("{name}\n"));
            }
            if args.diff {
                render::print(&diff::unified(&name, &text, &formatted));
            }
            if args.write
                && !args.check
                && let Err(error) = files::replace(at, &formatted)
            {
                return self.fail(shown, &error.to_string());
            }
        }
        if !args.list && !args.write && !args.diff && !args.check {
            render::print(&formatted);
        }
    }
}

/// Hidden files and those that editors leave.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || name.starts_with('#') && name.ends_with('#')
}
