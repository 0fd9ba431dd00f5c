//! `tls_cert_request`: a request for a certificate.

use super::{issue, pem, subject};
use crate::kit::{Host, Resource, with};
use groma_provider::{OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct CertRequest;

#[async_trait]
impl Resource for CertRequest {
    fn schema(&self) -> KindSchema {
        let key = Attribute::required(Type::String, "The private key in PEM.").sensitive().replaces();
        let block = Block::new("A request for a certificate, to be signed by a CA.")
            .attr("private_key_pem", key)
            .attr("cert_request_pem", Attribute::computed(Type::String, "The request in PEM."))
            .attr("key_algorithm", Attribute::computed(Type::String, "Algorithm of the key."))
            .attr("id", Attribute::computed(Type::String, "SHA-1 of the request."));
        KindSchema::new("tls_cert_request", "tls", subject::with_subject(block))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        subject::check(config)
    }

    async fn create(&self, _: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let key = issue::key(planned, "private_key_pem")?;
        let params = subject::params(planned)?;
        let request = params.serialize_request(key.pair()).map_err(issue::failed)?;
        let der = request.der().to_vec();
        let made = [
            ("id", Value::from(issue::id_of(&der))),
            ("cert_request_pem", pem("CERTIFICATE REQUEST", der).into()),
            ("key_algorithm", key.algorithm.name().into()),
        ];
        Ok(with(planned, made))
    }
}
