//! `aws_iam_role_policy_attachment`: one managed policy on one role.

use super::Resource;
use super::iam_role::{PROPAGATION, attach, attached, detach};
use crate::client::Aws;
use crate::values::{conform, resolved, text, text_or_empty};
use groma_provider::{
    CreateRequest, DeleteRequest, ErrorKind, Found, Made, Object, OpContext, PlanInput, PlanOutput,
    ProviderError, Read, ReadRequest, RecoverRequest, ResumeRequest, UpdateRequest, async_trait,
};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};
use serde_json::Value as Json;
use std::time::Duration;

pub(crate) struct Attachment {
    schema: KindSchema,
}

impl Attachment {
    pub(crate) fn new() -> Attachment {
        Attachment { schema: schema() }
    }

    fn object(&self, role: &str, policy_arn: &str) -> Result<Object, ProviderError> {
        let loose = Value::object([
            ("role", Value::string(role)),
            ("policy_arn", Value::string(policy_arn)),
            ("id", Value::string(id_of(role, policy_arn))),
        ]);
        Ok(Object { attributes: resolved(conform(&self.schema.block, &loose)?)?, private: Json::Null })
    }

    async fn find(&self, aws: &Aws, role: &str, policy_arn: &str) -> Result<Read, ProviderError> {
        let arns = attached(aws, role).await?.unwrap_or_default();
        if arns.iter().any(|arn| arn == policy_arn) {
            Ok(Read::Present(self.object(role, policy_arn)?))
        } else {
            Ok(Read::Gone)
        }
    }
}

fn schema() -> KindSchema {
    let block = Block::new("Attaches a managed policy to a role.")
        .attr("role", Attribute::required(Type::String, "Name of the role.").replaces())
        .attr("policy_arn", Attribute::required(Type::String, "ARN of the policy.").replaces())
        .attr("id", Attribute::computed(Type::String, "Role and policy."));
    let mut kind = KindSchema::new("aws_iam_role_policy_attachment", "iam", block)
        .key(&["role", "policy_arn"])
        .attached_to("role", "aws_iam_role")
        .relation(Relation::GrantsTo { arg: "role".into() });
    kind.pure_relation = true;
    kind.visibility = PROPAGATION;
    kind.timeouts = Timeouts::minutes(10, 10, 10);
    kind.typical = Timeouts::all(Duration::from_secs(1));
    kind
}

fn id_of(role: &str, policy_arn: &str) -> String {
    format!("{role}/{policy_arn}")
}

fn parts(value: &Value) -> (String, String) {
    (text_or_empty(value, "role"), text_or_empty(value, "policy_arn"))
}

#[async_trait]
impl Resource for Attachment {
    fn schema(&self) -> KindSchema {
        self.schema.clone()
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let mut planned = input.proposed;
        if let (None, Some(role), Some(arn)) =
            (input.prior, text(&planned, "role"), text(&planned, "policy_arn"))
        {
            planned = planned.with_attr("id", Value::string(id_of(&role, &arn)));
        }
        Ok(PlanOutput { planned, requires_replace: Vec::new() })
    }

    async fn read(&self, aws: &Aws, request: ReadRequest) -> Result<Read, ProviderError> {
        let (role, arn) = parts(&request.prior);
        self.find(aws, &role, &arn).await
    }

    async fn create(
        &self,
        aws: &Aws,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let (role, arn) = parts(&request.planned);
        attach(aws, &role, &arn, ctx).await?;
        let object = self.object(&role, &arn)?;
        let made = Made { attributes: object.attributes.clone(), private: Json::Null, operation: None };
        ctx.made(made).await;
        Ok(object)
    }

    async fn update(
        &self,
        _: &Aws,
        request: UpdateRequest,
        _: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        // All arguments replace, so there is nothing to send.
        let (role, arn) = parts(&request.planned);
        self.object(&role, &arn)
    }

    async fn delete(
        &self,
        aws: &Aws,
        request: DeleteRequest,
        _: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let (role, arn) = parts(&request.prior);
        detach(aws, &role, &arn).await
    }

    async fn resume(
        &self,
        aws: &Aws,
        request: ResumeRequest,
        _: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        let (role, arn) = parts(&request.object.attributes);
        self.find(aws, &role, &arn).await
    }

    async fn import(&self, aws: &Aws, id: &str) -> Result<Read, ProviderError> {
        let Some((role, arn)) = id.split_once('/') else {
            return Err(ProviderError::new(ErrorKind::Invalid, format!("{id:?} is not `ROLE/POLICY_ARN`")));
        };
        self.find(aws, role, arn).await
    }

    async fn recover(&self, aws: &Aws, request: RecoverRequest) -> Result<Found, ProviderError> {
        let (role, arn) = parts(&request.planned);
        Ok(match self.find(aws, &role, &arn).await? {
            Read::Present(object) => Found::Ours(object),
            Read::Gone => Found::Absent,
        })
    }
}
