//! Identities: the addresses of everything in a configuration. `Display` and the parsers are inverse.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

/// The key of an instance that `count` or `for_each` makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceKey {
    Int(u64),
    Str(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleStep {
    pub name: Arc<str>,
    pub key: Option<InstanceKey>,
}

/// A module instance; the root has no steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleAddr(pub Arc<[ModuleStep]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    Managed,
    Data,
    Ephemeral,
}

/// A resource block in a module instance. Shared: whatever is about the block names it.
#[derive(Clone, Debug, Eq)]
pub struct ResourceAddr(Arc<ResourceParts>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceParts {
    pub module: ModuleAddr,
    pub mode: Mode,
    pub kind: Arc<str>,
    pub name: Arc<str>,
}

/// A shared address reads as its parts, and is compared without looking at them where it is the same one.
macro_rules! shared {
    ($address:ty, $parts:ty) => {
        impl Deref for $address {
            type Target = $parts;

            fn deref(&self) -> &$parts {
                &self.0
            }
        }

        impl PartialEq for $address {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Hash for $address {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl Ord for $address {
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
            }
        }

        impl PartialOrd for $address {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

shared!(ResourceAddr, ResourceParts);
shared!(ProviderAddr, ProviderParts);

/// One instance of a resource block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceAddr {
    pub resource: ResourceAddr,
    pub key: Option<InstanceKey>,
}

/// A provider configuration (one instance of it). Shared, as resources are.
#[derive(Clone, Debug, Eq)]
pub struct ProviderAddr(Arc<ProviderParts>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderParts {
    pub module: ModuleAddr,
    /// Type of the provider: `aws`, `kubernetes`.
    pub name: Arc<str>,
    pub alias: Option<Arc<str>>,
    pub key: Option<InstanceKey>,
}

impl ProviderAddr {
    pub fn new(
        module: ModuleAddr,
        name: Arc<str>,
        alias: Option<Arc<str>>,
        key: Option<InstanceKey>,
    ) -> ProviderAddr {
        ProviderAddr(Arc::new(ProviderParts { module, name, alias, key }))
    }
}

/// Anything that can be a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    Instance(InstanceAddr),
    Resource(ResourceAddr),
    Provider(ProviderAddr),
    Module(ModuleAddr),
    Variable(ModuleAddr, Arc<str>),
    Local(ModuleAddr, Arc<str>),
    Output(ModuleAddr, Arc<str>),
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(pub String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for AddressError {}

impl ModuleAddr {
    pub fn root() -> ModuleAddr {
        ModuleAddr::default()
    }
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
    #[must_use]
    pub fn child(&self, name: &str, key: Option<InstanceKey>) -> ModuleAddr {
        let step = ModuleStep { name: name.into(), key };
        ModuleAddr(self.0.iter().cloned().chain([step]).collect())
    }
    /// The module that calls this one.
    pub fn parent(&self) -> Option<ModuleAddr> {
        let (_, rest) = self.0.split_last()?;
        Some(ModuleAddr(rest.into()))
    }
    /// Names of the calls without keys: the place in the configuration.
    pub fn path(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|s| s.name.clone()).collect()
    }
    fn prefix(&self) -> String {
        if self.is_root() { String::new() } else { format!("{self}.") }
    }
}

impl ResourceAddr {
    pub fn new(module: ModuleAddr, mode: Mode, kind: Arc<str>, name: Arc<str>) -> ResourceAddr {
        ResourceAddr(Arc::new(ResourceParts { module, mode, kind, name }))
    }
    pub fn managed(module: ModuleAddr, kind: &str, name: &str) -> ResourceAddr {
        ResourceAddr::new(module, Mode::Managed, kind.into(), name.into())
    }
    pub fn data(module: ModuleAddr, kind: &str, name: &str) -> ResourceAddr {
        ResourceAddr::new(module, Mode::Data, kind.into(), name.into())
    }
    #[must_use]
    pub fn instance(&self, key: Option<InstanceKey>) -> InstanceAddr {
        InstanceAddr { resource: self.clone(), key }
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceKey::Int(n) => write!(f, "[{n}]"),
            InstanceKey::Str(s) => {
                f.write_str("[\"")?;
                for c in s.chars() {
                    match c {
                        '"' => f.write_str("\\\"")?,
                        '\\' => f.write_str("\\\\")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\t' => f.write_str("\\t")?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"]")
            }
        }
    }
}

fn write_key(f: &mut fmt::Formatter<'_>, key: Option<&InstanceKey>) -> fmt::Result {
    key.map_or(Ok(()), |k| write!(f, "{k}"))
}

impl fmt::Display for ModuleAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            write!(f, "{}module.{}", if i == 0 { "" } else { "." }, step.name)?;
            write_key(f, step.key.as_ref())?;
        }
        Ok(())
    }
}

impl fmt::Display for ResourceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Managed => "",
            Mode::Data => "data.",
            Mode::Ephemeral => "ephemeral.",
        };
        write!(f, "{}{mode}{}.{}", self.module.prefix(), self.kind, self.name)
    }
}

impl fmt::Display for InstanceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.resource)?;
        write_key(f, self.key.as_ref())
    }
}

impl fmt::Display for ProviderAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}provider.{}", self.module.prefix(), self.name)?;
        if let Some(alias) = &self.alias {
            write!(f, ".{alias}")?;
        }
        write_key(f, self.key.as_ref())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Instance(a) => write!(f, "{a}"),
            Address::Resource(a) => write!(f, "{a}"),
            Address::Provider(a) => write!(f, "{a}"),
            Address::Module(a) => write!(f, "{a}"),
            Address::Variable(m, n) => write!(f, "{}var.{n}", m.prefix()),
            Address::Local(m, n) => write!(f, "{}local.{n}", m.prefix()),
            Address::Output(m, n) => write!(f, "{}output.{n}", m.prefix()),
        }
    }
}

/// One `name` or `name[key]` of an address text.
struct Part {
    name: String,
    key: Option<InstanceKey>,
}

fn split(text: &str) -> Result<Vec<Part>, AddressError> {
    let bad = |why: &str| AddressError(format!("{text:?} is not an address: {why}"));
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
        if end == 0 {
            return Err(bad("a name is missing"));
        }
        let name = rest[..end].to_string();
        rest = &rest[end..];
        let mut key = None;
        if let Some(inner) = rest.strip_prefix('[') {
            let (parsed, after) =
                parse_key(inner).ok_or_else(|| bad("a key in [] is an index or a quoted string"))?;
            key = Some(parsed);
            rest = after;
        }
        parts.push(Part { name, key });
        if rest.is_empty() {
            return Ok(parts);
        }
        rest = rest.strip_prefix('.').ok_or_else(|| bad("expected '.' between names"))?;
    }
}

fn parse_key(inner: &str) -> Option<(InstanceKey, &str)> {
    if let Some(body) = inner.strip_prefix('"') {
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return Some((InstanceKey::Str(text.into()), body[at + 1..].strip_prefix(']')?)),
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    other => text.push(other),
                },
                c => text.push(c),
            }
        }
        return None;
    }
    let (digits, after) = inner.split_once(']')?;
    Some((InstanceKey::Int(digits.parse().ok()?), after))
}

/// Reads a whole address of a resource block or instance.
fn parse_resource(text: &str) -> Result<InstanceAddr, AddressError> {
    let mut parts = split(text)?.into_iter().peekable();
    let bad = |why: &str| AddressError(format!("{text:?} is not a resource address: {why}"));
    let module = take_modules(&mut parts).ok_or_else(|| bad("a module name is missing"))?;
    let mut next = || parts.next().ok_or_else(|| bad("a resource is TYPE.NAME"));
    let mut first = next()?;
    let mode = match first.name.as_str() {
        "data" => Mode::Data,
        "ephemeral" => Mode::Ephemeral,
        _ => Mode::Managed,
    };
    if mode != Mode::Managed {
        first = next()?;
    }
    let last = next()?;
    if first.key.is_some() || parts.next().is_some() {
        return Err(bad("only the last name may have a key, and nothing follows it"));
    }
    let resource = ResourceAddr::new(module, mode, first.name.into(), last.name.into());
    Ok(InstanceAddr { resource, key: last.key })
}

fn take_modules(parts: &mut std::iter::Peekable<impl Iterator<Item = Part>>) -> Option<ModuleAddr> {
    let mut steps = Vec::new();
    while parts.next_if(|p| p.name == "module" && p.key.is_none()).is_some() {
        let part = parts.next()?;
        steps.push(ModuleStep { name: part.name.into(), key: part.key });
    }
    Some(ModuleAddr(steps.into()))
}

impl FromStr for InstanceAddr {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<InstanceAddr, AddressError> {
        parse_resource(text)
    }
}

impl FromStr for ResourceAddr {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<ResourceAddr, AddressError> {
        let addr = parse_resource(text)?;
        match addr.key {
            None => Ok(addr.resource),
            Some(_) => Err(AddressError(format!("{text:?} names an instance, not a resource"))),
        }
    }
}

impl FromStr for ModuleAddr {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<ModuleAddr, AddressError> {
        if text.is_empty() {
            return Ok(ModuleAddr::root());
        }
        let bad = || AddressError(format!("{text:?} is not a module address"));
        let mut parts = split(text)?.into_iter().peekable();
        let module = take_modules(&mut parts).ok_or_else(bad)?;
        if parts.next().is_some() { Err(bad()) } else { Ok(module) }
    }
}

impl FromStr for ProviderAddr {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<ProviderAddr, AddressError> {
        let bad = || AddressError(format!("{text:?} is not a provider address"));
        let mut parts = split(text)?.into_iter().peekable();
        let module = take_modules(&mut parts).ok_or_else(bad)?;
        let parts: Vec<Part> = parts.collect();
        match parts.as_slice() {
            [p, name] if p.name == "provider" => {
                Ok(ProviderAddr::new(module, name.name.as_str().into(), None, name.key.clone()))
            }
            [p, name, alias] if p.name == "provider" && name.key.is_none() => Ok(ProviderAddr::new(
                module,
                name.name.as_str().into(),
                Some(alias.name.as_str().into()),
                alias.key.clone(),
            )),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_and_parse_are_inverse() {
        for text in
            ["aws_vpc.main", "data.aws_vpc.main[0]", "module.a[\"x\\\"y.z\"].module.b.aws_vpc.main[\"k\"]"]
        {
            assert_eq!(text.parse::<InstanceAddr>().unwrap().to_string(), text);
        }
        for text in ["provider.aws", "module.m.provider.aws.eu[\"de\"]"] {
            assert_eq!(text.parse::<ProviderAddr>().unwrap().to_string(), text);
        }
        for text in ["", "a", "a..b", "a.b.c", "a.b[", "a.b[x]", "a.b[\"x]"] {
            assert!(text.parse::<InstanceAddr>().is_err(), "{text}");
        }
    }
}
