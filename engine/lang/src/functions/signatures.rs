//! What functions take and give, as Terraform tells it: `terraform metadata functions`.

use super::{Function, Manner, Param, Want};
use groma_types::Type;

/// Results of functions that see unknowns and marks themselves; those that are not here give a value of any type.
const RETURNS: &[(&str, Want)] = &[
    ("alltrue", Want::Bool),
    ("anytrue", Want::Bool),
    ("can", Want::Bool),
    ("distinct", Want::ListOfAny),
    ("issensitive", Want::Bool),
    ("jsonencode", Want::String),
    ("length", Want::Number),
    ("regexall", Want::ListOfAny),
    ("setintersection", Want::SetOfAny),
    ("setsubtract", Want::SetOfAny),
    ("setunion", Want::SetOfAny),
    ("sort", Want::ListOfString),
    ("startswith", Want::Bool),
    ("templatestring", Want::String),
    ("tobool", Want::Bool),
    ("tolist", Want::ListOfAny),
    ("tonumber", Want::Number),
    ("toset", Want::SetOfAny),
    ("tostring", Want::String),
];

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub ty: Type,
    pub is_nullable: bool,
}

impl Function {
    /// The type of the result, as far as it does not depend on the arguments.
    pub fn returns(&self) -> Type {
        match self.manner {
            Manner::Known(want) | Manner::KnownOrNull(want) | Manner::Impure(want) => want.ty(),
            Manner::Partial | Manner::PartialImpure => match self.name {
                "chunklist" => Type::list(Type::list(Type::Dynamic)),
                "tomap" => Type::map(Type::Dynamic),
                name => RETURNS
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map_or(Type::Dynamic, |(_, want)| want.ty()),
            },
        }
    }

    /// The parameters that each call gives.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.params.iter().map(|param| self.parameter(param)).collect()
    }

    /// What any number of further arguments are.
    pub fn variadic(&self) -> Option<Parameter> {
        self.rest.as_ref().map(|param| self.parameter(param))
    }

    fn parameter(&self, param: &Param) -> Parameter {
        let (ty, is_nullable) = match (self.name, param.name) {
            // It is looked at unevaluated; what it names must be a string.
            ("templatestring", "template") => (Type::String, false),
            // Terraform does not tell, and takes nulls.
            ("try", _) => (Type::Dynamic, false),
            _ => (param.want.ty(), param.want == Want::Nullable),
        };
        Parameter { name: param.name, ty, is_nullable }
    }
}
