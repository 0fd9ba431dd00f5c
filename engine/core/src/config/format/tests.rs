//! Layout keeps the meaning, and is its own layout.

use super::{Syntax, format, is_spec, syntax_of_text};
use groma_types::SourceId;
use proptest::prelude::*;

#[track_caller]
fn yaml(text: &str, expected: &str) {
    let found = format(Syntax::Yaml, SourceId(0), text);
    assert_eq!(found.as_deref(), Ok(expected), "\n{}", found.as_deref().unwrap_or_default());
    assert_eq!(format(Syntax::Yaml, SourceId(0), expected).as_deref(), Ok(expected), "not the same again");
}

#[test]
fn what_has_faults_is_refused_and_the_rest_means_the_same() {
    for (syntax, text) in [
        (Syntax::Native, "a = {\n"),
        (Syntax::Native, "a = 1 b = 2\n"),
        (Syntax::Json, "{\"a\":1,}"),
        (Syntax::Yaml, "locals: {a: ${b}}\n"),
        (Syntax::YamlValues, "a: [\n"),
    ] {
        assert!(format(syntax, SourceId(0), text).is_err(), "{text}");
    }
    let formatted = format(
        Syntax::Native,
        SourceId(0),
        "a=\"${b}\"\nvariable x {\ntype=list\n}\nvariable y {\ntype=\"string\"\n}\n",
    );
    assert_eq!(
        formatted.as_deref(),
        Ok("a = b\nvariable \"x\" {\n  type = list(any)\n}\nvariable \"y\" {\n  type = string\n}\n")
    );
    assert_eq!(
        format(Syntax::Json, SourceId(0), "{\"a\":[1]}").as_deref(),
        Ok("{\n  \"a\": [\n    1\n  ]\n}\n")
    );
}

#[test]
fn columns_follow_the_structure_and_comments_what_they_belong_to() {
    yaml(
        "

# head
resource:
    aws_x:   # kind
       main:
          a:   1     # one


          # two
          list:
          # first
          -   b:  [1,2 , {c:  d}]
              c: 3
              # of the entry
          - - x
            -   y
          -
            z: 1
          # after
          # closed:
          #   x: 1
       # main ends
       other: {  }
   # between
# end
locals:
 t: {a: 1,
  b: [
 1,   # one
   2
  ]
     }
 u:
   'v w':
     x
",
        "# head
resource:
  aws_x: # kind
    main:
      a: 1 # one

      # two
      list:
        # first
        - b: [1, 2, { c: d }]
          c: 3
          # of the entry
        - - x
          - y
        -
          z: 1
        # after
        # closed:
        #   x: 1
    # main ends
    other: {}
# between
# end
locals:
  t: { a: 1,
    b: [
      1, # one
      2
    ]
  }
  u:
    v w:
      x
",
    );
}

#[test]
fn text_keeps_every_byte_and_its_later_lines_move_along() {
    yaml(
        "locals:
    a: |
        one ${x}
          two  # no comment

        three\x20

    b: >2-
          deep
        plain

    c: |+
         kept


    d: \"one
         two \\
      three\"
    e: a
      b

      c
    f: 'x
      y'
",
        "locals:
  a: |
    one ${x}
      two  # no comment

    three\x20

  b: >2-
        deep
      plain

  c: |+
    kept


  d: \"one
    two \\
    three\"
  e: a
    b

    c
  f: 'x
    y'
",
    );
    let (windows, unix) =
        ("locals:\r\n    a: |\r\n      x\r\n    b: 1\r\n", "locals:\n  a: |\n    x\n  b: 1\n");
    yaml(windows, unix);
}

#[test]
fn quotes_go_where_nothing_needs_them() {
    yaml(
        r#"locals:
  plain: "web-1"
  number: "1.29"
  word: 'true'
  older: 'no'
  date: "2024-01-01"
  colon: 'a: b'
  path: 'C:\x'
  whole: "${var.a}"
  both: '${upper("a")}'
  "key": ["x", '${var.a}', "a, b", "2"]
  other: {"k": "v", "l":1}
"#,
        r#"locals:
  plain: web-1
  number: "1.29"
  word: "true"
  older: "no"
  date: "2024-01-01"
  colon: "a: b"
  path: C:\x
  whole: ${var.a}
  both: ${upper("a")}
  key: [x, "${var.a}", "a, b", "2"]
  other: { "k": v, "l": 1 }
"#,
    );
}

#[test]
fn references_are_bare_and_values_are_not() {
    yaml(
        r#"resource:
  aws_x:
    a:
      provider: ${aws.eu}
      depends_on: ["${aws_x.b}", aws_x.c, '${aws_x.d["k"]}']
      count: ${local.n}
      lifecycle: { replace_triggered_by: ["${aws_x.b.id}"], ignore_changes: "all" }
import: { to: "${aws_x.a}", id: "${local.i}" }
module:
  m: { source: "./m", providers: {aws: "${aws.eu}"} }
"#,
        r#"resource:
  aws_x:
    a:
      provider: aws.eu
      depends_on: [aws_x.b, aws_x.c, 'aws_x.d["k"]']
      count: ${local.n}
      lifecycle: { replace_triggered_by: [aws_x.b.id], ignore_changes: all }
import: { to: aws_x.a, id: "${local.i}" }
module:
  m: { source: ./m, providers: { aws: aws.eu } }
"#,
    );
}

#[test]
fn anchors_tags_documents_and_keys_of_their_own_stay() {
    yaml(
        "%YAML 1.2
---
x-all: &all
    &k a:   !!str   1
    b: &l
     - \"${aws_x.y}\"
locals:
    m: {<<: *all, c: *l}
    n:
       &here
       x: 1
    ? long
    :   4
    *k : 1
---   # second
x-l:    &l   ['${aws_x.y}']
resource: {aws_x: {z: {depends_on: *l}}}
...
",
        "%YAML 1.2
---
x-all: &all
  &k a: !!str 1
  b: &l
    - \"${aws_x.y}\"
locals:
  m: { <<: *all, c: *l }
  n:
    &here
    x: 1
  ? long
  : 4
  *k : 1
--- # second
x-l: &l ['${aws_x.y}']
resource: { aws_x: { z: { depends_on: *l } } }
...
",
    );
}

#[test]
fn other_tools_files_are_told_apart() {
    assert!(is_spec("locals: {a: 1}\n---\nx-y: 1\n"));
    assert!(is_spec("locals:\n  a: [${b}]\n"), "a spec with faults");
    for other in ["kind: List\n", "- a\n", "", "# c\n", "{{ if }}\na: b\n", "apiVersion: v1\ndata: {}\n"] {
        assert!(!is_spec(other), "{other}");
    }
    assert_eq!(syntax_of_text("locals {\n}\n"), Syntax::Native);
    assert_eq!(syntax_of_text(" {\"locals\": {}}"), Syntax::Json);
    assert_eq!(syntax_of_text("locals:\n  a: 1\n"), Syntax::Yaml);
}

/// A value and how it is written.
#[derive(Clone, Debug)]
enum Written {
    Leaf(&'static str),
    Block(&'static str, Vec<&'static str>),
    List(Vec<Written>, Layout),
    Map(Vec<(&'static str, Written)>, Layout),
}

/// Blanks, comments and brackets.
#[derive(Clone, Copy, Debug)]
struct Layout {
    step: usize,
    brackets: bool,
    comment: bool,
    gap: bool,
}

const LEAVES: [&str; 16] = [
    "web",
    "\"1.29\"",
    "'it''s'",
    "\"web\"",
    "true",
    "'true'",
    "~",
    "1.50",
    "${a.b}",
    "'${a[\"b\"]}'",
    "\"${a.b}-${upper(\\\"c\\\")}\"",
    "\"a: b # c\"",
    "'no'",
    "\"\\t\\u00e9\"",
    "!!str 5",
    "\"one\\n  two \\\\\"",
];
const KEYS: [&str; 8] = ["a", "\"b\"", "'c d'", "depends_on", "provider", "e-f", "\"1\"", "content"];
const LINES: [&str; 6] = ["one", "  two", "", "${x}", "# no comment", "a: b "];

fn written() -> impl Strategy<Value = Written> {
    let layout = || {
        (1..5_usize, any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(step, brackets, comment, gap)| Layout { step, brackets, comment, gap })
    };
    let leaf = prop::sample::select(&LEAVES[..]).prop_map(Written::Leaf);
    let block = (
        prop::sample::select(&["|", "|-", "|+", ">", ">-"][..]),
        prop::collection::vec(prop::sample::select(&LINES[..]), 0..4),
    )
        .prop_map(|(header, more)| Written::Block(header, ["first"].into_iter().chain(more).collect()));
    prop_oneof![3 => leaf, 1 => block].prop_recursive(4, 24, 4, move |inner| {
        let map = prop::collection::btree_map(prop::sample::select(&KEYS[..]), inner.clone(), 1..4);
        prop_oneof![
            (prop::collection::vec(inner, 1..4), layout())
                .prop_map(|(items, layout)| Written::List(items, layout)),
            (map, layout()).prop_map(|(map, layout)| Written::Map(map.into_iter().collect(), layout)),
        ]
    })
}

impl Written {
    /// After a key or dash in a column.
    fn value(&self, out: &mut String, column: usize) {
        match self {
            Written::Leaf(text) => *out += &format!(" {text}\n"),
            Written::Block(header, lines) => {
                *out += &format!("  {header}  # of the text\n");
                for line in lines {
                    *out +=
                        &if line.is_empty() { "\n".into() } else { format!("{:1$}{line}\n", "", column + 3) };
                }
            }
            Written::List(_, layout) | Written::Map(_, layout) if layout.brackets && !self.has_text() => {
                *out += "  ";
                self.bracketed(out);
                *out += "\n";
            }
            Written::List(_, layout) => {
                // In the column of its key, or further in.
                *out += "\n";
                self.lines(out, column + layout.step - 1);
            }
            Written::Map(_, layout) => {
                *out += if layout.comment { "   # after\n" } else { "\n" };
                self.lines(out, column + layout.step);
            }
        }
    }

    fn has_text(&self) -> bool {
        match self {
            Written::Leaf(_) => false,
            Written::Block(..) => true,
            Written::List(items, _) => items.iter().any(Written::has_text),
            Written::Map(entries, _) => entries.iter().any(|(_, value)| value.has_text()),
        }
    }

    fn bracketed(&self, out: &mut String) {
        match self {
            Written::Leaf(text) if text.starts_with('$') => *out += &format!("\"{text}\""),
            Written::Leaf(text) => *out += text,
            Written::Block(..) => {}
            Written::List(items, layout) => {
                *out += "[";
                for item in items {
                    item.bracketed(out);
                    *out += if layout.gap { " ,\n\n      " } else { "," };
                }
                *out += "]";
            }
            Written::Map(entries, layout) => {
                *out += "{";
                for (key, value) in entries {
                    *out += &format!("{key}:   ");
                    value.bracketed(out);
                    *out += if layout.comment { ", # one\n      " } else { "," };
                }
                *out += "}";
            }
        }
    }

    fn lines(&self, out: &mut String, column: usize) {
        match self {
            Written::Leaf(_) | Written::Block(..) => {}
            Written::List(items, layout) => {
                for item in items {
                    Written::before(out, column, *layout);
                    *out += &format!("{:column$}-", "");
                    match item {
                        Written::Map(_, inside) if !inside.brackets => {
                            let mut lines = String::new();
                            item.lines(&mut lines, column + 1 + inside.step);
                            // The first entry stands behind the dash, unless a comment is before it.
                            let first = lines.trim_start_matches(['\n', ' ']);
                            *out += &if first.starts_with('#') || lines.starts_with('\n') {
                                format!("\n{lines}")
                            } else {
                                lines[column + 1..].to_string()
                            };
                        }
                        Written::List(_, inside) if !inside.brackets => {
                            *out += "\n";
                            item.lines(out, column + inside.step);
                        }
                        _ => item.value(out, column),
                    }
                }
            }
            Written::Map(entries, layout) => {
                for (key, value) in entries {
                    Written::before(out, column, *layout);
                    *out += &format!("{:column$}{key}:", "");
                    value.value(out, column);
                }
            }
        }
    }

    fn before(out: &mut String, column: usize, layout: Layout) {
        if layout.gap {
            *out += "\n\n";
        }
        if layout.comment {
            *out += &format!("{:1$}# before\n", "", column.saturating_sub(layout.step % 2));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// That the meaning is the same is seen to by `format` itself, which would refuse.
    #[test]
    fn any_yaml_is_laid_out_once(value in written(), spec in any::<bool>()) {
        let (syntax, column) = if spec { (Syntax::Yaml, 8) } else { (Syntax::YamlValues, 0) };
        let mut text = String::from(if spec { "resource:\n   aws_x:\n     main:" } else { "value:" });
        value.value(&mut text, column);
        text += "# end\n";
        let (_, faults) = groma_lang::document::parse_yaml(SourceId(0), &text);
        prop_assert!(!faults.has_errors(), "the test's own text is wrong:\n{text}\n{faults:?}");
        let first = format(syntax, SourceId(0), &text);
        prop_assert!(first.is_ok(), "{text}\n{first:?}");
        let first = first.unwrap_or_default();
        let second = format(syntax, SourceId(0), &first);
        prop_assert_eq!(second.as_deref(), Ok(&*first), "\n{}", text);
        let comments = |text: &str| text.matches('#').count();
        prop_assert_eq!(comments(&text), comments(&first), "{}\n{}", text, first);
    }
}
