//! Objects and the verbs on them.
//!
//! Invariants: every write goes through `Objects::store`, which gives the version, keeps the fields'
//! managers and notices writes that change nothing; a dry run is a whole run that is taken back.

use super::apply::{self, Operation};
use super::controllers;
use super::defaults;
use super::kinds::Kind;
use super::patch;
use crate::clock::rfc3339;
use crate::core::Ctx;
use crate::crypto::{random_hex, uuid};
use crate::http::{Reply, Request, decode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The object and verb that a path means.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) sub: Option<String>,
}

impl Target {
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let segments = request.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts[..] {
            ["api", version, ref rest @ ..] => ("", version, rest),
            ["apis", group, version, ref rest @ ..] => (group, version, rest),
            _ => return None,
        };
        let own = |s: &&str| (*s).to_owned();
        let (namespace, rest) = match rest {
            ["namespaces", ns, resource, ..] if !matches!(*resource, "status" | "finalize") => {
                (Some((*ns).to_owned()), &rest[2..])
            }
            _ => (None, rest),
        };
        let kind = Kind::find(group, version, rest.first()?)?;
        if rest.len() > 3 || (namespace.is_some() && !kind.namespaced) {
            return None;
        }
        Some(Self { kind, namespace, name: rest.get(1).map(own), sub: rest.get(2).map(own) })
    }

    /// Where the objects of a list or watch lie.
    pub(crate) fn prefix(&self, uid: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}{namespace}/", self.kind.prefix(uid)),
            None => self.kind.prefix(uid),
        }
    }

    fn space(&self) -> &str {
        self.namespace.as_deref().unwrap_or("")
    }
}

/// What a list or watch is limited to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<(String, String, Vec<String>)>,
    fields: Vec<(String, bool, String)>,
    pub(crate) name: Option<String>,
}

impl Selector {
    pub(crate) fn of(params: &BTreeMap<String, String>) -> Self {
        let labels = params.get("labelSelector").map_or("", String::as_str);
        let fields = params.get("fieldSelector").map_or("", String::as_str);
        let field = |text: &str| {
            let (key, value) =
                text.split_once("!=").or_else(|| text.split_once("==")).or_else(|| text.split_once('='))?;
            Some((key.trim().to_owned(), !text.contains("!="), value.trim().to_owned()))
        };
        Self {
            labels: split_terms(labels).iter().filter_map(|t| label_term(t)).collect(),
            fields: fields.split(',').filter_map(field).collect(),
            name: None,
        }
    }

    pub(crate) fn fits(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let label = |(key, op, values): &(String, String, Vec<String>)| {
            let value = labels[key.as_str()].as_str();
            match op.as_str() {
                "in" => value.is_some_and(|v| values.iter().any(|w| w == v)),
                "notin" => value.is_none_or(|v| !values.iter().any(|w| w == v)),
                "exists" => value.is_some(),
                _ => value.is_none(),
            }
        };
        let field = |(path, equal, wanted): &(String, bool, String)| {
            let found = path.split('.').fold(object, |value, part| &value[part]);
            (found.as_str().unwrap_or_default() == wanted) == *equal
        };
        self.name.as_ref().is_none_or(|name| object["metadata"]["name"] == name.as_str())
            && self.labels.iter().all(label)
            && self.fields.iter().all(field)
    }
}

/// Splits at commas that are not inside parentheses.
fn split_terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match (c, terms.last_mut()) {
            (',', _) if depth == 0 => terms.push(String::new()),
            (_, Some(term)) => term.push(c),
            (_, None) => {}
        }
    }
    terms
}

fn label_term(term: &str) -> Option<(String, String, Vec<String>)> {
    let term = term.trim();
    let made =
        |key: &str, op: &str, values: Vec<String>| Some((key.trim().to_owned(), op.to_owned(), values));
    let values = |text: &str| {
        let inner = text.trim().trim_start_matches('(').trim_end_matches(')');
        inner.split(',').map(|v| v.trim().to_owned()).collect()
    };
    if term.is_empty() {
        return None;
    }
    if let Some((key, rest)) = term.split_once(" notin ") {
        return made(key, "notin", values(rest));
    }
    if let Some((key, rest)) = term.split_once(" in ") {
        return made(key, "in", values(rest));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return made(key, "notin", vec![value.trim().to_owned()]);
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return made(key, "in", vec![value.trim().to_owned()]);
    }
    match term.strip_prefix('!') {
        Some(key) => made(key, "missing", Vec::new()),
        None => made(term, "exists", Vec::new()),
    }
}

pub(crate) fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn space_of(object: &Value) -> String {
    object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned()
}

/// An object as answers show it.
pub(crate) fn clean(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("_sim");
    }
    object
}

/// The body of a Status answer.
pub(crate) fn status_body(code: u16, reason: &str, message: &str, details: Option<Value>) -> Value {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": if code < 400 { "Success" } else { "Failure" },
        "message": message, "reason": reason, "code": code,
    });
    if let Some(details) = details {
        body["details"] = details;
    }
    body
}

pub(crate) fn status(code: u16, reason: &str, message: &str, details: Option<Value>) -> Reply {
    Reply::json(code, &status_body(code, reason, message, details))
}

fn details(kind: Kind, name: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind.resource});
    if !kind.group.is_empty() {
        details["group"] = kind.group.into();
    }
    details
}

pub(super) fn not_found(kind: Kind, name: &str) -> Reply {
    let text = format!("{} \"{name}\" not found", kind.full_name());
    status(404, "NotFound", &text, Some(details(kind, name)))
}

fn conflict(kind: Kind, name: &str, why: &str) -> Reply {
    let text = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.full_name());
    status(409, "Conflict", &text, Some(details(kind, name)))
}

fn bad_request(message: &str) -> Reply {
    status(400, "BadRequest", message, None)
}

/// A cause of a refusal: the field and what is wrong with it.
pub(super) struct Cause {
    pub(super) field: String,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

fn invalid(kind: Kind, name: &str, causes: &[Cause]) -> Reply {
    let texts: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    let text = format!("{} \"{name}\" is invalid: {}", full_kind(kind), texts.join(", "));
    let causes: Vec<Value> =
        causes.iter().map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field})).collect();
    let mut details = details(kind, name);
    details["kind"] = kind.kind.into();
    details["causes"] = causes.into();
    status(422, "Invalid", &text, Some(details))
}

fn full_kind(kind: Kind) -> String {
    if kind.group.is_empty() { kind.kind.to_owned() } else { format!("{}.{}", kind.kind, kind.group) }
}

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) status: bool,
}

/// The objects of one cluster.
pub(crate) struct Objects<'a, 'b> {
    pub(crate) ctx: &'a mut Ctx<'b>,
    pub(crate) uid: &'a str,
}

impl Objects<'_, '_> {
    pub(crate) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        self.ctx.world.get(&kind.key(self.uid, namespace, name)).cloned()
    }

    pub(crate) fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Value> {
        let mut prefix = kind.prefix(self.uid);
        if let Some(namespace) = namespace {
            prefix.push_str(&format!("{namespace}/"));
        }
        self.ctx.world.under(&prefix).map(|(_, object)| object.clone()).collect()
    }

    pub(crate) fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.ctx.world.remove(&kind.key(self.uid, namespace, name));
    }

    /// Makes an object for the cluster's own controllers.
    pub(crate) fn make(&mut self, kind: Kind, mut object: Value) {
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        let (sim, state) = (object["_sim"].take(), object["status"].take());
        self.fresh_metadata(&mut object);
        defaults::fill(kind, &mut object, None, self.uid);
        for (name, value) in [("_sim", sim), ("status", state)] {
            match value {
                Value::Null => {
                    object.as_object_mut().map(|o| o.remove(name));
                }
                value => object[name] = value,
            }
        }
        self.store(kind, None, object, &own_writer(false));
    }

    /// Changes an object for the cluster's own controllers.
    pub(crate) fn put_if_changed(&mut self, kind: Kind, old: &Value, change: impl FnOnce(&mut Value)) {
        let mut new = old.clone();
        change(&mut new);
        if new != *old {
            let writer = own_writer(new["status"] != old["status"]);
            self.store(kind, Some(old), new, &writer);
        }
    }

    fn fresh_metadata(&self, object: &mut Value) {
        let meta = &mut object["metadata"];
        meta["uid"] = uuid().into();
        meta["creationTimestamp"] = rfc3339(self.ctx.now).into();
        if let Some(prefix) = meta["generateName"].as_str().filter(|_| meta["name"].is_null()) {
            meta["name"] = format!("{prefix}{}", &random_hex(5)).into();
        }
    }

    /// Writes an object; one that is no different stays as it is, version and all.
    fn store(&mut self, kind: Kind, old: Option<&Value>, mut new: Value, writer: &Writer) -> Value {
        if kind.has_generation() {
            let generation = old.map_or(0, |o| o["metadata"]["generation"].as_u64().unwrap_or(0));
            let changed = old.is_none_or(|o| o["spec"] != new["spec"]);
            new["metadata"]["generation"] = (generation + u64::from(changed)).into();
        }
        if writer.operation == Operation::Update {
            apply::note_update(old, &mut new, writer, &kind.api_version(), self.ctx.now);
        }
        if let Some(old) = old
            && apply::same_but_times(old, &new)
        {
            return old.clone();
        }
        let version = self.ctx.world.next(&format!("kube/{}", self.uid));
        new["metadata"]["resourceVersion"] = version.to_string().into();
        let key = kind.key(self.uid, &space_of(&new), &name_of(&new));
        self.ctx.world.put(key, new.clone());
        new
    }
}

fn own_writer(status: bool) -> Writer {
    Writer { manager: "kube-controller-manager".into(), operation: Operation::Update, status }
}

type Answer = Result<Reply, Reply>;

/// One request, with what all verbs need.
struct Verb<'a, 'b, 'c> {
    objects: Objects<'a, 'b>,
    target: &'c Target,
    request: &'c Request,
    params: BTreeMap<String, String>,
}

/// Answers a request for objects; an `Err` takes everything back, as dry runs do.
pub(super) fn call(ctx: &mut Ctx<'_>, uid: &str, target: &Target, request: &Request) -> Answer {
    let params = request.params();
    let dry = params.get("dryRun").is_some_and(|v| v == "All");
    let mut verb = Verb { objects: Objects { ctx, uid }, target, request, params };
    let known_sub = match target.sub.as_deref() {
        None | Some("status") => true,
        Some(sub) => sub == "log" && target.kind.resource == "pods",
    };
    if !known_sub {
        return Err(status(404, "NotFound", "the server could not find the requested resource", None));
    }
    let answer = match (request.method.as_str(), &target.name) {
        ("GET", Some(name)) if target.sub.as_deref() == Some("log") => verb.log(name),
        ("GET", Some(name)) => verb.read(name),
        ("GET", None) => verb.list(),
        ("POST", None) => verb.create(),
        ("PUT", Some(name)) => verb.replace(name),
        ("PATCH", Some(name)) => verb.patch(name),
        ("DELETE", Some(name)) => verb.delete(name),
        ("DELETE", None) => verb.delete_all(),
        _ => Err(status(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            None,
        )),
    }?;
    if dry {
        return Err(answer);
    }
    if request.method != "GET" {
        controllers::reconcile(ctx, uid);
    }
    Ok(answer)
}

impl Verb<'_, '_, '_> {
    fn find(&self, name: &str) -> Result<Value, Reply> {
        let kind = self.target.kind;
        self.objects.get(kind, self.target.space(), name).ok_or_else(|| not_found(kind, name))
    }

    fn read(&self, name: &str) -> Answer {
        Ok(Reply::json(200, &clean(&self.find(name)?)))
    }

    fn log(&self, name: &str) -> Answer {
        self.find(name)?;
        Ok(Reply::new(200, "text/plain", ""))
    }

    fn list(&self) -> Answer {
        let selector = Selector::of(&self.params);
        let prefix = self.target.prefix(self.objects.uid);
        let start = self.params.get("continue").map(|text| decode(text, false)).unwrap_or_default();
        let limit =
            self.params.get("limit").and_then(|l| l.parse().ok()).filter(|l| *l > 0).unwrap_or(usize::MAX);
        let world = &self.objects.ctx.world;
        let mut rows = world
            .under(&prefix)
            .filter(|(key, object)| key[prefix.len()..] > *start && selector.fits(object));
        let page: Vec<(&str, &Value)> = rows.by_ref().take(limit).collect();
        let more = rows.count();
        let version = super::watch::newest(world, self.objects.uid).to_string();
        let mut meta = json!({ "resourceVersion": version });
        if more > 0 {
            meta["continue"] = page.last().map(|(key, _)| &key[prefix.len()..]).into();
            meta["remainingItemCount"] = more.into();
        }
        // Items of a list carry no kind of their own in the vendor's API for built-in kinds.
        let items: Vec<Value> = page.into_iter().map(|(_, object)| bare(object)).collect();
        let kind = self.target.kind;
        let body = json!({
            "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
            "metadata": meta, "items": items,
        });
        Ok(Reply::json(200, &body))
    }

    fn body(&self) -> Result<Value, Reply> {
        serde_json::from_slice::<Value>(&self.request.body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| bad_request("the body of the request is not a JSON object"))
    }

    fn writer(&self, operation: Operation) -> Writer {
        let agent = self.request.header("user-agent").unwrap_or("unknown");
        let agent = agent.split('/').next().unwrap_or("unknown").to_owned();
        Writer {
            manager: self.params.get("fieldManager").cloned().unwrap_or(agent),
            operation,
            status: self.target.sub.as_deref() == Some("status"),
        }
    }

    /// Holds a body against the path that it was sent to.
    fn check_identity(&self, object: &mut Value, name: Option<&str>) -> Result<(), Reply> {
        let kind = self.target.kind;
        let (version, own) = (kind.api_version(), kind.kind);
        for (member, wanted) in [("apiVersion", version.as_str()), ("kind", own)] {
            match object[member].as_str() {
                Some(given) if given != wanted => {
                    let text = format!(
                        "the {member} in the data ({given}) does not match the expected {member} ({wanted})"
                    );
                    return Err(bad_request(&text));
                }
                _ => object[member] = wanted.into(),
            }
        }
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        if kind.namespaced {
            let space = self
                .target
                .namespace
                .as_deref()
                .ok_or_else(|| bad_request("an empty namespace may not be set during creation"))?;
            if object["metadata"]["namespace"].as_str().is_some_and(|given| given != space) {
                let text =
                    "the namespace of the provided object does not match the namespace sent on the request";
                return Err(bad_request(text));
            }
            object["metadata"]["namespace"] = space.into();
        }
        if let Some(name) = name {
            if object["metadata"]["name"].as_str().is_some_and(|given| given != name) {
                let text = format!(
                    "the name of the object ({}) does not match the name on the URL ({name})",
                    name_of(object)
                );
                return Err(bad_request(&text));
            }
            object["metadata"]["name"] = name.into();
        }
        Ok(())
    }

    fn create(&mut self) -> Answer {
        let mut object = self.body()?;
        self.check_identity(&mut object, None)?;
        strip_server_fields(&mut object);
        let writer = self.writer(Operation::Update);
        let made = self.insert(object, &writer)?;
        Ok(Reply::json(201, &clean(&made)))
    }

    fn insert(&mut self, mut object: Value, writer: &Writer) -> Result<Value, Reply> {
        let kind = self.target.kind;
        self.check_namespace(&object)?;
        self.objects.fresh_metadata(&mut object);
        let name = name_of(&object);
        if name.is_empty() {
            return Err(invalid(kind, "", &[required("metadata.name")]));
        }
        if self.objects.get(kind, self.target.space(), &name).is_some() {
            let text = format!("{} \"{name}\" already exists", kind.full_name());
            return Err(status(409, "AlreadyExists", &text, Some(details(kind, &name))));
        }
        object.as_object_mut().map(|o| o.remove("status"));
        defaults::fill(kind, &mut object, None, self.objects.uid);
        self.validate(&object, None)?;
        Ok(self.objects.store(kind, None, object, writer))
    }

    fn check_namespace(&self, object: &Value) -> Result<(), Reply> {
        if !self.target.kind.namespaced {
            return Ok(());
        }
        let spaces = Kind::of("namespaces");
        let space = self.target.space();
        let found = self.objects.get(spaces, "", space).ok_or_else(|| not_found(spaces, space))?;
        if found["metadata"]["deletionTimestamp"].is_null() {
            return Ok(());
        }
        let name = name_of(object);
        let text = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {space} because it is being terminated",
            self.target.kind.full_name()
        );
        Err(status(403, "Forbidden", &text, Some(details(self.target.kind, &name))))
    }

    fn validate(&self, new: &Value, old: Option<&Value>) -> Result<(), Reply> {
        let causes = defaults::check(self.target.kind, new, old);
        if causes.is_empty() { Ok(()) } else { Err(invalid(self.target.kind, &name_of(new), &causes)) }
    }

    fn replace(&mut self, name: &str) -> Answer {
        let mut object = self.body()?;
        self.check_identity(&mut object, Some(name))?;
        let old = self.find(name)?;
        let writer = self.writer(Operation::Update);
        let new = self.update(&old, object, &writer)?;
        Ok(Reply::json(200, &clean(&new)))
    }

    /// Makes an existing object into a new one: what the server owns stays.
    fn update(&mut self, old: &Value, mut new: Value, writer: &Writer) -> Result<Value, Reply> {
        let (kind, name) = (self.target.kind, name_of(old));
        let wanted = &new["metadata"];
        let differs = |member: &str| {
            let given = &wanted[member];
            given.is_string() && *given != "" && *given != old["metadata"][member]
        };
        if differs("resourceVersion") {
            let why =
                "the object has been modified; please apply your changes to the latest version and try again";
            return Err(conflict(kind, &name, why));
        }
        if differs("uid") {
            return Err(conflict(kind, &name, "Precondition failed: UID in precondition does not match"));
        }
        if writer.status {
            let state = new["status"].take();
            let managed = new["metadata"]["managedFields"].take();
            new = old.clone();
            new["status"] = state;
            if writer.operation == Operation::Apply {
                new["metadata"]["managedFields"] = managed;
            }
        } else {
            keep_server_fields(old, &mut new, writer);
            defaults::fill(kind, &mut new, Some(old), self.objects.uid);
            self.validate(&new, Some(old))?;
        }
        let new = self.objects.store(kind, Some(old), new, writer);
        let finalizers = new["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
        if !new["metadata"]["deletionTimestamp"].is_null() && !finalizers && kind.resource != "namespaces" {
            self.objects.remove(kind, self.target.space(), &name);
        }
        Ok(new)
    }

    fn patch(&mut self, name: &str) -> Answer {
        let kind = self.request.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let patch: Value = serde_json::from_slice(&self.request.body)
            .map_err(|_| bad_request("the body of the patch is not JSON"))?;
        if kind == "application/apply-patch+yaml" {
            return self.apply(name, patch);
        }
        let old = self.find(name)?;
        let mut new = clean(&old);
        match kind {
            "application/merge-patch+json" => patch::merge(&mut new, &patch),
            "application/strategic-merge-patch+json" => patch::strategic(&mut new, &patch),
            "application/json-patch+json" => patch::json_patch(&mut new, &patch)
                .map_err(|e| status(422, "Invalid", &format!("the patch cannot be made: {e}"), None))?,
            _ => {
                let text = "the body of the request was in an unknown format";
                return Err(status(415, "UnsupportedMediaType", text, None));
            }
        }
        self.check_identity(&mut new, Some(name))?;
        let writer = self.writer(Operation::Update);
        let new = self.update(&old, new, &writer)?;
        Ok(Reply::json(200, &clean(&new)))
    }

    fn apply(&mut self, name: &str, mut config: Value) -> Answer {
        let Some(manager) = self.params.get("fieldManager").filter(|m| !m.is_empty()).cloned() else {
            let text = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return Err(status(422, "Invalid", text, None));
        };
        if !config.is_object() || config["apiVersion"].is_null() || config["kind"].is_null() {
            return Err(bad_request("an applied configuration needs apiVersion and kind"));
        }
        if !config["metadata"]["managedFields"].is_null() {
            return Err(bad_request("metadata.managedFields must be nil"));
        }
        self.check_identity(&mut config, Some(name))?;
        let force = self.params.get("force").is_some_and(|v| v == "true");
        let old = self.objects.get(self.target.kind, self.target.space(), name);
        let writer = Writer { manager, ..self.writer(Operation::Apply) };
        let wanted_uid = config["metadata"]["uid"].as_str().is_some_and(|u| !u.is_empty());
        if old.is_none() && (wanted_uid || writer.status) {
            return Err(if wanted_uid {
                conflict(
                    self.target.kind,
                    name,
                    "uid mismatch: the provided object specified a uid, and no existing object was found",
                )
            } else {
                not_found(self.target.kind, name)
            });
        }
        let now = self.objects.ctx.now;
        let merged = apply::apply(old.as_ref(), &config, &writer, force, now).map_err(|c| conflicts(&c))?;
        match old {
            None => {
                let made = self.insert(merged, &writer)?;
                Ok(Reply::json(201, &clean(&made)))
            }
            Some(old) => {
                let new = self.update(&old, merged, &writer)?;
                Ok(Reply::json(200, &clean(&new)))
            }
        }
    }

    fn delete(&mut self, name: &str) -> Answer {
        let options: Value = serde_json::from_slice(&self.request.body).unwrap_or_else(|_| json!({}));
        let old = self.find(name)?;
        let wanted = &options["preconditions"];
        for (member, text) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let given = &wanted[member];
            if given.is_string() && *given != old["metadata"][member] {
                let why = format!(
                    "Precondition failed: {text} in precondition: {given}, {text} in object meta: {}",
                    old["metadata"][member]
                );
                return Err(conflict(self.target.kind, name, &why));
            }
        }
        let policy = self.params.get("propagationPolicy").map(String::as_str);
        let policy =
            policy.or_else(|| options["propagationPolicy"].as_str()).unwrap_or("Background").to_owned();
        Ok(match self.remove(&old, &policy) {
            Some(left) => {
                Reply::json(if self.target.kind.resource == "namespaces" { 200 } else { 202 }, &clean(&left))
            }
            None => {
                let mut details = details(self.target.kind, name);
                details["uid"] = old["metadata"]["uid"].clone();
                let mut body = status_body(200, "", "", Some(details));
                if let Some(members) = body.as_object_mut() {
                    members.retain(|key, _| !matches!(key.as_str(), "message" | "reason" | "code"));
                }
                Reply::json(200, &body)
            }
        })
    }

    fn delete_all(&mut self) -> Answer {
        let selector = Selector::of(&self.params);
        let objects = self.objects.list(self.target.kind, self.target.namespace.as_deref());
        let mut gone = Vec::new();
        for object in objects.iter().filter(|o| selector.fits(o)) {
            self.remove(object, "Background");
            gone.push(bare(object));
        }
        let kind = self.target.kind;
        let body = json!({
            "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
            "metadata": {}, "items": gone,
        });
        Ok(Reply::json(200, &body))
    }

    /// Deletes, or marks for deletion where someone has to finish first.
    fn remove(&mut self, old: &Value, policy: &str) -> Option<Value> {
        let kind = self.target.kind;
        let mut new = old.clone();
        let mut finalizers = old["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if policy == "Foreground"
            && matches!(kind.group, "apps" | "batch")
            && !finalizers.contains(&json!("foregroundDeletion"))
        {
            finalizers.push("foregroundDeletion".into());
        }
        if policy == "Orphan" {
            controllers::orphan(&mut self.objects, old);
        }
        let waits = matches!(kind.resource, "namespaces" | "pods");
        if finalizers.is_empty() && !waits {
            self.objects.remove(kind, &space_of(old), &name_of(old));
            return None;
        }
        if !finalizers.is_empty() {
            new["metadata"]["finalizers"] = finalizers.into();
        }
        if new["metadata"]["deletionTimestamp"].is_null() {
            new["metadata"]["deletionTimestamp"] = rfc3339(self.objects.ctx.now).into();
            new["_sim"]["deleted_at"] = self.objects.ctx.now.into();
            if kind.resource == "namespaces" {
                new["status"]["phase"] = "Terminating".into();
            }
        }
        Some(self.objects.store(kind, Some(old), new, &own_writer(false)))
    }
}

fn required(field: &str) -> Cause {
    Cause { field: field.into(), reason: "FieldValueRequired", message: "Required value".into() }
}

fn conflicts(found: &[apply::Conflict]) -> Reply {
    let causes: Vec<Value> = found
        .iter()
        .map(|c| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with \"{}\"{}", c.manager, c.how), "field": c.field})
        })
        .collect();
    let text: Vec<String> =
        found.iter().map(|c| format!("conflict with \"{}\"{}: {}", c.manager, c.how, c.field)).collect();
    let (count, plural) = (found.len(), if found.len() == 1 { "" } else { "s" });
    let message = format!("Apply failed with {count} conflict{plural}: {}", text.join(", "));
    status(409, "Conflict", &message, Some(json!({ "causes": causes })))
}

fn bare(object: &Value) -> Value {
    let mut object = clean(object);
    if let Some(members) = object.as_object_mut() {
        members.remove("apiVersion");
        members.remove("kind");
    }
    object
}

/// Takes out of a new object what only the server may set.
fn strip_server_fields(object: &mut Value) {
    for name in
        ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields"]
    {
        remove(&mut object["metadata"], name);
    }
    remove(object, "_sim");
}

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}

fn keep_server_fields(old: &Value, new: &mut Value, writer: &Writer) {
    let managed = new["metadata"]["managedFields"].take();
    let had: &Map<String, Value> = match old["metadata"].as_object() {
        Some(meta) => meta,
        None => return,
    };
    for name in
        ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields"]
    {
        match had.get(name) {
            Some(value) => new["metadata"][name] = value.clone(),
            None => remove(&mut new["metadata"], name),
        }
    }
    if writer.operation == Operation::Apply {
        new["metadata"]["managedFields"] = managed;
    }
    for name in ["status", "_sim"] {
        match old.get(name) {
            Some(value) => new[name] = value.clone(),
            None => remove(new, name),
        }
    }
}
