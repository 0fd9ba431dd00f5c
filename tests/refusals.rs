//! What Terraform 1.11.4 takes and what it refuses, case by case: overrides, passed providers, moves, conditions, checks and
//! the places that take references. The answers were recorded from the program itself.

use crate::kit::Stack;

/// Taken by both.
const TAKEN: &[&[(&str, &str)]] = &[
    &[
        ("main.tf", "resource \"terraform_data\" \"a\" {\n  count = 1\n}\n"),
        ("override.tf", "resource \"terraform_data\" \"a\" {\n  for_each = { x = 1 }\n}\n"),
    ],
    &[
        ("main.tf", "module \"m\" {\n  source = \"./m\"\n  count = 1\n}\n"),
        ("m/x.tf", ""),
        ("override.tf", "module \"m\" {\n  for_each = { a = 1 }\n}\n"),
    ],
    &[("main.tf", ""), ("override.tf", "provider \"terraform\" {}\n")],
    &[
        ("main.tf", "output \"a\" { value = 1 }\n"),
        ("override.tf", "output \"a\" {\n  value = 2\n  depends_on = []\n}\n"),
    ],
    &[("main.tf", "locals { a = 1 }\n"), ("override.tf", "locals { a = 2 }\nlocals { a = 3 }\n")],
    &[(
        "main.tf",
        "variable \"b\" {\n  default = 2\n  validation {\n    condition = var.b == 2 && var.c == 1\n    error_message = \"x ${var.c}\"\n  }\n}\nvariable \"c\" { default = 1 }\n",
    )],
    &[(
        "main.tf",
        "resource \"terraform_data\" \"z\" { count = 1 }\nresource \"terraform_data\" \"a\" {\n  depends_on = [terraform_data.z[0]]\n  lifecycle {\n    replace_triggered_by = [terraform_data.z[0].id]\n  }\n}\n",
    )],
    &[(
        "main.tf",
        "resource \"terraform_data\" \"a\" { count = 2 }\nmoved {\n  from = terraform_data.b\n  to = terraform_data.a[1]\n}\n",
    )],
    &[
        ("main.tf", "module \"m\" { source = \"./m\" }\n"),
        (
            "m/x.tf",
            "terraform {\n  required_providers {\n    terraform = { source = \"terraform.io/builtin/terraform\" }\n  }\n}\nprovider \"terraform\" {}\nresource \"terraform_data\" \"a\" {}\n",
        ),
    ],
];

/// Refused by both; with our code.
const REFUSED: &[(&str, &[(&str, &str)])] = &[
    ("G0505", &[("main.tf", "locals { a = 1 }\n"), ("override.tf", "locals { b = 1 }\n")]),
    (
        "G0505",
        &[
            ("main.tf", "resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"b\" {}\n"),
            ("override.tf", "resource \"terraform_data\" \"a\" {\n  depends_on = [terraform_data.b]\n}\n"),
        ],
    ),
    (
        "G0505",
        &[
            ("main.tf", "resource \"terraform_data\" \"b\" {}\noutput \"a\" { value = 1 }\n"),
            ("override.tf", "output \"a\" {\n  depends_on = [terraform_data.b]\n}\n"),
        ],
    ),
    (
        "G0505",
        &[
            ("main.tf", "resource \"terraform_data\" \"b\" {}\nmodule \"m\" { source = \"./m\" }\n"),
            ("m/x.tf", ""),
            ("override.tf", "module \"m\" {\n  depends_on = [terraform_data.b]\n}\n"),
        ],
    ),
    (
        "G0505",
        &[
            ("main.tf", "variable \"t\" { default = true }\nresource \"terraform_data\" \"a\" {}\n"),
            (
                "override.tf",
                "resource \"terraform_data\" \"a\" {\n  lifecycle {\n    precondition {\n      condition = var.t\n      error_message = \"x\"\n    }\n  }\n}\n",
            ),
        ],
    ),
    (
        "G0505",
        &[
            ("main.tf", "variable \"t\" { default = true }\noutput \"o\" { value = 1 }\n"),
            (
                "override.tf",
                "output \"o\" {\n  precondition {\n    condition = var.t\n    error_message = \"x\"\n  }\n}\n",
            ),
        ],
    ),
    (
        "G0505",
        &[
            ("main.tf", "variable \"t\" { default = 1 }\n"),
            (
                "override.tf",
                "variable \"t\" {\n  validation {\n    condition = var.t == 1\n    error_message = \"x\"\n  }\n}\n",
            ),
        ],
    ),
    (
        "G0505",
        &[
            (
                "main.tf",
                "variable \"t\" { default = true }\ncheck \"c\" {\n  assert {\n    condition = var.t\n    error_message = \"x\"\n  }\n}\n",
            ),
            (
                "override.tf",
                "check \"c\" {\n  assert {\n    condition = !var.t\n    error_message = \"y\"\n  }\n}\n",
            ),
        ],
    ),
    ("G0504", &[("main.tf", "provider \"terraform\" {\n  alias = \"1 x\"\n}\n")]),
    (
        "G0604",
        &[
            ("main.tf", "module \"m\" { source = \"./m\" }\n"),
            (
                "m/x.tf",
                "terraform {\n  required_providers {\n    terraform = {\n      source = \"terraform.io/builtin/terraform\"\n      configuration_aliases = [aws.y]\n    }\n  }\n}\n",
            ),
        ],
    ),
    (
        "G0626",
        &[(
            "main.tf",
            "resource \"terraform_data\" \"a\" {\n  lifecycle {\n    precondition {\n      condition = true\n      error_message = \"x\"\n    }\n  }\n}\n",
        )],
    ),
    (
        "G0626",
        &[(
            "main.tf",
            "output \"o\" {\n  value = 1\n  precondition {\n    condition = 1 == 1\n    error_message = \"x\"\n  }\n}\n",
        )],
    ),
    (
        "G0626",
        &[(
            "main.tf",
            "variable \"a\" { default = 1 }\nvariable \"b\" {\n  default = 2\n  validation {\n    condition = var.a == 1\n    error_message = \"x\"\n  }\n}\n",
        )],
    ),
    (
        "G0626",
        &[(
            "main.tf",
            "check \"c\" {\n  assert {\n    condition = true\n    error_message = \"x\"\n  }\n}\n",
        )],
    ),
    ("G0609", &[("main.tf", "check \"c\" {}\n")]),
    (
        "G0613",
        &[(
            "main.tf",
            "variable \"t\" { default = true }\ncheck \"c\" {\n  data \"terraform_remote_state\" \"a\" {\n    backend = \"local\"\n  }\n  data \"terraform_remote_state\" \"b\" {\n    backend = \"local\"\n  }\n  assert {\n    condition = var.t\n    error_message = \"x\"\n  }\n}\n",
        )],
    ),
    (
        "G0606",
        &[(
            "main.tf",
            "variable \"t\" { default = true }\ncheck \"c\" {\n  data \"terraform_remote_state\" \"a\" {\n    count = 1\n    backend = \"local\"\n  }\n  assert {\n    condition = var.t\n    error_message = \"x\"\n  }\n}\n",
        )],
    ),
    (
        "G0619",
        &[(
            "main.tf",
            "resource \"terraform_data\" \"z\" {}\nresource \"terraform_data\" \"a\" {\n  depends_on = [terraform_data.z.id]\n}\n",
        )],
    ),
    (
        "G0619",
        &[(
            "main.tf",
            "resource \"terraform_data\" \"z\" { count = 1 }\noutput \"o\" {\n  value = 1\n  depends_on = [terraform_data.z[0].id]\n}\n",
        )],
    ),
    (
        "G0619",
        &[(
            "main.tf",
            "locals { x = 1 }\nresource \"terraform_data\" \"a\" {\n  lifecycle {\n    replace_triggered_by = [local.x]\n  }\n}\n",
        )],
    ),
    (
        "G0619",
        &[
            (
                "main.tf",
                "module \"m\" { source = \"./m\" }\nresource \"terraform_data\" \"a\" {\n  lifecycle {\n    replace_triggered_by = [module.m.q]\n  }\n}\n",
            ),
            ("m/x.tf", "output \"q\" { value = 1 }\n"),
        ],
    ),
    (
        "G0619",
        &[(
            "main.tf",
            "locals { x = 0 }\nresource \"terraform_data\" \"b\" { count = 1 }\nmoved {\n  from = terraform_data.a\n  to = terraform_data.b[local.x]\n}\n",
        )],
    ),
    (
        "G0619",
        &[(
            "main.tf",
            "resource \"terraform_data\" \"b\" {}\nmoved {\n  from = \"terraform_data.a\"\n  to = \"terraform_data.b\"\n}\n",
        )],
    ),
    ("G0619", &[("main.tf", "removed {\n  from = \"terraform_data.a\"\n}\n")]),
    (
        "G0619",
        &[(
            "main.tf",
            "resource \"terraform_data\" \"a\" {}\nimport {\n  to = \"terraform_data.a\"\n  id = \"x\"\n}\n",
        )],
    ),
];

fn stack(files: &[(&str, &str)]) -> Stack {
    files.iter().fold(Stack::new(), |stack, (name, text)| stack.file(name, text))
}

#[test]
fn what_terraform_takes_is_taken() {
    for files in TAKEN {
        let planned = stack(files).run(&["plan"]);
        assert_eq!(planned.code, Some(0), "{files:?}\n{}", planned.all());
    }
}

#[test]
fn what_terraform_refuses_is_refused() {
    for (code, files) in REFUSED {
        let planned = stack(files).run(&["plan"]);
        assert_eq!(planned.code, Some(1), "{files:?}\n{}", planned.all());
        assert!(planned.stderr.contains(code), "{code} {files:?}\n{}", planned.all());
    }
}
