//! Signatures of functions in the shape of `terraform metadata functions -json`.

use groma_lang::functions::{FUNCTIONS, Function, Parameter};
use groma_types::json::type_to_json;
use serde_json::{Map, Value as Json, json};

/// All functions, each also under its name with `core::`.
pub(crate) fn all() -> Json {
    let mut all = Map::new();
    for function in FUNCTIONS {
        let signature = signature(function);
        all.insert(format!("core::{}", function.name), signature.clone());
        all.insert(function.name.to_string(), signature);
    }
    json!({ "format_version": "1.0", "function_signatures": all })
}

/// The same as it stands beside a call that failed: there the words for parameters are shorter.
pub(crate) fn of_call(function: &Function) -> Json {
    let mut signature = json!({ "name": function.name, "return_type": type_to_json(&function.returns()) });
    let parameters: Vec<Json> = function.parameters().iter().map(parameter).collect();
    if !parameters.is_empty() {
        signature["params"] = parameters.into();
    }
    if let Some(more) = function.variadic() {
        signature["variadic_param"] = parameter(&more);
    }
    signature
}

fn signature(function: &Function) -> Json {
    let mut signature = Map::new();
    signature.insert("description".into(), function.doc.into());
    signature.insert("return_type".into(), type_to_json(&function.returns()));
    let parameters: Vec<Json> = function.parameters().iter().map(parameter).collect();
    if !parameters.is_empty() {
        signature.insert("parameters".into(), parameters.into());
    }
    if let Some(more) = function.variadic() {
        signature.insert("variadic_parameter".into(), parameter(&more));
    }
    Json::Object(signature)
}

fn parameter(parameter: &Parameter) -> Json {
    let mut told = Map::new();
    told.insert("name".into(), parameter.name.into());
    if parameter.is_nullable {
        told.insert("is_nullable".into(), true.into());
    }
    told.insert("type".into(), type_to_json(&parameter.ty));
    Json::Object(told)
}
