//! Data source `terraform_remote_state`: the root outputs of another stack, from a state file of Terraform's or from a
//! stack of ours.

use crate::kit::{Data, Host, invalid, is_unset, problem, text, with};
use crate::local::write;
use groma_provider::{Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Marks, Type, Value, convert, json};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) struct RemoteState;

type Outputs = BTreeMap<Arc<str>, Value>;

const FILE: &str = "terraform.tfstate";
/// The version of Terraform's state files since 0.12.
const VERSION: u64 = 4;

#[async_trait]
impl Data for RemoteState {
    fn schema(&self) -> KindSchema {
        let any = |doc| Attribute::optional(Type::Dynamic, doc);
        let block = Block::new("The root outputs of another stack.")
            .attr("backend", Attribute::required(Type::String, "Where its state is: `local` only."))
            .attr(
                "config",
                any("For `local`: `path`, a state file of Terraform's or a stack of ours (its folder or its one \
                     file), and `workspace_dir`."),
            )
            .attr("workspace", Attribute::optional(Type::String, "The workspace; `default` if not set."))
            .attr("defaults", any("Values of outputs that are not there."))
            .attr("outputs", Attribute::computed(Type::Dynamic, "The outputs."));
        KindSchema::new("terraform_remote_state", "terraform", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Some(backend) = config.str_attr("backend").filter(|b| *b != "local") {
            found.push(Problem {
                help: Some("Fetch the state file first (terraform state pull > x.tfstate) and name it as path of backend local, or read the values with the cloud's data sources.".into()),
                ..problem("backend", format!("the backend {backend:?} can't be read here: only local can"))
            });
        }
        for name in ["config", "defaults"] {
            let value = config.get(name).filter(|v| !v.is_null() && !v.is_unknown());
            if value.is_some_and(|v| v.as_map().is_none()) {
                found.push(problem(name, format!("{name} must be an object")));
            }
        }
        if let Some(arguments) = config.get("config").and_then(Value::as_map) {
            let unknown = arguments.keys().filter(|k| !matches!(&***k, "path" | "workspace_dir"));
            found.extend(unknown.map(|name| Problem {
                path: AttrPath::root().attr("config"),
                message: format!("the backend local has no argument {name:?}"),
                help: Some("It has path and workspace_dir.".into()),
            }));
        }
        found
    }

    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let backend = config.get("config").cloned().unwrap_or(Value::NULL);
        let workspace = config.str_attr("workspace").filter(|w| !w.is_empty()).unwrap_or("default");
        let path = host.path(backend.str_attr("path").unwrap_or(FILE));
        let found = if is_stack(&path) {
            let Some(stacks) = &host.machine.stacks else { return Err(invalid("stacks can't be read here")) };
            stacks.outputs(&path, workspace).map_err(|why| failed(&path, why))?
        } else {
            let path = of_workspace(host, &backend, path, workspace);
            write::read(&path)?.map(|bytes| terraform(&path, &bytes)).transpose()?
        };
        let Some(mut outputs) = found else { return Ok(None) };
        for (name, value) in config.get("defaults").and_then(Value::as_map).into_iter().flatten() {
            outputs.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Ok(Some(with(config, [("outputs", Value::object(outputs))])))
    }
}

/// A folder or a spec, which no state file of Terraform's is.
fn is_stack(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.is_dir() || [".yaml", ".yml", ".tf.json"].iter().any(|end| name.ends_with(end))
}

/// The file of a workspace beside the default one, as Terraform lays them.
fn of_workspace(host: &Host, backend: &Value, path: PathBuf, workspace: &str) -> PathBuf {
    if workspace == "default" {
        return path;
    }
    let dir = if is_unset(backend, "workspace_dir") {
        "terraform.tfstate.d"
    } else {
        text(backend, "workspace_dir")
    };
    host.path(dir).join(workspace).join(FILE)
}

fn failed(path: &Path, why: impl std::fmt::Display) -> ProviderError {
    invalid(format!("the state at {} can't be read: {why}", path.display()))
        .at(AttrPath::root().attr("config"))
}

fn terraform(path: &Path, bytes: &[u8]) -> Result<Outputs, ProviderError> {
    let state: Json = serde_json::from_slice(bytes).map_err(|e| failed(path, e))?;
    if state["document"] == "groma-state" {
        return Err(failed(path, "it is what `groma state pull` printed")
            .help("Name the stack's folder as path instead."));
    }
    match state["version"].as_u64() {
        Some(VERSION) => {}
        Some(other) => {
            let why = format!("its version is {other}, and only version {VERSION} is known");
            return Err(failed(path, why).help("Let Terraform 0.12 or later write it anew."));
        }
        None => return Err(failed(path, "it is no state file of Terraform's")),
    }
    let mut outputs = Outputs::new();
    for (name, output) in state["outputs"].as_object().into_iter().flatten() {
        let value = json::from_json(&output["value"]);
        let value = match json::type_from_json(&output["type"]) {
            Some(ty) => {
                convert::convert(&value, &ty).map_err(|e| failed(path, format!("output {name:?}: {e}")))?
            }
            None => value,
        };
        let is_secret = output["sensitive"].as_bool() == Some(true);
        let value = if is_secret { value.mark(Marks::SENSITIVE) } else { value };
        outputs.insert(name.as_str().into(), value);
    }
    Ok(outputs)
}
