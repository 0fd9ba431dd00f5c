//! `aws_eks_cluster_auth`, data source and ephemeral resource: a token for a cluster, minted at each use and never stored.

use super::{DataSource, finish};
use crate::client::Aws;
use crate::token;
use crate::values::text_or_empty;
use aws_smithy_types::error::display::DisplayErrorContext;
use groma_provider::{ErrorKind, Minted, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Timestamp, Type, Value};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) struct ClusterAuth;

impl ClusterAuth {
    /// Makes a token and says when to make the next.
    async fn token(&self, aws: &Aws, cluster: &str) -> Result<(String, Timestamp), ProviderError> {
        let credentials = aws.credentials.get().await.map_err(|e| {
            ProviderError::new(ErrorKind::Denied, DisplayErrorContext(&e).to_string())
                .asked(format!("a token for the cluster {cluster}"))
        })?;
        let now = aws.now();
        // A token dies with the credentials that signed it.
        let expiry = credentials.expiry().and_then(timestamp).map_or(Timestamp(i64::MAX), |end| end);
        let token = token::mint(&credentials.into(), &aws.region, cluster, now)?;
        Ok((token, (now + token::RENEW_AFTER).min(expiry)))
    }
}

fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let millis = at.duration_since(UNIX_EPOCH).ok()?.as_millis();
    i64::try_from(millis).ok().map(Timestamp)
}

fn loose(cluster: &str, token: &str) -> Value {
    Value::object([
        ("id", Value::string(cluster)),
        ("name", Value::string(cluster)),
        ("token", Value::string(token)),
    ])
}

#[async_trait]
impl DataSource for ClusterAuth {
    fn schema(&self) -> KindSchema {
        let block = Block::new("A token for the Kubernetes API of a cluster.")
            .attr("name", Attribute::required(Type::String, "Name of the cluster."))
            .attr("token", Attribute::computed(Type::String, "The token.").sensitive())
            .attr("id", Attribute::computed(Type::String, "The name."));
        let mut kind = KindSchema::new("aws_eks_cluster_auth", "sts", block);
        kind.minter = true;
        kind
    }

    async fn read(&self, aws: &Aws, config: &Value) -> Result<Option<Value>, ProviderError> {
        let name = text_or_empty(config, "name");
        let (token, _) = self.token(aws, &name).await?;
        Ok(Some(loose(&name, &token)))
    }

    async fn mint(&self, aws: &Aws, args: &Value) -> Result<Minted, ProviderError> {
        let name = text_or_empty(args, "name");
        let (token, renew_at) = self.token(aws, &name).await?;
        let value = finish(&self.schema().block, args, &loose(&name, &token))?.into_value();
        Ok(Minted::new(value, Some(renew_at)))
    }
}
