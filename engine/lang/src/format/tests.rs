//! Layout of both syntaxes. The expected texts in native syntax are Terraform's own.

use super::{format_json, format_native, is_open};

#[track_caller]
fn native(text: &str, expected: &str) {
    let found = format_native(text);
    assert_eq!(found, expected, "\n{found}");
    assert_eq!(format_native(&found), found, "not the same again");
}

#[test]
fn blanks_and_columns_are_terraforms() {
    native(
        r#"locals {
a={a:1,b= 2}
b=a?b:c
c=[for x in [1]:x]
d=-1
e=a-1
f=a*-1
g=!  a
h=f( a,b... )
i=a [ 0 ]
l=core :: f(x)
n="x${  a  }${ b}%%{ if a }b"
o=a[*].b // why

# its own chain
p=[ # x
1,2 , # y
333 ,#z
/* x */ 4
] # end
s={for k,v in m:k=>v... if v!=1}
t=[for x in y:{
a=1
}]
}
"#,
        r#"locals {
  a = { a : 1, b = 2 }
  b = a ? b : c
  c = [for x in [1] : x]
  d = -1
  e = a-1
  f = a * -1
  g = !a
  h = f(a, b...)
  i = a[0]
  l = core::f(x)
  n = "x${a}${b}%%{ if a }b"
  o = a[*].b // why

  # its own chain
  p = [   # x
    1, 2, # y
    333,  #z
    /* x */ 4
  ] # end
  s = { for k, v in m : k => v... if v != 1 }
  t = [for x in y : {
    a = 1
  }]
}
"#,
    );
}

#[test]
fn older_ways_of_writing_are_made_plain() {
    native(
        "resource foo \"bar\"  /* c */ {\na=\"${x}\" # kept\nbb=\"${f(\"${y}\")}\"\nccc=[\"${x}\"]\nd=\"${x}${y}\"\n\
         e=\"${\n a\n +b\n}\"\nf=\"${ # why\n x }\"\n}\nvariable x {\ntype=list\ndefault=\"${[]}\"\n}\nvariable y {type=\"map\"}\nvariable z {type=\"string\"}\n\
         b {\ntype=\"string\"\n}\n",
        "resource \"foo\" \"bar\" /* c */ {\n  a   = x # kept\n  bb  = f(\"${y}\")\n  ccc = [\"${x}\"]\n  d   = \"${x}${y}\"\n  \
         e = (a\n  + b)\n  f = ( # why\n  x)\n}\nvariable \"x\" {\n  type    = list(any)\n  default = []\n}\n\
         variable \"y\" { type = \"map\" }\nvariable \"z\" { type = string }\nb {\n  type = \"string\"\n}\n",
    );
}

#[test]
fn heredocs_keep_every_byte_of_their_text() {
    native(
        "b {\na=<<EOT\n   x\n ${ a }   y\n   EOT\nbb={\nx=<<-E\n   y\n%{if  a}\n  z\n%{ endif~}\n      E\n   yy=2\n  }\n}\n",
        "b {\n  a = <<EOT\n   x\n ${a}   y\n   EOT\n  bb = {\n    x  = <<-E\n   y\n%{if a}\n  z\n%{endif~}\n      E\n    \
         yy = 2\n  }\n}\n",
    );
}

#[test]
fn an_expression_goes_on_while_a_bracket_is_open() {
    for text in ["[\n", "f(\n", "{ a = [1,\n", "\"${f(\n", "[ # ]\n", "[\"]\"\n", "<<E\na\n", "(<<-E\n a\n"] {
        assert!(is_open(text), "{text}");
    }
    for text in ["\n", "[]\n", "a ]\n", "\"[\n", "1 +\n", "\"[\"\n", "<<E\na\nE\n", "(\"a\n"] {
        assert!(!is_open(text), "{text}");
    }
}

#[test]
fn json_keeps_the_text_of_strings_and_numbers() {
    let text = " {\"a\":[1.50,{ },[ ],\"x\\\"{,\"],\"a\" : {\"b\":null}}";
    let expected = "{\n  \"a\": [\n    1.50,\n    {},\n    [],\n    \"x\\\"{,\"\n  ],\n  \"a\": {\n    \"b\": null\n  }\n}\n";
    assert_eq!(format_json(text), expected);
    assert_eq!(format_json(expected), expected);
}
