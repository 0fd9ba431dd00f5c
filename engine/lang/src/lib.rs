//! The expression language: text to trees, trees to values.
//!
//! Terraform's expressions with Terraform's results, over [`groma_types::Value`] with its marks. Nothing
//! here reads files or clocks: impure functions ask a [`eval::FunctionHost`], names a [`eval::Scope`].

mod ast;
pub mod document;
pub mod eval;
pub mod expr;
pub mod format;
pub mod functions;
mod lexer;
mod parser;
mod print;
#[cfg(test)]
mod soundness;
pub mod text;
pub mod types_syntax;
mod unknown;

pub use eval::{FunctionHost, Scope, call_function, evaluate};
pub use expr::{Expr, RefStep, Reference};
pub use parser::{NESTING_MAX, parse_expression, parse_template, parse_traversal};
pub use text::Text;
