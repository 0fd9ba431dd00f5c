//! `moved` blocks as patterns over addresses: which address goes where, in which order, and which of them contradict
//! each other.
//!
//! As in Terraform: where one end is an instance both are, so that `a` and `a[0]` mean the instance without a key and the
//! first one; where neither is, the whole block or call moves and its instances keep their keys. What a module says holds in
//! each of its instances.

use super::{Config, ModulePath, Moved, Named};
use groma_types::{
    InstanceAddr, InstanceKey, Mode, ModuleAddr, ModuleStep, ResourceAddr, ResourceParts, Span,
};
use std::fmt;
use std::sync::Arc;

/// A key in a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Any,
    Is(Option<InstanceKey>),
}

impl Key {
    fn takes(&self, key: Option<&InstanceKey>) -> bool {
        match self {
            Key::Any => true,
            Key::Is(own) => own.as_ref() == key,
        }
    }

    fn meets(&self, other: &Key) -> bool {
        match (self, other) {
            (Key::Is(a), Key::Is(b)) => a == b,
            _ => true,
        }
    }
}

/// What stands at an end of a move, behind the modules that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tail {
    /// The last module step is what moves.
    Module,
    Resource {
        mode: Mode,
        kind: Arc<str>,
        name: Arc<str>,
        key: Key,
    },
}

/// One end of a move: a pattern over addresses of the whole stack.
#[derive(Clone, Debug)]
pub struct End {
    /// As written, for people.
    written: Named,
    base: ModulePath,
    steps: Vec<(Arc<str>, Key)>,
    tail: Tail,
}

impl PartialEq for End {
    fn eq(&self, other: &End) -> bool {
        self.steps == other.steps && self.tail == other.tail
    }
}

/// A move that is told or follows from a changed expansion.
#[derive(Clone, Debug)]
pub struct Move {
    pub from: End,
    pub to: End,
    pub span: Span,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.base {
            write!(f, "module.{name}.")?;
        }
        write!(f, "{}", self.written)
    }
}

impl End {
    /// `exact`: what has no key is the instance without one, not all instances.
    fn new(base: &ModulePath, named: &Named, exact: bool) -> End {
        let last = |key: &Option<InstanceKey>| match key {
            None if !exact => Key::Any,
            key => Key::Is(key.clone()),
        };
        let (module, tail) = match named {
            Named::Module(module) => (module, Tail::Module),
            Named::Resource(InstanceAddr { resource, key }) => {
                let ResourceParts { module, mode, kind, name } = &**resource;
                let (kind, name, key) = (kind.clone(), name.clone(), last(key));
                (module, Tail::Resource { mode: *mode, kind, name, key })
            }
        };
        let mut steps: Vec<(Arc<str>, Key)> = base.iter().map(|name| (name.clone(), Key::Any)).collect();
        let written = module.0.iter().map(|step| (step.name.clone(), Key::Is(step.key.clone())));
        steps.extend(written);
        if let (Tail::Module, Some(step)) = (&tail, module.0.last()) {
            steps.pop();
            steps.push((step.name.clone(), last(&step.key)));
        }
        End { written: named.clone(), base: base.clone(), steps, tail }
    }

    /// The modules that lead to it, by name. For a module: its own name is the last.
    pub fn path(&self) -> ModulePath {
        self.steps.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The module whose block says it.
    pub fn base(&self) -> &ModulePath {
        &self.base
    }

    pub fn named(&self) -> &Named {
        &self.written
    }

    /// Whether it names a block, or instances of it.
    pub fn names_block(&self, address: &ResourceAddr) -> bool {
        self.tail_takes(address) && self.steps_take(&address.module)
    }

    fn tail_takes(&self, address: &ResourceAddr) -> bool {
        matches!(&self.tail, Tail::Resource { mode, kind, name, .. }
            if (mode, kind, name) == (&address.mode, &address.kind, &address.name))
    }

    fn steps_take(&self, module: &ModuleAddr) -> bool {
        self.steps.len() == module.0.len() && self.leads(module)
    }

    /// Whether its steps are the first ones of a module's address.
    fn leads(&self, module: &ModuleAddr) -> bool {
        let pairs = self.steps.iter().zip(module.0.iter());
        self.steps.len() <= module.0.len()
            && pairs.clone().all(|((name, key), step)| *name == step.name && key.takes(step.key.as_ref()))
    }

    /// Whether it names all instances of a block or call.
    pub fn is_whole(&self) -> bool {
        match &self.tail {
            Tail::Module => self.steps.last().is_some_and(|(_, key)| *key == Key::Any),
            Tail::Resource { key, .. } => *key == Key::Any,
        }
    }

    /// Whether it names a module instance.
    pub fn is_module(&self, module: &ModuleAddr) -> bool {
        self.tail == Tail::Module && self.steps_take(module)
    }

    /// Whether an address is what it names, or lies in it.
    pub fn takes(&self, address: &InstanceAddr) -> bool {
        match &self.tail {
            Tail::Module => self.leads(&address.resource.module),
            Tail::Resource { key, .. } => {
                self.names_block(&address.resource) && key.takes(address.key.as_ref())
            }
        }
    }

    /// Whether there may be an address that both name.
    fn overlaps(&self, other: &End) -> bool {
        let tails = match (&self.tail, &other.tail) {
            (Tail::Module, Tail::Module) => true,
            (
                Tail::Resource { mode, kind, name, key },
                Tail::Resource { mode: mode2, kind: kind2, name: name2, key: key2 },
            ) => (mode, kind, name) == (mode2, kind2, name2) && key.meets(key2),
            _ => false,
        };
        tails && self.steps.len() == other.steps.len() && steps_meet(&self.steps, &other.steps)
    }

    /// Whether it may lie in a module that another names.
    fn lies_in(&self, other: &End) -> bool {
        let is_deeper = self.steps.len() > other.steps.len()
            || (self.steps.len() == other.steps.len() && self.tail != Tail::Module);
        other.tail == Tail::Module && is_deeper && steps_meet(&self.steps, &other.steps)
    }
}

fn steps_meet(a: &[(Arc<str>, Key)], b: &[(Arc<str>, Key)]) -> bool {
    a.iter().zip(b).all(|((name, key), (name2, key2))| name == name2 && key.meets(key2))
}

impl Move {
    pub fn new(base: &ModulePath, from: &Named, to: &Named, span: Span) -> Move {
        let key = |named: &Named| match named {
            Named::Module(module) => module.0.last().and_then(|step| step.key.clone()),
            Named::Resource(address) => address.key.clone(),
        };
        let exact = key(from).is_some() || key(to).is_some();
        Move { from: End::new(base, from, exact), to: End::new(base, to, exact), span }
    }

    /// A move of one instance, by its whole address.
    pub fn of_instance(from: &InstanceAddr, to: &InstanceAddr, span: Span) -> Move {
        let end = |address: &InstanceAddr| End::new(&Vec::new(), &Named::Resource(address.clone()), true);
        Move { from: end(from), to: end(to), span }
    }

    pub fn is_of_module(&self) -> bool {
        self.from.tail == Tail::Module
    }

    /// Whether both ends are resources of different kinds.
    pub fn changes_kind(&self) -> bool {
        match (&self.from.tail, &self.to.tail) {
            (Tail::Resource { kind: from, .. }, Tail::Resource { kind: to, .. }) => from != to,
            _ => false,
        }
    }

    /// Where an address goes.
    pub fn destination(&self, address: &InstanceAddr) -> Option<InstanceAddr> {
        if !self.from.takes(address) {
            return None;
        }
        let old = &address.resource;
        let inside = &old.module.0[self.from.steps.len()..];
        let module = self.module_of(&old.module, inside);
        let moved = match &self.to.tail {
            Tail::Module => ResourceAddr::new(module, old.mode, old.kind.clone(), old.name.clone())
                .instance(address.key.clone()),
            Tail::Resource { mode, kind, name, key } => {
                let key = match key {
                    Key::Any => address.key.clone(),
                    Key::Is(key) => key.clone(),
                };
                ResourceAddr::new(module, *mode, kind.clone(), name.clone()).instance(key)
            }
        };
        Some(moved)
    }

    /// The module instance that an address comes to. A key that the pattern leaves open is the old one's.
    fn module_of(&self, old: &ModuleAddr, inside: &[ModuleStep]) -> ModuleAddr {
        let is_last = |i: usize| self.is_of_module() && i + 1 == self.to.steps.len();
        let steps = self.to.steps.iter().enumerate().map(|(i, (name, key))| {
            let kept = if is_last(i) { old.0.get(self.from.steps.len() - 1) } else { old.0.get(i) };
            let key = match key {
                Key::Any => kept.and_then(|step| step.key.clone()),
                Key::Is(key) => key.clone(),
            };
            ModuleStep { name: name.clone(), key }
        });
        ModuleAddr(steps.chain(inside.iter().cloned()).collect())
    }

    /// The module instance that takes in all of a module, if it moves modules and takes this address.
    pub fn module_destination(&self, address: &InstanceAddr) -> Option<ModuleAddr> {
        let moved = self.is_of_module().then(|| self.destination(address)).flatten()?;
        Some(ModuleAddr(moved.resource.module.0[..self.to.steps.len()].into()))
    }

    /// Whether another move must be made before this one.
    fn follows(&self, other: &Move) -> bool {
        let is_wider = self.from.is_whole() && !other.from.is_whole();
        (is_wider && self.from.overlaps(&other.from))
            || self.from.overlaps(&other.to)
            || self.from.lies_in(&other.to)
            || other.to.lies_in(&self.from)
            || other.from.lies_in(&self.from)
            || self.to.lies_in(&other.to)
    }
}

/// All moves that the modules tell, as written.
pub fn told(config: &Config) -> Vec<Move> {
    let of = |path: &ModulePath, moved: &[Moved]| -> Vec<Move> {
        moved.iter().map(|m| Move::new(path, &m.from, &m.to, m.span)).collect()
    };
    config.modules.iter().flat_map(|(path, module)| of(path, &module.moved)).collect()
}

/// Moves in the order in which they are made: as told, but each after those that it follows.
///
/// # Errors
/// Some wait for each other: these.
pub fn in_order(moves: Vec<Move>) -> Result<Vec<Move>, Vec<Move>> {
    let follows = |i: usize| {
        let others = (0..moves.len()).filter(move |j| i != *j);
        others.filter(|j| moves[i].follows(&moves[*j])).collect::<Vec<usize>>()
    };
    let waits: Vec<Vec<usize>> = (0..moves.len()).map(follows).collect();
    let mut done = vec![false; moves.len()];
    let mut order = Vec::new();
    while let Some(next) = (0..moves.len()).find(|i| !done[*i] && waits[*i].iter().all(|j| done[*j])) {
        done[next] = true;
        order.push(next);
    }
    match order.len() == moves.len() {
        true => Ok(order.into_iter().map(|i| moves[i].clone()).collect()),
        false => Err(moves.into_iter().zip(done).filter(|(_, done)| !done).map(|(one, _)| one).collect()),
    }
}
