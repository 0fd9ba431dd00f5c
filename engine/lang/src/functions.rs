//! The functions of the language: one table with name, parameters and words, and the rules of a call.
//!
//! A call converts its arguments to the types of the parameters, refuses nulls where none are meant, and
//! for most functions answers unknown arguments by an unknown result and gives the result the marks of all
//! arguments, inside and out. Functions that can tell more of unknowns, or keep the marks of elements where
//! they are, are `partial`: they see their arguments as they are.

mod charsets;
mod cidr;
mod collections;
mod conversions;
mod dates;
mod encoding;
mod files;
mod format;
mod gzip;
mod hashes;
mod json;
mod logarithms;
mod numbers;
mod regexes;
mod sets;
mod signatures;
mod strings;
mod table;
mod terraform;
mod yaml;

use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::convert::convert;
use groma_types::{Type, Value};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

pub use signatures::Parameter;
pub use table::FUNCTIONS;
pub use yaml::documents as yaml_documents;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Any,
    /// Any, and null as well.
    Nullable,
    String,
    Number,
    Bool,
    ListOfString,
    ListOfBool,
    ListOfNumber,
    ListOfAny,
    SetOfAny,
    SetOfString,
    MapOfLists,
}

impl Want {
    pub(crate) fn ty(self) -> Type {
        match self {
            Want::Any | Want::Nullable => Type::Dynamic,
            Want::String => Type::String,
            Want::Number => Type::Number,
            Want::Bool => Type::Bool,
            Want::ListOfString => Type::list(Type::String),
            Want::ListOfBool => Type::list(Type::Bool),
            Want::ListOfNumber => Type::list(Type::Number),
            Want::SetOfString => Type::set(Type::String),
            Want::ListOfAny => Type::list(Type::Dynamic),
            Want::SetOfAny => Type::set(Type::Dynamic),
            Want::MapOfLists => Type::map(Type::list(Type::String)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    pub name: &'static str,
    pub want: Want,
}

pub(crate) type Outcome = Result<Value, FunctionError>;
type Run = fn(&[Value], &dyn FunctionHost) -> Outcome;

/// How a function meets unknowns and marks.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// Sees only known values without marks; else the result is unknown and of this type.
    Known(Want),
    /// Like `Known`, but of an unknown result not even that it is no null is said.
    KnownOrNull(Want),
    /// Sees its arguments as they are.
    Partial,
    /// Like `Known`, but looks at the world.
    Impure(Want),
    /// Like `Partial`, but looks at the world.
    PartialImpure,
}

/// One function.
pub struct Function {
    pub name: &'static str,
    pub params: &'static [Param],
    /// Takes any number of further arguments like this.
    pub rest: Option<Param>,
    pub doc: &'static str,
    pub(crate) manner: Manner,
    pub(crate) run: Run,
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionErrorKind {
    /// The argument at this position is wrong.
    Argument(usize),
    /// There is no parameter for the argument at this position.
    TooMany(usize),
    NotEnough,
    /// There is no such function.
    Unknown,
    /// The arguments are fine by themselves; the work failed.
    Call,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    pub kind: FunctionErrorKind,
    /// Without a period at the end.
    pub message: String,
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for FunctionError {}

pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T, FunctionError> {
    Err(FunctionError { kind: FunctionErrorKind::Call, message: message.into() })
}

pub(crate) fn bad_arg<T>(index: usize, message: impl Into<String>) -> Result<T, FunctionError> {
    Err(FunctionError { kind: FunctionErrorKind::Argument(index), message: message.into() })
}

/// Finds a function by its name, with or without `core::`; those of Terraform's own provider by `provider::terraform::`.
pub fn find(name: &str) -> Option<&'static Function> {
    if name.starts_with("provider::") {
        return terraform::TERRAFORM.iter().find(|f| f.name == name);
    }
    let name = name.strip_prefix("core::").unwrap_or(name);
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &FUNCTIONS[i])
}

/// All names, for suggestions and documentation.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|f| f.name)
}

/// Whether the result depends on more than the arguments.
pub fn is_impure(name: &str) -> bool {
    find(name).is_some_and(|f| matches!(f.manner, Manner::Impure(_) | Manner::PartialImpure))
}

impl Function {
    fn param(&self, index: usize) -> Option<&Param> {
        self.params.get(index).or(self.rest.as_ref())
    }

    pub(crate) fn check_count(&self, count: usize) -> Result<(), FunctionError> {
        if count < self.params.len() {
            let least = if self.rest.is_some() { " at least" } else { "" };
            let (wanted, missing) = (self.params.len(), self.params[count].name);
            let message = format!("expects{least} {wanted} argument(s), missing value for {missing:?}");
            return Err(FunctionError { kind: FunctionErrorKind::NotEnough, message });
        }
        if self.rest.is_none() && count > self.params.len() {
            let message = format!("expects only {} argument(s)", self.params.len());
            return Err(FunctionError { kind: FunctionErrorKind::TooMany(self.params.len()), message });
        }
        Ok(())
    }

    /// Calls the function.
    ///
    /// # Errors
    /// The arguments do not fit, or the work failed.
    pub fn call(&self, args: &[Value], host: &dyn FunctionHost) -> Outcome {
        self.check_count(args.len())?;
        let mut converted = Vec::with_capacity(args.len());
        for (i, arg) in args.iter().enumerate() {
            let want = self.param(i).map_or(Want::Any, |p| p.want);
            let arg = match convert(arg, &want.ty()) {
                Ok(arg) => arg,
                Err(why) => return bad_arg(i, why.to_string()),
            };
            if arg.is_null() && want != Want::Nullable {
                return bad_arg(i, "argument must not be null");
            }
            converted.push(arg);
        }
        let (Manner::Known(gives) | Manner::KnownOrNull(gives) | Manner::Impure(gives)) = self.manner else {
            return (self.run)(&converted, host).map(normalized);
        };
        let heritage = Heritage::deep(&converted);
        if !converted.iter().all(Value::is_wholly_known) {
            let maybe_null = matches!(self.manner, Manner::KnownOrNull(_));
            return Ok(if maybe_null {
                heritage.maybe_null(gives.ty())
            } else {
                heritage.unknown(gives.ty())
            });
        }
        let bare: Vec<Value> = converted.iter().map(|v| v.unmark_deep().0).collect();
        Ok(heritage.known(normalized((self.run)(&bare, host)?)))
    }
}

/// Strings are kept in Unicode normal form C, so that equal texts are equal.
fn normalized(value: Value) -> Value {
    let plain = |s: &str| s.is_ascii() || unicode_normalization::is_nfc(s);
    let mut all_plain = true;
    value.walk(&mut |v| all_plain &= v.as_str().is_none_or(plain));
    if all_plain {
        return value;
    }
    value.map_deep(&mut |v| match v.as_str() {
        Some(s) if !plain(s) => Value::string(s.nfc().collect::<String>()).mark(v.marks()),
        _ => v,
    })
}

/// The text of an argument that was converted to a string.
pub(crate) fn text(args: &[Value], index: usize) -> &str {
    args.get(index).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at an argument that was converted to a number.
pub(crate) fn whole(args: &[Value], index: usize) -> Result<i64, FunctionError> {
    match args.get(index).and_then(Value::as_i64) {
        Some(n) => Ok(n),
        None => fail(format!("value must be a whole number, between {} and {}", i64::MIN, i64::MAX)),
    }
}

pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_seq().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_says_what_each_does() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        for f in FUNCTIONS {
            assert!(f.doc.ends_with('.'), "{}", f.name);
        }
    }
}
