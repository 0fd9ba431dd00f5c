//! Marks travel through every operation, and minted unknowns stay what they are.

use groma_lang::eval::{FunctionHost, NoHost, Scope};
use groma_lang::{Reference, Text, evaluate, parse_template};
use groma_types::{Cause, Diagnostics, Marks, Refinements, SourceId, Type, Unknown, Value};

/// `secret` and friends are known, `token` is a minted unknown, `id` an unknown of a node.
struct Names;

fn unknown(cause: &str) -> Value {
    let refine = Refinements { not_null: true, ..Refinements::default() };
    let causes = [Cause::Function(cause.into())].into();
    Unknown { ty: Type::String, refine, causes, residual: None }.into()
}

impl Scope for Names {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let value = match &*reference.root {
            "secret" => Value::from("s").mark(Marks::SENSITIVE),
            "flag" => Value::from(true).mark(Marks::SENSITIVE),
            "count" => Value::number(2i64).mark(Marks::SENSITIVE),
            "short" => Value::from("e").mark(Marks::EPHEMERAL),
            "all" => Value::tuple(vec!["x".into(), "y".into()]).mark(Marks::SENSITIVE),
            "one" => Value::object([("a", Value::from("x").mark(Marks::SENSITIVE)), ("b", "y".into())]),
            "plain" => Value::object([
                ("list", Value::tuple(vec!["x".into(), "y".into()])),
                ("map", Value::object([("a", "x".into())])),
                ("name", "n".into()),
                ("number", Value::number(5i64)),
            ]),
            "token" => unknown("mint").mark(Marks::MINTED),
            "id" => unknown("node"),
            _ => return Ok((Value::NULL, 0)),
        };
        Ok((value, 0))
    }
    fn host(&self) -> &dyn FunctionHost {
        &NoHost
    }
}

fn value(source: &str) -> Value {
    let (expr, faults) = parse_template(&Text::plain(source, SourceId(0), 0));
    assert!(!faults.has_errors(), "{source}: {faults:?}");
    let (value, faults) = evaluate(&expr, &Names);
    assert!(!faults.has_errors(), "{source}: {faults:?}");
    value
}

#[test]
fn marks_of_operands_are_marks_of_results() {
    for source in [
        "${secret}",
        "a-${secret}",
        "${secret == \"s\"}",
        "${!flag}",
        "${flag && true}",
        "${-count}",
        "${count + 1}",
        "${count > 1}",
        "${flag ? 1 : 2}",
        "${true ? secret : \"x\"}",
        "${all[0]}",
        "${[\"a\", \"b\", \"c\"][count]}",
        "${one.a}",
        "${{s = 1}[secret]}",
        "${all[*]}",
        "${[for x in all : x]}",
        "${{for x in all : x => x}}",
        "${[for x in [1] : x if flag]}",
        "${{(secret) = 1}}",
        "%{ if flag }a%{ endif }",
        "%{ for x in all }${x}%{ endfor }",
        "${upper(secret)}",
        "${join(\",\", all)}",
        "${length(all)}",
        "${jsonencode(one)}",
        "${concat(all, [1])}",
        "${merge({a = 1}, one).a}",
        "${toset([secret])}",
        "${coalesce(secret, \"x\")}",
        "${format(\"%s\", secret)}",
        "${contains([\"a\"], secret)}",
        "${try(secret, 1)}",
        "${lookup({s = 1}, secret)}",
        "${sort(all)}",
        "${tostring(count)}",
        "${max(count, 1)}",
        "${max([1, count]...)}",
        "${templatestring(secret, {y = 1})}",
    ] {
        let marks = value(source).marks();
        let inner = value(source).deep_marks();
        assert!(marks.sensitive || inner.sensitive, "{source}");
        assert!(!inner.minted && !inner.ephemeral, "{source}");
    }
    assert!(!value("${one.b}").deep_marks().sensitive);
    assert!(!value("${nonsensitive(secret)}").deep_marks().sensitive);
    assert_eq!(
        value("${short}-${secret}").marks(),
        Marks { sensitive: true, ephemeral: true, minted: false }
    );
    assert!(value("${ephemeralasnull(short)}").is_null());
}

#[test]
fn a_fault_tells_what_names_at_its_place_stood_for_but_no_secret() {
    let check = |source: &str, expected: &[&str]| {
        let (expr, faults) = parse_template(&Text::plain(source, SourceId(0), 0));
        assert!(!faults.has_errors(), "{source}: {faults:?}");
        let (_, faults) = evaluate(&expr, &Names);
        let fault = faults.iter().find(|f| f.is_error()).expect(source);
        let told: Vec<String> = fault.values.iter().map(|v| format!("{} {}", v.name, v.statement)).collect();
        assert_eq!(told, expected, "{source}");
    };
    check("${upper(plain.list)}", &["plain.list is tuple with 2 elements"]);
    check("${plain.list + 1}", &["plain.list is tuple with 2 elements"]);
    check("${plain.map[plain.name]}", &["plain.map is object with 1 attribute \"a\"", "plain.name is \"n\""]);
    check("${plain.list[plain.number]}", &["plain.list is tuple with 2 elements", "plain.number is 5"]);
    // What is not known, and what is secret, is not told, nor what a secret holds.
    check("${upper([id, secret, all, plain.number])}", &["plain.number is 5"]);
    check("${upper(one)}", &["one is object with 2 attributes"]);
    check("${upper([one.a, one.b])}", &["one.b is \"y\""]);
}

#[test]
fn what_is_made_of_minted_values_is_minted() {
    for source in [
        "${token}",
        "Bearer ${token}",
        "${upper(token)}",
        "${base64encode(token)}",
        "${true ? token : \"x\"}",
        "${coalesce(token, \"x\")}",
        "${trimspace(\"${token}\\n\")}",
        "${format(\"Bearer %s\", token)}",
        "${id}${token}",
        "${id == \"x\" ? token : \"x\"}",
        "${nonsensitive(token)}",
        "${sensitive(token)}",
        "${jsonencode({t = token})}",
    ] {
        let made = value(source);
        let unknown = made.as_unknown().expect(source);
        assert_eq!((&unknown.ty, unknown.refine.not_null), (&Type::String, true), "{source}");
        assert!(made.marks().minted && made.marks().sensitive, "{source}");
        assert!(unknown.causes.contains(&Cause::Function("mint".into())), "{source}");
    }
    let both = value("${id}-${token}");
    assert_eq!(both.causes().len(), 2);
    let bearer = value("Bearer ${token}");
    assert_eq!(bearer.as_unknown().and_then(|u| u.refine.prefix.clone()).as_deref(), Some("Bearer "));
    let inside = value("${{a = token, b = 1}}");
    assert!(!inside.marks().minted && inside.deep_marks().minted && !inside.get("b").unwrap().marks().minted);
}
