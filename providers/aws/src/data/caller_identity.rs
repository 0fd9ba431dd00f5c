//! `data.aws_caller_identity`: who the credentials belong to. Needs no permission.

use super::DataSource;
use crate::client::Aws;
use groma_provider::{ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(crate) struct CallerIdentity;

#[async_trait]
impl DataSource for CallerIdentity {
    fn schema(&self) -> KindSchema {
        let computed = |doc: &str| Attribute::computed(Type::String, doc);
        let block = Block::new("The identity behind the credentials.")
            .attr("account_id", computed("Account."))
            .attr("arn", computed("ARN of the user or session."))
            .attr("user_id", computed("Unique id of the user or session."))
            .attr("id", computed("The account."));
        KindSchema::new("aws_caller_identity", "sts", block)
    }

    async fn read(&self, aws: &Aws, _: &Value) -> Result<Option<Value>, ProviderError> {
        let caller = aws.caller().await?;
        Ok(Some(Value::object([
            ("id", Value::string(caller.account.as_str())),
            ("account_id", Value::string(caller.account)),
            ("arn", Value::string(caller.arn)),
            ("user_id", Value::string(caller.user_id)),
        ])))
    }
}
