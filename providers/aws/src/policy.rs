//! Policy documents compared by meaning.
//!
//! Two documents mean the same if they differ only in layout, in the order of arrays, in one string against an
//! array of one, in the case of actions, in an account id against its root ARN, or in booleans written as strings.

use serde_json::{Map, Value as Json};

/// Whether two policy documents mean the same; text that is no JSON means just itself.
pub(crate) fn same_meaning(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    match (serde_json::from_str::<Json>(a), serde_json::from_str::<Json>(b)) {
        (Ok(a), Ok(b)) => normal(&a) == normal(&b),
        _ => false,
    }
}

fn normal(document: &Json) -> Json {
    let Json::Object(parts) = document else { return document.clone() };
    let mut out = Map::new();
    for (key, value) in parts {
        let value = match key.as_str() {
            "Statement" => sorted(listed(value).iter().map(statement)),
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Json::Object(out)
}

fn statement(statement: &Json) -> Json {
    let Json::Object(parts) = statement else { return statement.clone() };
    let mut out = Map::new();
    for (key, value) in parts {
        let value = match key.as_str() {
            "Action" | "NotAction" => sorted(listed(value).iter().map(lower)),
            "Resource" | "NotResource" => sorted(listed(value)),
            "Principal" | "NotPrincipal" => principal(value),
            "Condition" => condition(value),
            "Sid" if value.as_str() == Some("") => continue,
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Json::Object(out)
}

fn principal(value: &Json) -> Json {
    let Json::Object(kinds) = value else { return value.clone() };
    let normal = kinds.iter().map(|(kind, ids)| {
        let ids = listed(ids).into_iter().map(|id| if kind == "AWS" { root_arn(&id) } else { id });
        (kind.clone(), sorted(ids))
    });
    Json::Object(normal.collect())
}

/// An account id stands for the root of the account.
fn root_arn(id: &Json) -> Json {
    match id.as_str() {
        Some(text) if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) => {
            Json::String(format!("arn:aws:iam::{text}:root"))
        }
        _ => id.clone(),
    }
}

fn condition(value: &Json) -> Json {
    let Json::Object(tests) = value else { return value.clone() };
    let normal = tests.iter().map(|(test, variables)| {
        let variables = match variables {
            Json::Object(variables) => Json::Object(
                variables
                    .iter()
                    .map(|(name, values)| (name.clone(), sorted(listed(values).iter().map(as_text))))
                    .collect(),
            ),
            other => other.clone(),
        };
        (test.clone(), variables)
    });
    Json::Object(normal.collect())
}

fn as_text(value: &Json) -> Json {
    match value {
        Json::Bool(b) => Json::String(b.to_string()),
        Json::Number(n) => Json::String(n.to_string()),
        other => other.clone(),
    }
}

fn lower(value: &Json) -> Json {
    value.as_str().map_or_else(|| value.clone(), |text| Json::String(text.to_lowercase()))
}

fn listed(value: &Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

fn sorted(items: impl IntoIterator<Item = Json>) -> Json {
    let mut items: Vec<Json> = items.into_iter().collect();
    items.sort_by_key(Json::to_string);
    items.dedup();
    Json::Array(items)
}

/// Decodes the percent-encoding in which IAM returns documents.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meaning_not_layout_is_compared() {
        let table = [
            (r#"{"a":1}"#, r#"{ "a" : 1 }"#, true),
            (r#"{"Statement":{"Action":"s3:Get"}}"#, r#"{"Statement":[{"Action":["s3:get"]}]}"#, true),
            (
                r#"{"Statement":[{"Action":["a","b"],"Sid":""}]}"#,
                r#"{"Statement":[{"Action":["b","a"]}]}"#,
                true,
            ),
            (
                r#"{"Statement":[{"Principal":{"AWS":"123456789012"}}]}"#,
                r#"{"Statement":[{"Principal":{"AWS":["arn:aws:iam::123456789012:root"]}}]}"#,
                true,
            ),
            (
                r#"{"Statement":[{"Condition":{"Bool":{"x":true}}}]}"#,
                r#"{"Statement":[{"Condition":{"Bool":{"x":["true"]}}}]}"#,
                true,
            ),
            (r#"{"Statement":[{"Effect":"Allow"}]}"#, r#"{"Statement":[{"Effect":"Deny"}]}"#, false),
            (r#"{"Statement":[{"Resource":"A"}]}"#, r#"{"Statement":[{"Resource":"a"}]}"#, false),
            ("not json", "not json", true),
            ("not json", "{}", false),
        ];
        for (a, b, same) in table {
            assert_eq!(same_meaning(a, b), same, "{a} {b}");
        }
    }

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(percent_decode("%7B%22a%22%3A%20%22%C3%A4%22%7D"), "{\"a\": \"ä\"}");
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%4"), "%zz%4");
    }
}
