//! Configs in, faults and edges out.

use super::*;
use crate::config::tests::{config, read, render};
use groma_types::Type;
use groma_types::schema::{Attribute, Block, NestedBlock, Nesting};

fn schemas() -> BTreeMap<Arc<str>, ProviderSchema> {
    let rule = Block::new("").attr("port", Attribute::optional(Type::Number, ""));
    let thing = Block::new("")
        .attr("name", Attribute::optional(Type::String, ""))
        .attr("tags", Attribute::optional(Type::map(Type::String), ""))
        .attr("id", Attribute::computed(Type::String, ""))
        .block("rule", NestedBlock::new(Nesting::List, rule));
    let kind = |name: &str, block: Block| (Arc::from(name), KindSchema::new(name, "test", block));
    let provider = ProviderSchema {
        name: "t".into(),
        config: Block::new("").attr("host", Attribute::optional(Type::String, "")),
        upstream: Some(("5".into(), "7".into())),
        resources: [kind("t_thing", thing.clone()), kind("t_other", thing.clone())].into(),
        data: [kind("t_thing", thing)].into(),
        ..ProviderSchema::default()
    };
    [("t".into(), provider)].into()
}

/// Faults as `line:column <marked> code: detail`.
#[track_caller]
fn faults(text: &str, expected: &[&str]) {
    let (config, sources, found) = read(&[("main.yaml", text)]);
    let Some(config) = config else { panic!("{}", render(&sources, &found)) };
    let found = check(&config, &schemas());
    let lines: Vec<String> = render(&sources, &found).lines().map(|l| l.replace("main.yaml:", "")).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "\n got {line}\nwant {expected}");
    }
}

#[test]
fn names_that_are_not_declared() {
    faults("variable: {name: {type: string}}\nlocals: {a: \"${var.nam}\"}\n", &["2:16 <var.nam> G0801"]);
    faults("locals: {a: \"${local.b}\", b: 1}\n", &[]);
    faults("locals: {a: \"${t_thing.x.id}\"}\n", &["1:16 <t_thing.x.id> G0801"]);
    faults("locals: {a: \"${vra.x}\", b: \"${HOME}\"}\n", &["1:16 <vra.x> G0801", "1:31 <HOME> G0801"]);
    faults("locals: {a: \"${path.modul}\"}\n", &["1:16 <path.modul> G0801"]);
    faults("locals: {a: \"${[for x in [1] : x]}\"}\n", &[]);
}

#[test]
fn kinds_and_attributes_by_the_schema() {
    faults("resource: {t_thin: {a: {}}}\n", &["1:21 <a> G0804"]);
    faults("data: {t_other: {a: {}}}\n", &["1:18 <a> G0804"]);
    faults("resource: {u_thing: {a: {}}}\n", &["1:22 <a> G0803"]);
    // Once a kind, and the rest is checked all the same.
    faults(
        "resource: {u_thing: {a: {}, b: {}}, t_thin: {a: {}, b: {}}}\nlocals: {a: \"${u_thing.a.x + local.b}\"}\n",
        &["1:46 <a> G0804", "1:22 <a> G0803", "2:30 <local.b> G0801"],
    );
    faults("resource: {t_thing: {a: {nam: b}}}\n", &["1:26 <nam> G0701"]);
    faults(
        "resource: {t_thing: {a: {}}}\noutput: {o: {value: \"${t_thing.a.idd}\"}}\n",
        &["2:24 <t_thing.a.idd> G0814"],
    );
    faults(
        "resource: {t_thing: {a: {}}}\noutput: {o: {value: \"${t_thing.a.rule.port}\"}}\n",
        &["2:24 <t_thing.a.rule.port> G0814"],
    );
    faults(
        "resource: {t_thing: {a: {}}}\noutput: {o: {value: \"${t_thing.a.rule[0].port}${t_thing.a.tags.x}\"}}\n",
        &[],
    );
    faults("provider: {t: {hst: a}}\n", &["1:16 <hst> G0701"]);
}

#[test]
fn keys_of_instances() {
    faults(
        "resource: {t_thing: {a: {count: 2}}}\noutput: {o: {value: \"${t_thing.a.id}\"}}\n",
        &["2:24 <t_thing.a.id> G0815"],
    );
    faults(
        "resource: {t_thing: {a: {count: 2}}}\noutput: {o: {value: \"${t_thing.a[*].id}${t_thing.a[0].id}\"}}\n",
        &[],
    );
    faults(
        "resource: {t_thing: {a: {}}}\noutput: {o: {value: \"${t_thing.a[0].id}\"}}\n",
        &["2:24 <t_thing.a[0].id> G0816"],
    );
    faults(
        "resource: {t_thing: {a: {name: \"${each.key}\", tags: {x: \"${count.index}\"}}}}\n",
        &["1:35 <each.key> G0812", "1:60 <count.index> G0812"],
    );
    faults("resource: {t_thing: {a: {name: \"${self.id}\"}}}\n", &["1:35 <self.id> G0813"]);
}

#[test]
fn cycles_are_the_shortest_ones() {
    faults(
        "locals: {a: \"${local.b}\", b: \"${local.c}\", c: \"${local.a}\"}\n",
        &[
            "1:16 <local.b> G0811 Blocks wait for each other Each needs the next one first: local.a -> local.b -> local.c -> local.a.",
        ],
    );
    faults("resource: {t_thing: {a: {name: \"${t_thing.a.id}\"}}}\n", &["1:35 <t_thing.a.id> G0810"]);
    faults(
        "provider: {t: {host: \"${t_thing.a.id}\"}}\nresource: {t_thing: {a: {}}}\n",
        &[
            "2:22 <a> G0811 Blocks wait for each other Each needs the next one first: t_thing.a -> provider.t -> t_thing.a.",
        ],
    );
    faults(
        "resource: {t_thing: {a: {lifecycle: {postcondition: {condition: \"${self.id != t_thing.a.name}\", error_message: x}}}}}\n",
        &[],
    );
}

#[test]
fn providers_by_alias_and_key() {
    faults("resource: {t_thing: {a: {provider: t.eu}}}\n", &["1:36 <t.eu> G0805"]);
    faults("provider: {t: {alias: eu}}\nresource: {t_thing: {a: {provider: t.eu}}}\n", &[]);
    let by_key = "provider: {t: {alias: by, for_each: {x: 1}, host: \"${each.key}\"}}\n";
    faults(&format!("{by_key}resource: {{t_thing: {{a: {{provider: t.by}}}}}}\n"), &["2:36 <t.by> G0806"]);
    faults(
        &format!(
            "{by_key}resource: {{t_thing: {{a: {{provider: 't.by[each.key]', for_each: {{x: 1}}}}}}}}\n"
        ),
        &[],
    );
    faults(
        "terraform: {required_providers: {t: {source: hashicorp/t, version: ~> 4.0}}}\n",
        &["1:34 <t> G0808"],
    );
    faults("variable: {a: {type: number, default: x}}\n", &["1:39 <x> G0807"]);
}

#[test]
fn faults_of_loading_do_not_hide_those_of_the_check() {
    let all = |text: &str, expected: &[&str]| {
        let (config, sources, mut found) = read(&[("main.yaml", text)]);
        check_after(&config.unwrap(), &schemas(), &mut found);
        let found = render(&sources, &found);
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("main.yaml:{expected}")), "\n got {line}\nwant {expected}");
        }
    };
    all(
        "output: {a: {valu: 1}}\nlocals: {a: \"${local.b}\"}\nresource: {t_thing: {a: {nam: x}}}\n",
        &["1:14 <valu> G0606", "1:10 <a> G0609", "3:26 <nam> G0701", "2:16 <local.b> G0801"],
    );
    all(
        "locals: {a: 1, a: 2, b: 007, c: \"${local.d}\"}\n",
        &["1:16 <a> G0401", "1:25 <007> G0406", "1:36 <local.d> G0801"],
    );
    // A block that could not be read has no names; what asks for them is no fault of its own.
    all(
        "variabel: {a: {}}\nlocals: {a: \"${var.a}\"}\nresource: {t_thing: {a: {nam: x}}}\n",
        &["1:1 <variabel> G0501", "3:26 <nam> G0701"],
    );
}

#[test]
fn calls_and_ignored_paths_are_checked_as_written() {
    let (_, sources, found) =
        read(&[("main.yaml", "locals: {a: \"${uper(1)}\", b: \"${[upper(1, 2), can(nope())]}\"}\n")]);
    assert_eq!(
        render(&sources, &found),
        "main.yaml:1:16 <uper> G0114 Call to unknown function There is no function named \"uper\".\n\
         main.yaml:1:43 <2> G0114 Too many function arguments Function \"upper\": expects only 1 argument(s)."
    );
    faults("resource: {t_thing: {a: {lifecycle: {ignore_changes: [nam]}}}}\n", &["1:55 <nam> G0814"]);
    faults("resource: {t_thing: {a: {name: \"${uper(1)}\"}}}\n", &["1:35 <uper> G0114"]);
    faults(
        "resource: {t_thing: {a: {lifecycle: {ignore_changes: [name, 'tags[\"a\"]', 'rule[0].port']}}}}\n",
        &[],
    );
}

const CHILD: &str = "variable: {in: {type: string}}\nresource: {t_thing: {c: {name: \"${var.in}\"}}}\noutput: {out: {value: \"${t_thing.c.id}\"}}\n";

#[test]
fn modules_bind_variables_outputs_and_providers() {
    let root = "provider: {t: {alias: eu}}\nmodule: {m: {source: ./m, in: \"${t_other.o.id}\", providers: {t: t.eu}}}\nresource: {t_other: {o: {}}}\noutput: {x: {value: \"${module.m.out}${module.m.uot}\"}}\n";
    let (config, sources, found) = read(&[("main.yaml", root), ("m/main.yaml", CHILD)]);
    let config = config.unwrap_or_else(|| panic!("{}", render(&sources, &found)));
    let found = check(&config, &schemas());
    assert!(
        render(&sources, &found).starts_with("main.yaml:4:39 <module.m.uot> G0814"),
        "{}",
        render(&sources, &found)
    );
    let graph = dependencies(&config, &schemas());
    let path: Vec<Arc<str>> = vec!["m".into()];
    let id = |module: &[Arc<str>], item| ItemId { module: module.to_vec(), item };
    let to = |from: ItemId| graph.of(&from).iter().map(|e| e.to.item.clone()).collect::<Vec<_>>();
    let thing = BlockId { mode: Mode::Managed, kind: "t_thing".into(), name: "c".into() };
    let other = BlockId { mode: Mode::Managed, kind: "t_other".into(), name: "o".into() };
    let call = Item::Call("m".into());
    assert_eq!(to(id(&path, Item::Variable("in".into()))), [call.clone(), Item::Resource(other)]);
    assert_eq!(
        to(id(&path, Item::Resource(thing))),
        [call.clone(), Item::Variable("in".into()), Item::Provider(0)]
    );
    assert_eq!(to(id(&[], Item::Output("x".into()))), [call.clone(), Item::Output("out".into()), call]);
    let resolved =
        provider_for(&config, &path, &config.modules[&path].resources.values().next().unwrap().provider);
    assert_eq!((resolved.module, resolved.block, resolved.missing), (Vec::new(), Some(0), false));
}

#[test]
fn a_config_without_faults_has_none() {
    assert!(check(&config("locals: {a: 1}\n"), &schemas()).is_empty());
}

#[test]
fn of_a_cycle_of_very_many_the_first_are_told() {
    let locals: String = (0..2000).map(|i| format!("  a{i}: ${{local.a{}}}\n", (i + 1) % 2000)).collect();
    let (config, _, _) = read(&[("main.yaml", &format!("locals:\n{locals}"))]);
    let found = check(&config.unwrap(), &schemas());
    let cycle = found.iter().next().unwrap();
    assert_eq!((found.len(), cycle.code, cycle.labels.len()), (1, "G0811", 25));
    assert!(cycle.detail.contains("… 1975 more …"), "{}", cycle.detail);
}
