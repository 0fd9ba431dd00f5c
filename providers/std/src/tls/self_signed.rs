//! `tls_self_signed_cert`: a certificate that its own key signs.

use super::{issue, pem, subject, validity};
use crate::kit::{Host, Resource, flag, with};
use groma_provider::{OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct SelfSigned;

#[async_trait]
impl Resource for SelfSigned {
    fn schema(&self) -> KindSchema {
        let key = Attribute::required(Type::String, "The private key in PEM.").sensitive().replaces();
        let authority = Attribute::optional(Type::Bool, "It has an authority key identifier.").default(false);
        let block = Block::new("A certificate that is signed by its own key.")
            .attr("private_key_pem", key)
            .attr("set_authority_key_id", authority.replaces())
            .attr("key_algorithm", Attribute::computed(Type::String, "Algorithm of the key."));
        let block = validity::with_validity(issue::with_constraints(subject::with_subject(block)));
        KindSchema::new("tls_self_signed_cert", "tls", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        [validity::check(config), issue::check(config), subject::check(config)].concat()
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        Ok(validity::plan(&input))
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let key = issue::key(planned, "private_key_pem")?;
        let valid = validity::Validity::of(host, planned);
        let mut params = subject::params(planned)?;
        let id = issue::fill(&mut params, planned, key.public_raw(), &valid, &*host.env.entropy)?;
        if flag(planned, "set_authority_key_id") == Some(true) {
            params.custom_extensions.push(issue::authority_key_id(&issue::key_id(key.public_raw())));
        }
        let certificate = params.self_signed(key.pair()).map_err(issue::failed)?;
        let made = [
            ("cert_pem", Value::from(pem("CERTIFICATE", certificate.der().to_vec()))),
            ("key_algorithm", key.algorithm.name().into()),
            ("id", id.into()),
        ];
        Ok(with(&with(planned, made), valid.attributes()))
    }

    async fn read(&self, host: &Host, prior: &Value) -> Result<Option<Value>, ProviderError> {
        Ok(Some(validity::read(host, prior)))
    }

    async fn update(
        &self,
        _: &Host,
        _: &Value,
        planned: &Value,
        _: &dyn OpContext,
    ) -> Result<Value, ProviderError> {
        validity::update(planned)
    }
}
