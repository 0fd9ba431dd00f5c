//! EC2's kinds. One that fits the common pattern (make, describe by id, delete by id, tags beside it) is a
//! [`Table`], a schema, a request and what to show of an answer; routes, rules and associations are [`super::plain`]
//! kinds of their own.

mod defaults;
mod eip;
mod internet_gateway;
mod nat_gateway;
mod permissions;
mod route;
mod route_table;
mod route_table_association;
mod security_group;
mod security_group_rule;
mod subnet;
mod vpc;
mod vpc_rule;

use super::Resource;
use super::plain::{Change, New, Of, Plain, Seen, State};
use crate::client::Aws;
use crate::config::partition_of;
use crate::ec2::{Params, Xml, push_filter};
use crate::error::Api;
use crate::tags::{OWNER_TAG, TagChange, Tags};
use crate::values::text_or_empty;
use groma_provider::{
    ErrorKind, Identity, OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait,
};
use groma_types::schema::{Attribute, Block, KindSchema, Timeouts};
use groma_types::{Type, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a fresh object of EC2 may be invisible.
const VISIBILITY: Duration = Duration::from_secs(120);
/// Ids that one filter holds.
const FILTER_VALUES_MAX: usize = 200;

/// All kinds.
pub(crate) fn all() -> Vec<Box<dyn Resource>> {
    vec![
        Of::boxed(Ec2(vpc::Vpc)),
        Of::boxed(Ec2(subnet::Subnet)),
        Of::boxed(Ec2(internet_gateway::InternetGateway)),
        Of::boxed(Ec2(nat_gateway::NatGateway)),
        Of::boxed(Ec2(eip::Eip)),
        Of::boxed(Ec2(route_table::RouteTable)),
        Of::boxed(route::Route),
        Of::boxed(route_table_association::Association),
        Of::boxed(Ec2(security_group::SecurityGroup)),
        Of::boxed(security_group_rule::Rule),
        Of::boxed(Ec2(vpc_rule::VpcRule::INGRESS)),
        Of::boxed(Ec2(vpc_rule::VpcRule::EGRESS)),
        Of::boxed(defaults::DefaultVpc),
        Of::boxed(defaults::DefaultSubnet),
        Of::boxed(defaults::DefaultSecurityGroup),
        Of::boxed(defaults::DefaultRouteTable),
    ]
}

/// A setting that has a call, or a parameter of a call, of its own.
pub(super) struct Edit {
    pub(super) attr: &'static str,
    pub(super) operation: &'static str,
    pub(super) parameter: &'static str,
    /// What a fresh object has.
    pub(super) initially: &'static str,
}

/// The operations and names of a kind.
pub(super) struct Table {
    /// Describes objects; its list is `set`, an item's id is in `id`, `by` is the parameter that takes ids, `filter`
    /// the filter.
    pub(super) list: &'static str,
    pub(super) set: &'static str,
    pub(super) id: &'static str,
    pub(super) by: &'static str,
    pub(super) filter: &'static str,
    /// Makes an object; the new id is at this path of the answer.
    pub(super) make: &'static str,
    pub(super) made: &'static [&'static str],
    /// Deletes the object that the parameter `drop_by` names.
    pub(super) drop: &'static str,
    pub(super) drop_by: &'static str,
    /// Name of the kind where tags are written.
    pub(super) tag_type: &'static str,
    /// Whether `make` knows a repeated request by `ClientToken`.
    pub(super) token: bool,
    pub(super) edits: &'static [Edit],
}

impl Table {
    pub(super) fn list_api(&self) -> Api {
        Api::read("ec2", self.list)
    }
}

/// A kind of EC2 that fits the pattern.
#[async_trait]
pub(super) trait Ec2Kind: Send + Sync {
    fn table(&self) -> &'static Table;
    fn schema(&self) -> KindSchema;

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    fn refine(&self, input: &PlanInput<'_>, out: &mut PlanOutput) -> Result<(), ProviderError> {
        let _ = (input, out);
        Ok(())
    }

    /// The parameters of the create, tags aside.
    fn request(&self, planned: &Value, token: &str) -> Params;

    /// What an item of the list says.
    fn show(&self, aws: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)>;

    /// How it stands; `None`: what is shown is no more than a memory of it.
    fn state(&self, item: &Xml) -> Option<State> {
        let _ = item;
        Some(State::Ready)
    }

    /// Reads what the list does not say.
    async fn complete(
        &self,
        aws: &Aws,
        id: &str,
        attrs: &mut Vec<(&'static str, Value)>,
    ) -> Result<(), ProviderError> {
        let _ = (aws, id, attrs);
        Ok(())
    }

    /// Changes that are no [`Edit`]; tells whether there was anything.
    async fn settle(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        let _ = (aws, change, ctx);
        Ok(false)
    }

    /// Takes apart what would stand in the way of the object's end.
    async fn release(
        &self,
        aws: &Aws,
        id: &str,
        prior: &Value,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let _ = (aws, id, prior, ctx);
        Ok(())
    }

    /// Further parameters of the delete.
    fn drop_more(&self, prior: &Value) -> Params {
        let _ = prior;
        Params::new()
    }

    /// Whether an unmarked object is found by key: filters that select it.
    fn natural(&self, planned: &Value) -> Option<Params> {
        let _ = planned;
        None
    }
}

/// The plain kind of an [`Ec2Kind`].
pub(super) struct Ec2<K>(pub(super) K);

impl<K: Ec2Kind> Ec2<K> {
    fn seen(&self, aws: &Aws, item: &Xml, before: &Value) -> Option<Seen> {
        let state = self.0.state(item)?;
        let attrs = self.0.show(aws, item, before);
        Some(Seen { attrs, tags: tags_of(item), state })
    }
}

#[async_trait]
impl<K: Ec2Kind> Plain for Ec2<K> {
    fn schema(&self) -> KindSchema {
        self.0.schema()
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        self.0.validate(config)
    }

    fn refine(&self, input: &PlanInput<'_>, out: &mut PlanOutput) -> Result<(), ProviderError> {
        self.0.refine(input, out)
    }

    async fn make(&self, aws: &Aws, new: &New<'_>, ctx: &dyn OpContext) -> Result<String, ProviderError> {
        let table = self.0.table();
        let mut params = self.0.request(new.planned, &new.identity.token);
        push_tags(&mut params, table.tag_type, new.tags);
        if table.token {
            params.push(("ClientToken".into(), new.identity.token.clone()));
        }
        let answer = aws.ec2_make(Api::write("ec2", table.make), params, ctx).await?;
        let mut at = Some(&answer);
        for step in table.made {
            at = at.and_then(|xml| xml.child(step));
        }
        let id = at.map(|xml| xml.text.trim().to_string()).filter(|id| !id.is_empty());
        id.ok_or_else(|| {
            let text = "the answer holds no id";
            ProviderError::new(ErrorKind::Ambiguous, text).asked(format!("ec2:{}", table.make))
        })
    }

    async fn see(&self, aws: &Aws, id: &str, before: &Value) -> Result<Option<Seen>, ProviderError> {
        let Some(item) = aws.ec2_one(self.0.table(), id).await? else { return Ok(None) };
        let Some(mut seen) = self.seen(aws, &item, before) else { return Ok(None) };
        self.0.complete(aws, id, &mut seen.attrs).await?;
        Ok(Some(seen))
    }

    async fn see_many(
        &self,
        aws: &Aws,
        ids: &[(String, &Value)],
    ) -> Result<Option<BTreeMap<String, Seen>>, ProviderError> {
        let table = self.0.table();
        let mut found = BTreeMap::new();
        for some in ids.chunks(FILTER_VALUES_MAX) {
            let mut params = Params::new();
            let names: Vec<String> = some.iter().map(|(id, _)| id.clone()).collect();
            push_filter(&mut params, table.filter, &names);
            for item in aws.ec2_list(table.list_api(), params, table.set).await? {
                let id = item.text_of(table.id).unwrap_or_default().to_string();
                let Some((_, before)) = some.iter().find(|(wanted, _)| *wanted == id) else { continue };
                let Some(mut seen) = self.seen(aws, &item, before) else { continue };
                self.0.complete(aws, &id, &mut seen.attrs).await?;
                found.insert(id, seen);
            }
        }
        Ok(Some(found))
    }

    async fn change(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        let table = self.0.table();
        let mut any = false;
        for edit in table.edits.iter().filter(|edit| change.of(edit.attr)) {
            let wanted = plain_text(change.planned.get(edit.attr));
            if change.prior.is_none() && wanted == edit.initially {
                continue;
            }
            let params = vec![(table.drop_by.into(), change.id.to_string()), (edit.parameter.into(), wanted)];
            aws.ec2_call(Api::write("ec2", edit.operation), params).await?;
            any = true;
        }
        Ok(self.0.settle(aws, change, ctx).await? || any)
    }

    async fn tag(&self, aws: &Aws, id: &str, _: &Value, change: &TagChange) -> Result<(), ProviderError> {
        aws.ec2_tag(id, change).await
    }

    async fn remove(
        &self,
        aws: &Aws,
        id: &str,
        prior: &Value,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let table = self.0.table();
        self.0.release(aws, id, prior, ctx).await?;
        let mut params = vec![(table.drop_by.to_string(), id.to_string())];
        params.extend(self.0.drop_more(prior));
        aws.ec2_call(Api::write("ec2", table.drop), params).await.map(|_| ())
    }

    fn remove_again(&self, error: &ProviderError) -> bool {
        let code = error.code.as_deref().unwrap_or_default();
        // An address of a NAT gateway that was deleted a moment ago.
        error.kind == ErrorKind::Conflict || code == "InvalidIPAddress.InUse"
    }

    async fn blockers(&self, aws: &Aws, id: &str) -> Option<String> {
        interfaces_in(aws, self.0.table(), id).await
    }

    async fn find(
        &self,
        aws: &Aws,
        planned: &Value,
        identity: &Identity,
    ) -> Result<Option<String>, ProviderError> {
        let table = self.0.table();
        let mut ways = Vec::new();
        if let Some(mark) = &identity.owner_mark {
            let mut params = Params::new();
            push_filter(&mut params, &format!("tag:{OWNER_TAG}"), std::slice::from_ref(mark));
            ways.push(params);
        }
        ways.extend(self.0.natural(planned));
        for params in ways {
            let items = aws.ec2_list(table.list_api(), params, table.set).await?;
            let alive = items.iter().find(|item| self.0.state(item).is_some());
            if let Some(id) = alive.and_then(|item| item.text_of(table.id)) {
                return Ok(Some(id.to_string()));
            }
        }
        Ok(None)
    }
}

/// The network interfaces that lie in a network, subnet or group, and who asked for them.
async fn interfaces_in(aws: &Aws, table: &Table, id: &str) -> Option<String> {
    let filter = match table.tag_type {
        "vpc" => "vpc-id",
        "subnet" => "subnet-id",
        "security-group" => "group-id",
        _ => return None,
    };
    let mut params = Params::new();
    push_filter(&mut params, filter, &[id.to_string()]);
    let api = Api::read("ec2", "DescribeNetworkInterfaces");
    let found = aws.ec2_list(api, params, "networkInterfaceSet").await.ok()?;
    let shown: Vec<String> = found
        .iter()
        .take(5)
        .map(|i| {
            let part = |name: &str| i.text_of(name).unwrap_or_default();
            format!("{} ({}; {})", part("networkInterfaceId"), part("requesterId"), part("description"))
        })
        .collect();
    (!shown.is_empty()).then(|| format!("network interfaces {}", shown.join(", ")))
}

impl Aws {
    /// One object by id; `None` if EC2 says that there is none.
    pub(super) async fn ec2_one(&self, table: &Table, id: &str) -> Result<Option<Xml>, ProviderError> {
        let params = vec![(format!("{}.1", table.by), id.to_string())];
        let answer = match self.ec2_call(table.list_api(), params).await {
            Ok(answer) => answer,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let items = answer.child(table.set).map(|s| s.children.clone()).unwrap_or_default();
        Ok(items.into_iter().find(|item| item.text_of(table.id) == Some(id)))
    }

    /// Makes a changing call that must not be repeated by itself, waiting while EC2 does not see yet an object that
    /// this run made.
    pub(super) async fn ec2_make(
        &self,
        api: Api,
        params: Params,
        ctx: &dyn OpContext,
    ) -> Result<Xml, ProviderError> {
        let unseen = |e: &ProviderError| {
            let profile = e.message.contains("Invalid IAM Instance Profile name");
            (e.kind == ErrorKind::NotFound || profile)
                && params.iter().any(|(_, value)| super::iam_role::made_here(value, ctx))
        };
        let params = &params;
        crate::wait::settle(ctx, VISIBILITY, unseen, || self.ec2_once(api, params)).await
    }

    pub(super) async fn ec2_tag(&self, id: &str, change: &TagChange) -> Result<(), ProviderError> {
        let rows = |tags: &[(&String, Option<&String>)]| {
            let mut params = vec![("ResourceId.1".to_string(), id.to_string())];
            for (n, (key, value)) in tags.iter().enumerate() {
                params.push((format!("Tag.{}.Key", n + 1), (*key).clone()));
                params.extend(value.map(|v| (format!("Tag.{}.Value", n + 1), v.clone())));
            }
            params
        };
        if !change.unset.is_empty() {
            let gone: Vec<_> = change.unset.iter().map(|key| (key, None)).collect();
            self.ec2_call(Api::write("ec2", "DeleteTags"), rows(&gone)).await?;
        }
        if !change.set.is_empty() {
            let set: Vec<_> = change.set.iter().map(|(key, value)| (key, Some(value))).collect();
            self.ec2_call(Api::write("ec2", "CreateTags"), rows(&set)).await?;
        }
        Ok(())
    }
}

/// Whether EC2 says that there is no such object. A malformed id names none either.
pub(super) fn is_absent(error: &ProviderError) -> bool {
    error.kind == ErrorKind::NotFound || error.code.as_deref() == Some("NatGatewayNotFound")
}

pub(super) fn push_tags(params: &mut Params, tag_type: &str, tags: &Tags) {
    if tags.is_empty() || tag_type.is_empty() {
        return;
    }
    params.push(("TagSpecification.1.ResourceType".into(), tag_type.into()));
    for (n, (key, value)) in tags.iter().enumerate() {
        params.push((format!("TagSpecification.1.Tag.{}.Key", n + 1), key.clone()));
        params.push((format!("TagSpecification.1.Tag.{}.Value", n + 1), value.clone()));
    }
}

/// The tags of an item.
pub(crate) fn tags_of(item: &Xml) -> Tags {
    let set = item.child("tagSet").map(|s| s.children.as_slice()).unwrap_or_default();
    let tag =
        |t: &Xml| Some((t.text_of("key")?.to_string(), t.text_of("value").unwrap_or_default().to_string()));
    set.iter().filter_map(tag).collect()
}

/// A member of an answer as a string, null where it is missing or empty.
pub(crate) fn shown(item: &Xml, name: &str) -> Value {
    item.text_of(name).filter(|t| !t.is_empty()).map_or(Value::NULL, Value::string)
}

pub(crate) fn shown_flag(item: &Xml, name: &str) -> Value {
    item.text_of(name).map_or(Value::NULL, |t| Value::bool(t == "true"))
}

pub(crate) fn shown_int(item: &Xml, name: &str) -> Value {
    let number = item.text_of(name).and_then(|t| t.parse::<i64>().ok());
    number.map_or(Value::NULL, Value::number)
}

/// The items of a list in an answer.
pub(crate) fn items<'a>(item: &'a Xml, name: &str) -> &'a [Xml] {
    item.child(name).map(|s| s.children.as_slice()).unwrap_or_default()
}

/// An argument as EC2 wants it written; empty where it is null.
pub(super) fn plain_text(value: Option<&Value>) -> String {
    let Some(value) = value else { return String::new() };
    let flag = value.as_bool().map(|b| b.to_string());
    let number = || value.as_i64().map(|n| n.to_string());
    flag.or_else(number).or_else(|| value.as_str().map(str::to_string)).unwrap_or_default()
}

/// The parameters of arguments that are written, by name of argument and parameter.
pub(super) fn params_of(planned: &Value, names: &[(&str, &str)]) -> Params {
    let pair = |(attr, parameter): &(&str, &str)| {
        let text = plain_text(planned.get(attr));
        (!text.is_empty()).then(|| (parameter.to_string(), text))
    };
    names.iter().filter_map(pair).collect()
}

/// The ARN of an object of EC2.
pub(crate) fn arn(aws: &Aws, owner: Option<&str>, rest: &str) -> Value {
    let partition = partition_of(&aws.region).id;
    owner.map_or(Value::NULL, |owner| {
        Value::string(format!("arn:{partition}:ec2:{}:{owner}:{rest}", aws.region))
    })
}

/// The schema of a kind of EC2 with tags.
pub(super) fn ec2_schema(kind: &str, block: Block, timeouts: Timeouts) -> KindSchema {
    let block = crate::tags::with_tags(block);
    KindSchema { owner_mark: true, ..untagged_schema(kind, block, timeouts) }
}

/// The schema of a kind of EC2 that has no tags.
pub(super) fn untagged_schema(kind: &str, block: Block, timeouts: Timeouts) -> KindSchema {
    let block = if block.attrs.contains_key("id") {
        block
    } else {
        block.attr("id", Attribute::computed(Type::String, "Id."))
    };
    KindSchema {
        visibility: VISIBILITY,
        timeouts,
        lists: true,
        typical: Timeouts::all(Duration::from_secs(2)),
        ..KindSchema::new(kind, "ec2", block)
    }
}

/// Whether a text is a range of IPv4 addresses that begins where it should.
pub(super) fn cidr_fault(config: &Value, name: &str) -> Option<Problem> {
    let text = config.str_attr(name)?;
    let parsed = text.split_once('/').and_then(|(address, length)| {
        Some((address.parse::<std::net::Ipv4Addr>().ok()?, length.parse::<u32>().ok().filter(|l| *l <= 32)?))
    });
    let Some((address, length)) = parsed else {
        return Some(super::plain::fault(name, format!("{text:?} is no range of IPv4 addresses")));
    };
    let host = u32::MAX.checked_shr(length).unwrap_or(0);
    let first = std::net::Ipv4Addr::from(u32::from(address) & !host);
    (first != address)
        .then(|| super::plain::fault(name, format!("{text} does not begin a range; {first}/{length} does")))
}

/// The text of an argument, for a request.
pub(super) fn arg(value: &Value, name: &str) -> String {
    text_or_empty(value, name)
}
