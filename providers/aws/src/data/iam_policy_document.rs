//! `data.aws_iam_policy_document`: a policy document from blocks. Pure: makes no call.
//!
//! The text equals, byte by byte, what the upstream provider renders, since it is compared, hashed and embedded.

use super::DataSource;
use crate::client::Aws;
use crate::values::{blocks, text, text_or_empty, texts};
use groma_provider::{ErrorKind, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting};
use groma_types::{AttrPath, Type, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

const DEFAULT_VERSION: &str = "2012-10-17";
const OLD_VERSION: &str = "2008-10-17";

pub(crate) struct PolicyDocument;

#[async_trait]
impl DataSource for PolicyDocument {
    fn schema(&self) -> KindSchema {
        let text = |doc: &str| Attribute::optional(Type::String, doc);
        let texts = |doc: &str| Attribute::optional(Type::list(Type::String), doc);
        let block = Block::new("A policy document in JSON.")
            .attr("policy_id", text("Id of the policy."))
            .attr("version", text("Version of the policy language: 2012-10-17 or 2008-10-17."))
            .attr("source_policy_documents", texts("Documents that this one adds to."))
            .attr("override_policy_documents", texts("Documents whose statements win."))
            .attr("json", Attribute::computed(Type::String, "The document."))
            .attr("minified_json", Attribute::computed(Type::String, "The document without white space."))
            .attr("id", Attribute::computed(Type::String, "A hash of the document."))
            .block("statement", NestedBlock::new(Nesting::List, statement_block()));
        KindSchema::new("aws_iam_policy_document", "iam", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let problem = |path: AttrPath, message: String| Problem { path, message, help: None };
        let mut problems = Vec::new();
        if let Some(version) = text(config, "version")
            && version != DEFAULT_VERSION
            && version != OLD_VERSION
        {
            let message = format!("{version:?} is no version: {DEFAULT_VERSION} or {OLD_VERSION}");
            problems.push(problem(AttrPath::root().attr("version"), message));
        }
        for (i, statement) in blocks(config, "statement").iter().enumerate() {
            let at = AttrPath::root().attr("statement").index(i);
            if let Some(effect) = text(statement, "effect").filter(|e| e != "Allow" && e != "Deny") {
                let message = format!("{effect:?} is no effect: Allow or Deny");
                problems.push(problem(at.attr("effect"), message));
            }
            let plain = |sid: &String| sid.bytes().all(|b| b.is_ascii_alphanumeric());
            if let Some(sid) = text(statement, "sid").filter(|s| !plain(s)) {
                problems.push(problem(at.attr("sid"), format!("{sid:?}: a sid has letters and digits only")));
            }
        }
        problems
    }

    async fn read(&self, _: &Aws, config: &Value) -> Result<Option<Value>, ProviderError> {
        render(config).map(Some)
    }
}

fn statement_block() -> Block {
    let set = |doc: &str| Attribute::optional(Type::set(Type::String), doc);
    let principals = || {
        let block = Block::new("Whom the statement is about.")
            .attr("type", Attribute::required(Type::String, "AWS, Service, Federated, CanonicalUser or *."))
            .attr("identifiers", Attribute::required(Type::set(Type::String), "ARNs, services or *."));
        NestedBlock::new(Nesting::Set, block)
    };
    let condition = Block::new("When the statement holds.")
        .attr("test", Attribute::required(Type::String, "Operator, such as StringEquals."))
        .attr("variable", Attribute::required(Type::String, "Key of the request's context."))
        .attr("values", Attribute::required(Type::list(Type::String), "Any of these."));
    Block::new("A statement.")
        .attr("sid", Attribute::optional(Type::String, "Id of the statement."))
        .attr("effect", Attribute::optional(Type::String, "Allow or Deny.").default("Allow"))
        .attr("actions", set("Actions."))
        .attr("not_actions", set("All actions but these."))
        .attr("resources", set("ARNs."))
        .attr("not_resources", set("All ARNs but these."))
        .block("principals", principals())
        .block("not_principals", principals())
        .block("condition", NestedBlock::new(Nesting::Set, condition))
}

/// JSON whose objects keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// One string alone, or several as an array.
fn one_or_many(mut items: Vec<String>) -> Node {
    match items.len() {
        1 => Node::Text(items.remove(0)),
        _ => Node::List(items.into_iter().map(Node::Text).collect()),
    }
}

#[derive(Clone, Debug, Default)]
struct Document {
    version: String,
    id: String,
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, Default)]
struct Statement {
    sid: String,
    /// All members but `Sid`, in the order in which they are written.
    members: Vec<(&'static str, Node)>,
}

/// Members of a statement in their order.
const MEMBERS: [&str; 8] =
    ["Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"];

fn refuse<T>(path: AttrPath, message: String) -> Result<T, ProviderError> {
    Err(ProviderError::new(ErrorKind::Invalid, message).at(path))
}

/// Renders the whole data source.
fn render(config: &Value) -> Result<Value, ProviderError> {
    let mut merged = Document::default();
    let sources = parsed(config, "source_policy_documents")?;
    refuse_double_sids(&sources, "source_policy_documents")?;
    for source in sources {
        merged.merge(source);
    }
    let own = own_document(config)?;
    refuse_double_sids(std::slice::from_ref(&own), "statement")?;
    merged.merge(own);
    for over in parsed(config, "override_policy_documents")? {
        merged.merge(over);
    }
    let node = merged.node();
    let (mut json, mut minified) = (String::new(), String::new());
    write(&node, Some(0), &mut json);
    write(&node, None, &mut minified);
    Ok(Value::object([
        ("id", Value::string(crc32(json.as_bytes()).to_string())),
        ("json", Value::string(json)),
        ("minified_json", Value::string(minified)),
        ("version", Value::string(text(config, "version").unwrap_or_else(|| DEFAULT_VERSION.to_string()))),
    ]))
}

fn parsed(config: &Value, argument: &str) -> Result<Vec<Document>, ProviderError> {
    let documents = texts(config, argument).unwrap_or_default();
    let mut out = Vec::new();
    for (i, document) in documents.iter().enumerate().filter(|(_, d)| !d.is_empty()) {
        let at = AttrPath::root().attr(argument).index(i);
        match serde_json::from_str::<Json>(document) {
            Ok(Json::Object(parts)) => out.push(Document::parse(&parts)),
            Ok(_) => return refuse(at, "the document is no JSON object".into()),
            Err(e) => return refuse(at, format!("the document is not JSON: {e}")),
        }
    }
    Ok(out)
}

fn refuse_double_sids(documents: &[Document], argument: &str) -> Result<(), ProviderError> {
    let mut seen = std::collections::BTreeSet::new();
    for statement in documents.iter().flat_map(|d| &d.statements).filter(|s| !s.sid.is_empty()) {
        if !seen.insert(&statement.sid) {
            let message = format!("the sid {:?} occurs twice; a sid must be unique", statement.sid);
            return refuse(AttrPath::root().attr(argument), message);
        }
    }
    Ok(())
}

fn own_document(config: &Value) -> Result<Document, ProviderError> {
    let version = text(config, "version").unwrap_or_else(|| DEFAULT_VERSION.to_string());
    let mut statements = Vec::new();
    for (i, block) in blocks(config, "statement").iter().enumerate() {
        let at = AttrPath::root().attr("statement").index(i);
        statements.push(own_statement(block, &version, &at)?);
    }
    Ok(Document { version, id: text_or_empty(config, "policy_id"), statements })
}

/// `&{…}` stands for the policy language's `${…}`, which the template language would take for its own.
fn variables(items: Vec<String>, version: &str, at: &AttrPath) -> Result<Vec<String>, ProviderError> {
    if version == OLD_VERSION && items.iter().any(|t| t.contains("&{")) {
        return refuse(at.clone(), format!("version {OLD_VERSION} has no policy variables (`&{{…}}`)"));
    }
    Ok(items.into_iter().map(|t| t.replace("&{", "${")).collect())
}

fn descending(mut items: Vec<String>) -> Vec<String> {
    items.sort_by(|a, b| b.cmp(a));
    items
}

fn own_statement(block: &Value, version: &str, at: &AttrPath) -> Result<Statement, ProviderError> {
    let effect = text(block, "effect").unwrap_or_else(|| "Allow".to_string());
    let mut members = vec![("Effect", Node::Text(effect))];
    let sets = [
        ("Action", "actions", false),
        ("NotAction", "not_actions", false),
        ("Resource", "resources", true),
        ("NotResource", "not_resources", true),
    ];
    for (member, argument, has_variables) in sets {
        let mut items = texts(block, argument).unwrap_or_default();
        if has_variables {
            items = variables(items, version, &at.attr(argument))?;
        }
        if !items.is_empty() {
            members.push((member, one_or_many(descending(items))));
        }
    }
    for (member, argument) in [("Principal", "principals"), ("NotPrincipal", "not_principals")] {
        if let Some(node) = own_principals(blocks(block, argument), version, &at.attr(argument))? {
            members.push((member, node));
        }
    }
    if let Some(node) = own_conditions(blocks(block, "condition"), version, &at.attr("condition"))? {
        members.push(("Condition", node));
    }
    Ok(Statement { sid: text_or_empty(block, "sid"), members })
}

fn own_principals(list: &[Value], version: &str, at: &AttrPath) -> Result<Option<Node>, ProviderError> {
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for principal in list {
        let ids = variables(texts(principal, "identifiers").unwrap_or_default(), version, at)?;
        kinds.entry(text_or_empty(principal, "type")).or_default().extend(descending(ids));
    }
    let all = |(kind, ids): (&String, &Vec<String>)| kind == "*" && ids.iter().eq(["*"]);
    if kinds.len() == 1 && kinds.iter().next().is_some_and(all) {
        return Ok(Some(Node::Text("*".into())));
    }
    let kinds: Vec<_> = kinds.into_iter().map(|(kind, ids)| (kind, one_or_many(ids))).collect();
    Ok((!kinds.is_empty()).then_some(Node::Object(kinds)))
}

type Conditions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn own_conditions(list: &[Value], version: &str, at: &AttrPath) -> Result<Option<Node>, ProviderError> {
    let mut tests = Conditions::new();
    for condition in list {
        let values = variables(texts(condition, "values").unwrap_or_default(), version, at)?;
        let test = tests.entry(text_or_empty(condition, "test")).or_default();
        test.entry(text_or_empty(condition, "variable")).or_default().extend(values);
    }
    Ok(conditions_node(tests))
}

fn conditions_node(tests: Conditions) -> Option<Node> {
    let variables = |variables: BTreeMap<String, Vec<String>>| {
        Node::Object(variables.into_iter().map(|(name, values)| (name, one_or_many(values))).collect())
    };
    let tests: Vec<_> = tests.into_iter().map(|(test, vs)| (test, variables(vs))).collect();
    (!tests.is_empty()).then_some(Node::Object(tests))
}

impl Document {
    fn parse(parts: &serde_json::Map<String, Json>) -> Document {
        let part = |name: &str| parts.get(name).and_then(Json::as_str).unwrap_or_default().to_string();
        let statements = match parts.get("Statement") {
            Some(Json::Array(items)) => items.iter().map(Statement::parse).collect(),
            Some(one @ Json::Object(_)) => vec![Statement::parse(one)],
            _ => Vec::new(),
        };
        Document { version: part("Version"), id: part("Id"), statements }
    }

    /// Lays another document over this one: a statement with the same sid takes the place of the earlier one.
    fn merge(&mut self, later: Document) {
        if !later.id.is_empty() {
            self.id = later.id;
        }
        if later.version > self.version {
            self.version = later.version;
        }
        for statement in later.statements {
            let same = |s: &&mut Statement| !statement.sid.is_empty() && s.sid == statement.sid;
            match self.statements.iter_mut().find(same) {
                Some(place) => *place = statement,
                None => self.statements.push(statement),
            }
        }
    }

    fn node(&self) -> Node {
        let mut members = Vec::new();
        for (name, text) in [("Version", &self.version), ("Id", &self.id)] {
            if !text.is_empty() {
                members.push((name.to_string(), Node::Text(text.clone())));
            }
        }
        if !self.statements.is_empty() {
            let statements = self.statements.iter().map(Statement::node).collect();
            members.push(("Statement".to_string(), Node::List(statements)));
        }
        Node::Object(members)
    }
}

impl Statement {
    fn parse(json: &Json) -> Statement {
        let sid = json.get("Sid").and_then(Json::as_str).unwrap_or_default().to_string();
        let mut statement = Statement { sid, members: Vec::new() };
        for member in MEMBERS {
            let Some(value) = json.get(member).filter(|v| !v.is_null()) else { continue };
            let node = match member {
                "Principal" | "NotPrincipal" => parsed_principals(value),
                "Condition" => parsed_conditions(value),
                _ => Some(plain_node(value)),
            };
            statement.members.extend(node.filter(|n| *n != Node::Text(String::new())).map(|n| (member, n)));
        }
        statement
    }

    fn node(&self) -> Node {
        let sid = (!self.sid.is_empty()).then(|| ("Sid".to_string(), Node::Text(self.sid.clone())));
        let members = self.members.iter().map(|(name, node)| (name.to_string(), node.clone()));
        Node::Object(sid.into_iter().chain(members).collect())
    }
}

fn scalar_text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn plain_node(value: &Json) -> Node {
    match value {
        Json::Array(items) => Node::List(items.iter().map(plain_node).collect()),
        Json::Object(parts) => Node::Object(parts.iter().map(|(k, v)| (k.clone(), plain_node(v))).collect()),
        scalar => Node::Text(scalar_text(scalar)),
    }
}

fn parsed_principals(value: &Json) -> Option<Node> {
    let Json::Object(kinds) = value else { return Some(Node::Text("*".into())) };
    let all = |ids: &Json| ids.as_str() == Some("*") || *ids == serde_json::json!(["*"]);
    if kinds.len() == 1 && kinds.get("*").is_some_and(all) {
        return Some(Node::Text("*".into()));
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, ids)| {
            let node = match ids {
                Json::Array(ids) => {
                    let ids = descending(ids.iter().map(scalar_text).collect());
                    Node::List(ids.into_iter().map(Node::Text).collect())
                }
                one => Node::Text(scalar_text(one)),
            };
            (kind.clone(), node)
        })
        .collect();
    (!kinds.is_empty()).then_some(Node::Object(kinds))
}

fn parsed_conditions(value: &Json) -> Option<Node> {
    let mut tests = Conditions::new();
    for (test, variables) in value.as_object().into_iter().flatten() {
        for (variable, values) in variables.as_object().into_iter().flatten() {
            let values = match values {
                Json::Array(values) => values.iter().map(scalar_text).collect(),
                one => vec![scalar_text(one)],
            };
            tests.entry(test.clone()).or_default().insert(variable.clone(), values);
        }
    }
    conditions_node(tests)
}

/// Writes JSON as the upstream provider's encoder does: indented by two spaces at a depth, or without white space.
fn write(node: &Node, depth: Option<usize>, out: &mut String) {
    match node {
        Node::Text(text) => write_text(text, out),
        Node::List(items) => {
            let items: Vec<_> = items.iter().map(|item| (None, item)).collect();
            write_members('[', ']', &items, depth, out);
        }
        Node::Object(members) => {
            let members: Vec<_> = members.iter().map(|(name, node)| (Some(name.as_str()), node)).collect();
            write_members('{', '}', &members, depth, out);
        }
    }
}

fn write_members(
    open: char,
    close: char,
    members: &[(Option<&str>, &Node)],
    depth: Option<usize>,
    out: &mut String,
) {
    out.push(open);
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    for (i, (name, node)) in members.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if let Some(depth) = depth {
            line(depth + 1, out);
        }
        if let Some(name) = name {
            write_text(name, out);
            out.push_str(if depth.is_some() { ": " } else { ":" });
        }
        write(node, depth.map(|d| d + 1), out);
    }
    if let Some(depth) = depth.filter(|_| !members.is_empty()) {
        line(depth, out);
    }
    out.push(close);
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The checksum by which the upstream provider makes ids.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xedb8_8320 & mask);
        }
    }
    !crc
}

#[cfg(test)]
#[path = "iam_policy_document_tests.rs"]
mod tests;
