//! Conversions of types and marks.

use super::{Outcome, bad_arg, fail};
use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::convert::convert;
use groma_types::{Marks, Type, Value};

fn to(value: &Value, ty: &Type) -> Outcome {
    match convert(value, ty) {
        // Terraform forgets here what it knew of an unknown value.
        Ok(converted) if value.is_unknown() => Ok(Heritage::shallow([value]).maybe_null(converted.ty())),
        Ok(converted) => Ok(converted),
        Err(why) => {
            bad_arg(0, format!("cannot convert {} to {}: {why}", value.ty().friendly(), ty.friendly()))
        }
    }
}

pub(super) fn tostring(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    to(&args[0], &Type::String)
}
pub(super) fn tonumber(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    to(&args[0], &Type::Number)
}
pub(super) fn tobool(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    to(&args[0], &Type::Bool)
}
pub(super) fn tolist(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    to(&args[0], &Type::list(Type::Dynamic))
}
pub(super) fn toset(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    to(&args[0], &Type::set(Type::Dynamic))
}
pub(super) fn tomap(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    to(&args[0], &Type::map(Type::Dynamic))
}

pub(super) fn sensitive(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(args[0].clone().mark(Marks::SENSITIVE))
}

/// Takes the mark off this value. What is minted is a credential: it stays sensitive.
pub(super) fn nonsensitive(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let marks = args[0].marks();
    Ok(args[0].clone().with_marks(Marks { sensitive: marks.minted, ..marks }))
}

pub(super) fn issensitive(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let marks = args[0].marks();
    // A provider may still mark what it gives, and what has no type yet has the marks of all it may be.
    let open = args[0].as_unknown().is_some_and(|u| !marks.sensitive || u.ty == Type::Dynamic);
    if open {
        return Ok(Heritage::shallow(args).maybe_null(Type::Bool));
    }
    Ok(Value::bool(marks.sensitive))
}

pub(super) fn ephemeralasnull(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(args[0].map_deep(&mut |v| {
        let marks = v.marks();
        if marks.ephemeral {
            return Value::null(v.ty()).with_marks(Marks { ephemeral: false, ..marks });
        }
        v
    }))
}

/// `can` by value: an argument that is here has been evaluated. The evaluator treats calls in expressions.
pub(super) fn can(_: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(Value::bool(true))
}

/// `try` by value, likewise.
pub(super) fn try_first(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    match args.first() {
        Some(value) => Ok(value.clone()),
        None => fail("at least one argument is required"),
    }
}
