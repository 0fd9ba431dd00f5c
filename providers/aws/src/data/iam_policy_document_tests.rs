use super::*;
use crate::values::{conform, one, tuple_of};

fn config(attrs: Vec<(&'static str, Value)>) -> Value {
    conform(&PolicyDocument.schema().block, &Value::object(attrs)).unwrap()
}

fn statement(attrs: Vec<(&'static str, Value)>) -> Value {
    Value::object(attrs)
}

fn check(attrs: Vec<(&'static str, Value)>, expected: &str) {
    let shown = match render(&config(attrs)) {
        Ok(value) => text(&value, "minified_json").unwrap(),
        Err(error) => format!("error at {}: {}", error.path.clone().unwrap(), error.message),
    };
    assert_eq!(shown, expected);
}

fn principal(kind: &str, ids: &[&str]) -> Value {
    Value::object([("type", Value::string(kind)), ("identifiers", tuple_of(ids))])
}

fn condition(test: &str, variable: &str, values: &[&str]) -> Value {
    Value::object([
        ("test", Value::string(test)),
        ("variable", Value::string(variable)),
        ("values", tuple_of(values)),
    ])
}

#[test]
fn a_trust_policy_is_rendered_as_upstream_does() {
    let statement = statement(vec![
        ("actions", tuple_of(["sts:AssumeRole"])),
        ("principals", Value::tuple(vec![principal("Service", &["eks.amazonaws.com"])])),
    ]);
    let rendered = render(&config(vec![("statement", Value::tuple(vec![statement]))])).unwrap();
    let expected = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "sts:AssumeRole",
      "Principal": {
        "Service": "eks.amazonaws.com"
      }
    }
  ]
}"#;
    assert_eq!(text(&rendered, "json").unwrap(), expected);
    // The id that the upstream provider gives to this very document.
    assert_eq!(text(&rendered, "id").unwrap(), "3552664922");
}

#[test]
fn empty_documents_have_just_a_version() {
    check(vec![], r#"{"Version":"2012-10-17"}"#);
    check(vec![("policy_id", "p".into())], r#"{"Version":"2012-10-17","Id":"p"}"#);
}

#[test]
fn sets_are_sorted_descending_and_one_element_is_a_string() {
    let s = statement(vec![
        ("sid", "A1".into()),
        ("effect", "Deny".into()),
        ("not_actions", tuple_of(["s3:Get", "s3:Put", "ec2:*"])),
        ("resources", tuple_of(["arn:aws:s3:::a/&{aws:username}<>"])),
    ]);
    check(
        vec![("statement", Value::tuple(vec![s]))],
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"A1","Effect":"Deny","NotAction":["s3:Put","s3:Get","ec2:*"],"Resource":"arn:aws:s3:::a/${aws:username}\u003c\u003e"}]}"#,
    );
}

#[test]
fn principals_of_one_type_are_joined() {
    let with = |list: Vec<Value>| {
        let s = statement(vec![("actions", tuple_of(["a:b"])), ("principals", Value::tuple(list))]);
        vec![("statement", Value::tuple(vec![s]))]
    };
    check(
        with(vec![principal("*", &["*"])]),
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Principal":"*"}]}"#,
    );
    check(
        with(vec![principal("AWS", &["*"])]),
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Principal":{"AWS":"*"}}]}"#,
    );
    check(
        with(vec![principal("Service", &["x"]), principal("AWS", &["1", "2"]), principal("Service", &["y"])]),
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Principal":{"AWS":["2","1"],"Service":["x","y"]}}]}"#,
    );
}

#[test]
fn conditions_of_one_test_and_variable_append_their_values() {
    let s = statement(vec![
        ("actions", tuple_of(["a:b"])),
        (
            "condition",
            Value::tuple(vec![
                condition("StringLike", "x", &["b", "a"]),
                condition("StringLike", "x", &["c&{v}"]),
                condition("Bool", "y", &["true"]),
            ]),
        ),
    ]);
    check(
        vec![("statement", Value::tuple(vec![s]))],
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Condition":{"Bool":{"y":"true"},"StringLike":{"x":["b","a","c${v}"]}}}]}"#,
    );
}

#[test]
fn documents_merge_by_sid_in_place() {
    let source = r#"{"Version":"2008-10-17","Id":"s","Statement":[
        {"Sid":"One","Effect":"Allow","Action":"a:a","Resource":["r"],"Condition":{"Bool":{"k":true}}},
        {"Effect":"Allow","Action":["b:b","b:c"],"Principal":{"AWS":["p","q"]}}]}"#;
    let over = r#"{"Statement":{"Sid":"Two","Effect":"Deny","Action":"z:z"}}"#;
    let own = vec![
        statement(vec![("sid", "One".into()), ("actions", tuple_of(["c:c"]))]),
        statement(vec![("sid", "Two".into()), ("actions", tuple_of(["d:d"]))]),
    ];
    check(
        vec![
            ("source_policy_documents", tuple_of([source])),
            ("override_policy_documents", tuple_of([over])),
            ("statement", Value::tuple(own)),
        ],
        r#"{"Version":"2012-10-17","Id":"s","Statement":[{"Sid":"One","Effect":"Allow","Action":"c:c"},{"Effect":"Allow","Action":["b:b","b:c"],"Principal":{"AWS":["q","p"]}},{"Sid":"Two","Effect":"Deny","Action":"z:z"}]}"#,
    );
    check(
        vec![("source_policy_documents", tuple_of([source]))],
        r#"{"Version":"2012-10-17","Id":"s","Statement":[{"Sid":"One","Effect":"Allow","Action":"a:a","Resource":["r"],"Condition":{"Bool":{"k":"true"}}},{"Effect":"Allow","Action":["b:b","b:c"],"Principal":{"AWS":["q","p"]}}]}"#,
    );
}

#[test]
fn faults_name_their_place() {
    let twice =
        || Value::tuple(vec![statement(vec![("sid", "S".into())]), statement(vec![("sid", "S".into())])]);
    check(
        vec![("statement", twice())],
        "error at statement: the sid \"S\" occurs twice; a sid must be unique",
    );
    check(
        vec![("version", "2008-10-17".into()), ("statement", one([("resources", tuple_of(["&{x}"]))]))],
        "error at statement[0].resources: version 2008-10-17 has no policy variables (`&{…}`)",
    );
    check(
        vec![("source_policy_documents", tuple_of(["{}", "nope"]))],
        "error at source_policy_documents[1]: the document is not JSON: expected ident at line 1 column 2",
    );
    let problems = PolicyDocument.validate(&config(vec![
        ("version", "2020".into()),
        ("statement", one([("effect", "allow".into()), ("sid", "a-b".into())])),
    ]));
    let places: Vec<String> = problems.iter().map(|p| p.path.to_string()).collect();
    assert_eq!(places, ["version", "statement[0].effect", "statement[0].sid"]);
}
