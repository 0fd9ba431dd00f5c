//! What a name means: references to declared things, provider references to provider configurations.

use super::{BlockId, Config, Module, ModulePath, ProviderRef};
use groma_lang::expr::{Expr, RefStep, Reference};
use groma_types::diagnostic::nearest;
use groma_types::{Diagnostic, Mode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The thing that a reference begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Variable(Arc<str>),
    Local(Arc<str>),
    Resource(BlockId),
    /// `module.x`, and the output where it is named statically.
    Module {
        call: Arc<str>,
        output: Option<Arc<str>>,
    },
    Each,
    Count,
    Path,
    Terraform,
    SelfObject,
}

impl Target {
    /// How many steps after the root name the thing itself (a key and what follows it not counted).
    pub fn steps(&self) -> usize {
        match self {
            Target::Variable(_) | Target::Local(_) | Target::Module { .. } => 1,
            Target::Resource(id) if id.mode == Mode::Managed => 1,
            Target::Resource(_) => 2,
            Target::Each | Target::Count | Target::Path | Target::Terraform | Target::SelfObject => 0,
        }
    }
}

/// Returns what a reference in a module names.
///
/// # Errors
/// Nothing of this name is declared; near names are suggested.
pub fn target(module: &Module, reference: &Reference) -> Result<Target, Diagnostic> {
    match &*reference.root {
        "var" => {
            let name = name_at(reference, 0, "var", "the variable's name")?;
            declared(reference, "variable", "variable", name, &module.variables).map(Target::Variable)
        }
        "local" => {
            let name = name_at(reference, 0, "local", "the local's name")?;
            declared(reference, "local value", "locals", name, &module.locals).map(Target::Local)
        }
        "module" => {
            let name = name_at(reference, 0, "module", "the call's name")?;
            let call = declared(reference, "module call", "module", name, &module.calls)?;
            let after = match reference.steps.get(1) {
                Some(RefStep::Index(_)) => 2,
                _ => 1,
            };
            Ok(Target::Module { call, output: reference.attr(after).map(Arc::from) })
        }
        "data" => block(module, reference, Mode::Data, 0),
        "ephemeral" => block(module, reference, Mode::Ephemeral, 0),
        "each" => one_of(reference, Target::Each, &["key", "value"]),
        "count" => one_of(reference, Target::Count, &["index"]),
        "path" => one_of(reference, Target::Path, &["module", "root", "cwd"]),
        "terraform" => one_of(reference, Target::Terraform, &["workspace", "applying"]),
        "self" => Ok(Target::SelfObject),
        _ => managed(module, reference),
    }
}

fn error(reference: &Reference, detail: String, label: String) -> Diagnostic {
    Diagnostic::error("G0801", "Reference to an undeclared name").detail(detail).at(reference.span, label)
}

fn name_at<'a>(reference: &'a Reference, at: usize, root: &str, what: &str) -> Result<&'a str, Diagnostic> {
    reference.attr(at).ok_or_else(|| {
        error(reference, format!("After {root:?} stands {what}: {root}.NAME."), "a name is missing".into())
    })
}

fn declared<T>(
    reference: &Reference,
    what: &str,
    block: &str,
    name: &str,
    known: &BTreeMap<Arc<str>, T>,
) -> Result<Arc<str>, Diagnostic> {
    if let Some((found, _)) = known.get_key_value(name) {
        return Ok(found.clone());
    }
    let near = nearest(name, known.keys());
    let label = near.map_or("not declared".to_string(), |n| format!("did you mean {n:?}?"));
    let fault = error(reference, format!("The module has no {what} named {name:?}."), label);
    Err(match near {
        Some(near) => fault.help(format!("Write {near}.")),
        None => {
            let native = match block {
                "locals" => format!("Declare it: locals {{ {name} = … }}"),
                _ => format!("Declare it: {block} {name:?} {{ … }}"),
            };
            fault.help_edit(format!("Declare it: {block}: {{{name}: …}}"), native)
        }
    })
}

fn one_of(reference: &Reference, target: Target, names: &[&str]) -> Result<Target, Diagnostic> {
    let ok = reference.attr(0).is_some_and(|n| names.contains(&n));
    if ok {
        return Ok(target);
    }
    let all = names.join(", ");
    Err(error(
        reference,
        format!("{:?} has these attributes: {all}.", reference.root),
        "no such attribute".into(),
    ))
}

/// `data.KIND.NAME`, `ephemeral.KIND.NAME`.
fn block(module: &Module, reference: &Reference, mode: Mode, at: usize) -> Result<Target, Diagnostic> {
    let (Some(kind), Some(name)) = (reference.attr(at), reference.attr(at + 1)) else {
        let root = &reference.root;
        return Err(error(
            reference,
            format!("A reference to such a block is {root}.KIND.NAME."),
            "kind or name is missing".into(),
        ));
    };
    find(module, reference, BlockId { mode, kind: kind.into(), name: name.into() })
}

fn find(module: &Module, reference: &Reference, id: BlockId) -> Result<Target, Diagnostic> {
    if module.resources.contains_key(&id) {
        return Ok(Target::Resource(id));
    }
    let text = id.to_string();
    let near = near_block(module, &id);
    let label = near.as_ref().map_or("not declared".to_string(), |n| format!("did you mean {n}?"));
    let fault = error(reference, format!("The module has no block {text}."), label);
    Err(match near {
        Some(near) => fault.help(format!("Write {near}.")),
        None => fault,
    })
}

/// A block of the kind with nearly the name, or one of a kind that is nearly called so.
fn near_block(module: &Module, id: &BlockId) -> Option<BlockId> {
    let first = BlockId { name: "".into(), ..id.clone() };
    let of_kind = module.resources.range(first..).map(|(id, _)| id);
    let of_kind = of_kind.take_while(|other| (other.mode, &other.kind) == (id.mode, &id.kind));
    if let Some(name) = nearest(&id.name, of_kind.map(|other| &other.name)) {
        return Some(BlockId { name: name.clone(), ..id.clone() });
    }
    let named_so = module.resources.keys().filter(|other| (other.mode, &other.name) == (id.mode, &id.name));
    let kind = nearest(&id.kind, named_so.map(|other| &other.kind))?;
    Some(BlockId { kind: kind.clone(), ..id.clone() })
}

fn managed(module: &Module, reference: &Reference) -> Result<Target, Diagnostic> {
    let kind = &reference.root;
    if let Some(name) = reference.attr(0) {
        return find(
            module,
            reference,
            BlockId { mode: Mode::Managed, kind: kind.clone(), name: name.into() },
        );
    }
    let roots = ["var", "local", "module", "data", "ephemeral", "each", "count", "path", "terraform", "self"];
    let near = nearest(kind, roots);
    let label = near.map_or("not a name that is known here".to_string(), |n| format!("did you mean {n}?"));
    let detail = format!(
        "A reference begins with var, local, module, data, each, count, path, terraform, self or a resource's kind; {kind:?} is none of these."
    );
    let fault = error(reference, detail, label);
    Err(match near {
        Some(near) => fault.help(format!("Write {near}.")),
        None => fault.help(format!(
            "If the characters themselves are meant (a shell's variable), write $${{{kind}}}; if text is meant, put it in quotes."
        )),
    })
}

/// The provider configuration that a reference leads to.
#[derive(Clone, Debug)]
pub struct ResolvedProvider {
    /// The provider's own name, whatever it is called locally: `aws`.
    pub provider: Arc<str>,
    /// The module that has the block.
    pub module: ModulePath,
    /// Position in that module's `providers`; `None` is the default configuration that nobody wrote.
    pub block: Option<usize>,
    /// Which instance of a block with `for_each`, and the module whose scope evaluates it.
    pub key: Option<(Expr, ModulePath)>,
    /// An alias that no block and no call gives.
    pub missing: bool,
}

/// Follows a provider reference through the `providers` maps of module calls and through inheritance.
///
/// # Panics
/// If `module` is not a module of the config.
pub fn provider_for(config: &Config, module: &[Arc<str>], wanted: &ProviderRef) -> ResolvedProvider {
    let mut path: ModulePath = module.to_vec();
    let mut wanted = wanted.clone();
    let provider = provider_name(config, &path, &wanted.name);
    let mut key = wanted.key.take().map(|k| (k, path.clone()));
    loop {
        let at = config.modules.get(&path).expect("callers name modules of the config");
        let block = at.providers.iter().position(|p| p.name == wanted.name && p.alias == wanted.alias);
        let Some((call, parent)) = path.split_last().filter(|_| block.is_none()) else {
            let missing = block.is_none() && wanted.alias.is_some();
            return ResolvedProvider { provider, module: path, block, key, missing };
        };
        let inner = match &wanted.alias {
            Some(alias) => format!("{}.{alias}", wanted.name),
            None => wanted.name.to_string(),
        };
        let caller = config.modules.get(parent).expect("a module's caller is a module of the config");
        match caller.calls.get(call).and_then(|c| c.providers.get(&*inner)) {
            Some(passed) => {
                wanted = passed.clone();
                if let Some(own) = wanted.key.take() {
                    key = Some((own, parent.to_vec()));
                }
            }
            // Only the default configuration is inherited; an alias must be passed.
            None if wanted.alias.is_some() => {
                return ResolvedProvider { provider, module: path, block: None, key, missing: true };
            }
            None => {}
        }
        path = parent.to_vec();
    }
}

/// The provider that a local name stands for: what `required_providers` says, or the name itself.
pub fn provider_name(config: &Config, module: &[Arc<str>], local: &str) -> Arc<str> {
    let required = config.modules.get(module).and_then(|m| m.required_providers.get(local));
    match required.and_then(|r| r.source.rsplit('/').next()) {
        Some(name) => name.into(),
        None => local.into(),
    }
}
