//! `tls_locally_signed_cert`: a certificate for a request, signed by a CA's key that is at hand.

use super::{csr, issue, pem, validity};
use crate::kit::{Host, Resource, invalid, text, with};
use groma_provider::{OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Value};
use rcgen::Issuer;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

pub(super) struct LocallySigned;

/// The key identifier of the CA's certificate, and whether the key is the CA's.
fn authority(der: &[u8], public: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
    if &*certificate.public_key().subject_public_key.data != public {
        return Err("it is not the certificate of the key in ca_private_key_pem".into());
    }
    let id = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    Ok(id)
}

#[async_trait]
impl Resource for LocallySigned {
    fn schema(&self) -> KindSchema {
        let given = |doc| Attribute::required(Type::String, doc).replaces();
        let block = Block::new("A certificate for a request, signed by a CA whose key is at hand.")
            .attr("cert_request_pem", given("The request in PEM."))
            .attr("ca_private_key_pem", given("The CA's private key in PEM.").sensitive())
            .attr("ca_cert_pem", given("The CA's certificate in PEM."))
            .attr("ca_key_algorithm", Attribute::computed(Type::String, "Algorithm of the CA's key."));
        let block = validity::with_validity(issue::with_constraints(block));
        KindSchema::new("tls_locally_signed_cert", "tls", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        [validity::check(config), issue::check(config)].concat()
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        Ok(validity::plan(&input))
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let key = issue::key(planned, "ca_private_key_pem")?;
        let wrong = |name: &str, why: String| {
            invalid(format!("{name} can't be used: {why}")).at(AttrPath::root().attr(name))
        };
        let ca =
            ::pem::parse(text(planned, "ca_cert_pem")).map_err(|e| wrong("ca_cert_pem", e.to_string()))?;
        let authority =
            authority(ca.contents(), key.public_raw()).map_err(|why| wrong("ca_cert_pem", why))?;
        let csr::Request { mut params, key: requested, public } =
            csr::read(text(planned, "cert_request_pem")).map_err(|why| wrong("cert_request_pem", why))?;
        let valid = validity::Validity::of(host, planned);
        let id = issue::fill(&mut params, planned, &public, &valid, &*host.env.entropy)?;
        params.custom_extensions.extend(authority.as_deref().map(issue::authority_key_id));
        let algorithm = key.algorithm.name();
        let issuer = Issuer::from_ca_cert_der(&ca.contents().into(), key.pair())
            .map_err(|e| wrong("ca_cert_pem", e.to_string()))?;
        let certificate = params.signed_by(&requested, &issuer).map_err(issue::failed)?;
        let made = [
            ("cert_pem", Value::from(pem("CERTIFICATE", certificate.der().to_vec()))),
            ("ca_key_algorithm", algorithm.into()),
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
