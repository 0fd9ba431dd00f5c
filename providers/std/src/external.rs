//! The provider `external`: a program of the machine that answers a query.
//!
//! The program gets the query as a JSON object on its standard input and answers with a JSON object of strings. It is
//! killed when the run lets go of it.

use crate::kit::{Builtin, Data, Host, Kinds, Machine, invalid, problem, text, texts, with};
use groma_provider::{ErrorKind, NetworkPolicy, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Value};
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().data(External);
    Builtin::new("external", "hashicorp/external", Some(("2", "3")), Block::default(), kinds, machine)
}

/// `external`.
struct External;

/// What of a program's error output is shown.
const SHOWN_MAX: usize = 4000;

#[async_trait]
impl Data for External {
    fn schema(&self) -> KindSchema {
        let map = || Type::map(Type::String);
        let block = Block::new("The answer of a program of this machine. It is asked at every plan.")
            .attr("program", Attribute::required(Type::list(Type::String), "The program and its arguments."))
            .attr("working_dir", Attribute::optional(Type::String, "The folder that the program runs in."))
            .attr("query", Attribute::optional(map(), "What the program gets as JSON on its standard input."))
            .attr("result", Attribute::computed(map(), "What the program answers: a JSON object of strings."))
            .attr("id", Attribute::computed(Type::String, "Always `-`."));
        let mut kind = KindSchema::new("external", "external", block);
        kind.runs_program = true;
        kind
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let Some(program) = config.get("program").and_then(Value::as_seq) else { return Vec::new() };
        match program.first() {
            None => vec![problem("program", "program must name the program to run")],
            Some(first) if first.as_str() == Some("") || first.is_null() => {
                let path = AttrPath::root().attr("program").index(0);
                let message = "the first element of program is the program itself and can't be empty";
                vec![Problem { path, message: message.into(), help: None }]
            }
            Some(_) => Vec::new(),
        }
    }

    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let argv = texts(config, "program");
        let Some((program, args)) = argv.split_first() else { return Err(invalid("program is empty")) };
        let folder = host.path(text(config, "working_dir"));
        let mut command = Command::new(located(host, program));
        command.args(args).current_dir(&folder).env_clear();
        match host.env.network {
            NetworkPolicy::Open => command.envs(&*host.env.vars),
            // What the machine's credentials lead to is not the sandbox.
            NetworkPolicy::Only(_) | NetworkPolicy::LoopbackOnly => command.envs(&host.machine.program_vars),
        };
        let answer = ask(command, program, &folder, &query(config)).await?;
        Ok(Some(with(config, [("result", answer), ("id", "-".into())])))
    }
}

/// A program that is named by a path starts from the folder of the command, whatever folder it runs in.
fn located(host: &Host, program: &str) -> PathBuf {
    let path = Path::new(program);
    let there = host.machine.folder.join(path);
    if path.components().count() > 1 && path.is_relative() && there.is_file() { there } else { path.into() }
}

fn query(config: &Value) -> Json {
    let pairs = config.get("query").and_then(Value::as_map).into_iter().flatten();
    let known = pairs.filter_map(|(k, v)| Some((k.to_string(), Json::from(v.as_str()?))));
    Json::Object(known.collect::<Map<_, _>>())
}

async fn ask(
    mut command: Command,
    program: &str,
    folder: &Path,
    query: &Json,
) -> Result<Value, ProviderError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| {
        let place = if folder.is_dir() { String::new() } else { format!(" in {}", folder.display()) };
        invalid(format!("the program {program:?} can't be started{place}: {e}"))
            .help("Name an installed program, or a path from the folder that the command works in.")
            .at(AttrPath::root().attr("program"))
    })?;
    let mut stdin = child.stdin.take();
    let said = query.to_string();
    let feed = async {
        if let Some(stdin) = &mut stdin {
            // A program that does not read its query is free to end first.
            let _ = stdin.write_all(said.as_bytes()).await;
        }
        drop(stdin.take());
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    let output = output.map_err(|e| invalid(format!("the program {program:?} was lost: {e}")))?;
    if !output.status.success() {
        let mut words = format!("the program {program:?} failed with {}", output.status);
        let errors = String::from_utf8_lossy(&output.stderr);
        match errors.trim() {
            "" => words.push_str(", and said nothing on its error output"),
            errors => {
                let start = errors.char_indices().rev().nth(SHOWN_MAX).map_or(0, |(i, _)| i);
                words.push_str(&format!(": {}", &errors[start..]));
            }
        }
        return Err(ProviderError::new(ErrorKind::Invalid, words).at(AttrPath::root().attr("program")));
    }
    parse(program, &output.stdout)
}

fn parse(program: &str, stdout: &[u8]) -> Result<Value, ProviderError> {
    let wrong = |why: String| {
        invalid(format!("the answer of the program {program:?} is not a JSON object of strings: {why}"))
            .help("It must print {\"name\": \"text\", …} and nothing else on its standard output.")
            .at(AttrPath::root().attr("program"))
    };
    let json: Json = serde_json::from_slice(stdout).map_err(|e| wrong(e.to_string()))?;
    let Json::Object(object) = json else { return Err(wrong("it is no object".into())) };
    let mut result = Vec::new();
    for (name, value) in object {
        match value {
            Json::String(text) => result.push((name, Value::from(text))),
            other => {
                let kind = match other {
                    Json::Null => "null",
                    Json::Bool(_) => "a bool",
                    Json::Number(_) => "a number",
                    Json::Array(_) => "a list",
                    Json::Object(_) | Json::String(_) => "an object",
                };
                return Err(wrong(format!("{name:?} is {kind}")));
            }
        }
    }
    Ok(Value::map(Type::String, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_of_strings_is_an_answer() {
        let good = parse("p", br#"{"a":"b"}"#).unwrap();
        assert_eq!(good.str_attr("a"), Some("b"));
        for (bad, word) in [("", "EOF"), ("[]", "no object"), (r#"{"a":1}"#, "\"a\" is a number")] {
            let error = parse("p", bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word), "{bad}: {error}");
        }
    }
}
