//! Operators and the conditional.

use super::Eval;
use crate::ast::{Binary, Id, Unary};
use crate::expr::Expr;
use crate::unknown::{Heritage, equal, length_bounds, never_null, number_bounds};
use groma_types::convert::{convert, unify};
use groma_types::{Diagnostic, Number, Refinements, Span, Type, Value, ValueKind};

impl Eval<'_> {
    pub(super) fn unary(&mut self, expr: &Expr, op: Unary, operand: Id) -> Value {
        let span = expr.tree().span(operand);
        let value = self.eval_id(expr, operand);
        let ty = if op == Unary::Not { Type::Bool } else { Type::Number };
        let Some(value) = self.operand(&value, &ty, span) else { return Value::unknown(ty) };
        let heritage = Heritage::shallow([&value]);
        match (op, value.kind()) {
            (Unary::Not, ValueKind::Bool(b)) => heritage.known(!b),
            (Unary::Neg, ValueKind::Number(n)) => heritage.known(Value::number(n.neg())),
            _ => heritage.unknown(ty),
        }
    }

    /// Converts an operand; null is no operand.
    fn operand(&mut self, value: &Value, ty: &Type, span: Span) -> Option<Value> {
        match convert(value, ty) {
            Err(why) => {
                self.error(
                    Diagnostic::error("G0110", "Invalid operand")
                        .detail(format!("Unsuitable value for this operator: {why}."))
                        .at(span, format!("a {} is required", ty.friendly())),
                );
                None
            }
            Ok(value) if value.is_null() => {
                self.error(
                    Diagnostic::error("G0110", "Operation failed")
                        .detail("Error during operation: argument must not be null.")
                        .at(span, "is null"),
                );
                None
            }
            Ok(value) => Some(value),
        }
    }

    pub(super) fn binary(&mut self, expr: &Expr, op: Binary, a: Id, b: Id) -> Value {
        let (left, right) = (self.eval_id(expr, a), self.eval_id(expr, b));
        if matches!(op, Binary::Equal | Binary::NotEqual) {
            let heritage = Heritage::deep([&left, &right]);
            return match equal(&left, &right) {
                Some(same) => heritage.known(same == (op == Binary::Equal)),
                None => heritage.unknown(Type::Bool),
            };
        }
        let logic = matches!(op, Binary::And | Binary::Or);
        let ty = if logic { Type::Bool } else { Type::Number };
        let result = if op.precedence() >= Binary::Add.precedence() { Type::Number } else { Type::Bool };
        let left = self.operand(&left, &ty, expr.tree().span(a));
        let right = self.operand(&right, &ty, expr.tree().span(b));
        let (Some(left), Some(right)) = (left, right) else { return Value::unknown(result) };
        let heritage = Heritage::shallow([&left, &right]);
        match (left.kind(), right.kind()) {
            (ValueKind::Bool(x), ValueKind::Bool(y)) => {
                heritage.known(if op == Binary::And { *x && *y } else { *x || *y })
            }
            (ValueKind::Number(x), ValueKind::Number(y)) => match numeric(op, x, y) {
                Ok(value) => heritage.known(value),
                Err(why) => {
                    self.error(
                        Diagnostic::error("G0110", "Operation failed")
                            .detail(format!("Error during operation: {why}."))
                            .at(expr.span(), "has no result"),
                    );
                    Value::unknown(result)
                }
            },
            _ => match by_bounds(op, &left, &right) {
                Some(known) => heritage.known(known),
                None => heritage.unknown(result),
            },
        }
    }

    pub(super) fn conditional(&mut self, expr: &Expr, condition: Id, a: Id, b: Id) -> Value {
        let span = expr.tree().span(condition);
        let (yes, yes_faults) = self.apart(&expr.at(a));
        let (no, no_faults) = self.apart(&expr.at(b));
        let Some(ty) = common_type(&yes, &no) else {
            let (yes, no) = (yes.ty(), no.ty());
            return self.error(
                Diagnostic::error("G0112", "Inconsistent conditional result types")
                    .detail(format!(
                        "The true and false result expressions must have consistent types: the 'true' value is {}, the 'false' value is {}.",
                        yes.friendly(),
                        no.friendly()
                    ))
                    .help("convert one of them, for example with tostring() or tolist()")
                    .at(expr.span(), "no common type"),
            );
        };
        let value = self.eval_id(expr, condition);
        if value.is_null() {
            self.error(
                Diagnostic::error("G0112", "Null condition")
                    .detail("The condition value is null. Conditions must either be true or false.")
                    .at(span, "is null"),
            );
            return Value::unknown(ty);
        }
        if value.is_unknown() {
            return either(&value, &yes, &no, ty);
        }
        let Ok(chosen) = convert(&value, &Type::Bool) else {
            self.error(
                Diagnostic::error("G0112", "Incorrect condition type")
                    .detail("The condition expression must be of type bool.")
                    .at(span, "a bool is required"),
            );
            return Value::unknown(ty);
        };
        let Some(chosen) = chosen.as_bool() else {
            return either(&value, &yes, &no, ty);
        };
        let (taken, faults) = if chosen { (yes, yes_faults) } else { (no, no_faults) };
        self.diagnostics.extend(faults);
        let heritage = Heritage::shallow([&value]);
        match convert(&taken, &ty) {
            Ok(taken) => heritage.known(taken),
            Err(why) => {
                self.error(
                    Diagnostic::error("G0112", "Inconsistent conditional result types")
                        .detail(format!("The result value has the wrong type: {why}."))
                        .at(expr.span(), "does not convert"),
                );
                Value::unknown(ty)
            }
        }
    }
}

/// The type of a conditional, from the types of its arms; `None` if they have none in common.
fn common_type(yes: &Value, no: &Value) -> Option<Type> {
    let bare_null = |v: &Value| matches!(v.kind(), ValueKind::Null(Type::Dynamic));
    if bare_null(yes) {
        return Some(no.ty());
    }
    if bare_null(no) {
        return Some(yes.ty());
    }
    let (a, b) = (yes.ty(), no.ty());
    // While a type is open the arm that is taken stays as it is, like in Terraform.
    if a == Type::Dynamic || b == Type::Dynamic {
        return Some(Type::Dynamic);
    }
    unify(&[a, b])
}

/// The result while the condition is not known: what holds for both arms.
fn either(condition: &Value, yes: &Value, no: &Value, ty: Type) -> Value {
    let heritage = Heritage::deep([condition, yes, no]);
    let mut refine = Refinements { not_null: never_null(yes) && never_null(no), ..Refinements::default() };
    if ty.is_collection() && yes.ty() == ty && no.ty() == ty && refine.not_null {
        let ((a_min, a_max), (b_min, b_max)) = (length_bounds(yes), length_bounds(no));
        refine.len_min = a_min.min(b_min);
        refine.len_max = a_max.zip(b_max).map(|(a, b)| a.max(b));
    }
    if ty == Type::Number
        && refine.not_null
        && let (Some(a), Some(b)) = (counted(yes), counted(no))
    {
        refine.len_min = a.0.min(b.0);
        refine.len_max = Some(a.1.max(b.1));
    }
    heritage.refined(ty, refine)
}

/// Bounds of a number that is not negative.
fn counted(value: &Value) -> Option<(usize, usize)> {
    let (min, max) = number_bounds(value)?;
    let floor = usize::try_from(min.floor().to_u64()?).ok()?;
    Some((floor, usize::try_from(max.ceil().to_u64()?).ok()?))
}

/// What a comparison gives for all numbers within the bounds of both sides, if that is one answer.
fn by_bounds(op: Binary, left: &Value, right: &Value) -> Option<bool> {
    let ((a_min, a_max), (b_min, b_max)) = (number_bounds(left)?, number_bounds(right)?);
    // Where the bounds touch Terraform does not tell either.
    let (always, never) = match op {
        Binary::Less | Binary::LessEqual => (a_max < b_min, a_min > b_max),
        Binary::Greater | Binary::GreaterEqual => (a_min > b_max, a_max < b_min),
        _ => return None,
    };
    (always || never).then_some(always)
}

fn numeric(op: Binary, x: &Number, y: &Number) -> Result<Value, &'static str> {
    let number = match op {
        Binary::Less => return Ok(Value::bool(x < y)),
        Binary::LessEqual => return Ok(Value::bool(x <= y)),
        Binary::Greater => return Ok(Value::bool(x > y)),
        Binary::GreaterEqual => return Ok(Value::bool(x >= y)),
        _ if x.is_infinite() || y.is_infinite() => infinite(op, x.to_f64(), y.to_f64())?,
        Binary::Sub => x.sub(y),
        Binary::Mul => x.mul(y),
        Binary::Div => match x.div(y) {
            Some(quotient) => quotient,
            None if x.is_zero() => return Err("can't divide zero by zero"),
            None => Number::infinity(x.is_negative()),
        },
        // Terraform gives back the dividend here.
        Binary::Rem => x.rem(y).unwrap_or_else(|| x.clone()),
        _ => x.add(y),
    };
    Ok(Value::number(number))
}

fn infinite(op: Binary, x: f64, y: f64) -> Result<Number, &'static str> {
    let result = match op {
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div => x / y,
        Binary::Rem => f64::NAN,
        _ => x + y,
    };
    match Number::from_f64(result) {
        Some(n) => Ok(n),
        None if result.is_nan() => Err(match op {
            Binary::Sub => "can't subtract infinity from itself",
            Binary::Mul => "can't multiply zero by infinity",
            Binary::Div => "can't divide zero by zero or infinity by infinity",
            Binary::Rem => "can't use modulo with infinity",
            _ => "can't compute sum of opposing infinities",
        }),
        None => Ok(Number::infinity(result < 0.0)),
    }
}
