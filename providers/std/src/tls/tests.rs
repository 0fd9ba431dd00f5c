//! Keys and certificates, read back by others than those that made them.

use super::certificate::describe;
use super::key::{Curve, Key, Wanted};
use super::{csr, dial, ssh};
use crate::kit::strings;
use crate::tests::World;
use groma_provider::{Environment, NetworkPolicy, NoLog};
use groma_provider_sim::{SimClock, SimEntropy};
use groma_types::{Resolved, Timestamp, Type, Value};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

const WANTED: [Wanted; 5] = [
    Wanted::Rsa(2048),
    Wanted::Ecdsa(Curve::P256),
    Wanted::Ecdsa(Curve::P384),
    Wanted::Ecdsa(Curve::P521),
    Wanted::Ed25519,
];

#[test]
fn every_form_of_a_key_is_the_same_key() {
    let entropy = SimEntropy::new(1);
    // Every second key on P521 begins with a zero byte, so a few are looked at.
    for wanted in WANTED.into_iter().chain([Wanted::Ecdsa(Curve::P521); 6]) {
        let key = Key::generate(wanted, &entropy).unwrap();
        let forms = [key.private_pem().unwrap(), key.pkcs8_pem().unwrap()];
        let heads = [
            "-----BEGIN RSA PRIVATE KEY-----\n",
            "-----BEGIN EC PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\n",
        ];
        assert!(
            heads.iter().any(|h| forms[0].starts_with(h)) && forms[1].starts_with(heads[2]),
            "{wanted:?}"
        );
        for form in &forms {
            let again = Key::from_pem(form).unwrap();
            assert_eq!((again.id(), again.algorithm), (key.id(), key.algorithm), "{wanted:?}");
            assert_eq!(again.private_pem().unwrap(), forms[0]);
            // The TLS library takes it too.
            let der = PrivateKeyDer::from_pem_slice(form.as_bytes()).unwrap();
            rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).unwrap();
        }
        let openssh = ssh::private_openssh(&key.parts().unwrap()).unwrap();
        assert!(openssh.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{openssh}");
        let again = ssh::read(&openssh).unwrap();
        assert_eq!((again.id(), again.private_pem().unwrap()), (key.id(), forms[0].clone()), "{wanted:?}");
    }
}

/// A key and what `ssh-keygen` says of it.
#[test]
fn fingerprints_are_as_openssh_shows_them() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let key = Key::from_pem(key).unwrap();
    let public = ssh::Public::of(&key.parts().unwrap()).unwrap();
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh\n";
    assert_eq!(public.line, line);
    assert_eq!(public.md5, "a4:93:e0:e6:59:bd:5e:0e:be:ad:f9:d7:f9:bd:c2:85");
    assert_eq!(public.sha256, "SHA256:ebCT4wkJOqO5AIlHG03cHvn3Cr3ZZEEh8m81duHhR3Q");
}

/// A key on every curve may ask, and only for itself.
#[test]
fn a_request_is_signed_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new("tls", folder.path());
    for wanted in WANTED {
        let key = Key::generate(wanted, &SimEntropy::new(1)).unwrap();
        let made = world.create(
            "tls_cert_request",
            &[("private_key_pem", text(&key.private_pem().unwrap())), ("dns_names", strings(["a.b"]))],
        );
        let request = get(&made, "cert_request_pem");
        let read = csr::read(&request).unwrap_or_else(|e| panic!("{wanted:?}: {e}"));
        assert_eq!((read.public.as_slice(), read.params.subject_alt_names.len()), (key.public_raw(), 1));
        let mut der = ::pem::parse(&request).unwrap().into_contents();
        let last = der.len() - 1;
        der[last] ^= 1;
        let forged = super::pem("CERTIFICATE REQUEST", der);
        assert!(csr::read(&forged).err().unwrap().contains("has not signed"), "{wanted:?}");
    }
}

#[test]
fn what_is_no_key_is_told() {
    for (text, word) in [
        ("", "not PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no private key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
    ] {
        let why = Key::from_pem(text).err().unwrap();
        assert!(why.contains(word), "{text}: {why}");
    }
    assert!(ssh::read("nothing").err().unwrap().contains("not an OpenSSH key"));
}

fn text(s: &str) -> Value {
    s.into()
}

fn subject(name: &str) -> Value {
    let names = [
        "common_name",
        "country",
        "email_address",
        "locality",
        "organization",
        "organizational_unit",
        "postal_code",
        "province",
        "serial_number",
    ];
    let fill = |n| match n {
        "common_name" => text(name),
        "organization" => text("Müller, Söhne"),
        "email_address" => text("a@b.c"),
        _ => Value::null(Type::String),
    };
    let street = ("street_address", strings(["Way 1"]));
    Value::tuple(vec![Value::object(names.map(|n| (n, fill(n))).into_iter().chain([street]))])
}

fn get(value: &Resolved, name: &str) -> String {
    value.str_attr(name).unwrap_or_default().to_string()
}

struct Chain {
    world: World,
    ca: Resolved,
    leaf: Resolved,
    leaf_key: Resolved,
}

/// A CA and a certificate that it signed, made from an empty state.
fn chain(algorithm: (&'static str, &'static str)) -> Chain {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new("tls", folder.path());
    let key = |(algorithm, curve): (&str, &str)| {
        world.create("tls_private_key", &[("algorithm", text(algorithm)), ("ecdsa_curve", text(curve))])
    };
    let ca_key = key(algorithm);
    let leaf_key = key(("ECDSA", "P256"));
    let ca = world.create(
        "tls_self_signed_cert",
        &[
            ("private_key_pem", text(&get(&ca_key, "private_key_pem"))),
            ("subject", subject("Root")),
            ("validity_period_hours", Value::from(100_i64)),
            ("allowed_uses", strings(["cert_signing", "crl_signing"])),
            ("is_ca_certificate", true.into()),
            ("max_path_length", Value::from(1_i64)),
        ],
    );
    let request = world.create(
        "tls_cert_request",
        &[
            ("private_key_pem", text(&get(&leaf_key, "private_key_pem"))),
            ("subject", subject("leaf")),
            ("dns_names", strings(["localhost", "*.example.com"])),
            ("ip_addresses", strings(["127.0.0.1", "::1"])),
            ("uris", strings(["spiffe://x/y"])),
        ],
    );
    let leaf = world.create(
        "tls_locally_signed_cert",
        &[
            ("cert_request_pem", text(&get(&request, "cert_request_pem"))),
            ("ca_private_key_pem", text(&get(&ca_key, "private_key_pem_pkcs8"))),
            ("ca_cert_pem", text(&get(&ca, "cert_pem"))),
            ("validity_period_hours", Value::from(10_i64)),
            ("early_renewal_hours", Value::from(2_i64)),
            ("allowed_uses", strings(["digital_signature", "server_auth"])),
            ("set_subject_key_id", true.into()),
        ],
    );
    Chain { world, ca, leaf, leaf_key }
}

fn der(of: &Resolved) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(get(of, "cert_pem").as_bytes()).unwrap()
}

#[test]
fn a_ca_signs_what_a_tls_library_accepts() {
    for algorithm in [("RSA", "P224"), ("ECDSA", "P384"), ("ECDSA", "P521"), ("ED25519", "P224")] {
        let Chain { ca, leaf, .. } = chain(algorithm);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der(&ca)).unwrap();
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crypto)
            .build()
            .unwrap();
        use rustls::client::danger::ServerCertVerifier;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000 + 3600));
        for name in ["localhost", "a.example.com", "127.0.0.1"] {
            let server = ServerName::try_from(name).unwrap();
            verifier
                .verify_server_cert(&der(&leaf), &[], &server, &[], now)
                .unwrap_or_else(|e| panic!("{algorithm:?} {name}: {e}"));
        }
        let late = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000 + 11 * 3600));
        let server = ServerName::try_from("localhost").unwrap();
        assert!(verifier.verify_server_cert(&der(&leaf), &[], &server, &[], late).is_err());
    }
}

#[test]
fn a_certificate_says_what_was_asked_for() {
    let Chain { world, ca, leaf, .. } = chain(("ECDSA", "P256"));
    let seen = describe(&der(&ca)).unwrap();
    let subject = "1.2.840.113549.1.9.1=#6140622e63,CN=Root,STREET=Way 1,O=Müller\\, Söhne";
    assert_eq!((seen.str_attr("subject"), seen.str_attr("issuer")), (Some(subject), Some(subject)));
    assert_eq!(
        (seen.str_attr("signature_algorithm"), seen.str_attr("not_after")),
        (Some("ECDSA-SHA256"), Some("2023-11-19T02:13:20Z"))
    );
    assert_eq!((seen.get("is_ca"), seen.str_attr("serial_number")), (Some(&true.into()), ca.str_attr("id")));
    assert_eq!(get(&ca, "validity_end_time"), "2023-11-19T02:13:20Z");

    let (leaf_der, ca_der) = (der(&leaf), der(&ca));
    let (_, leaf_seen) = X509Certificate::from_der(&leaf_der).unwrap();
    let (_, ca_seen) = X509Certificate::from_der(&ca_der).unwrap();
    let ids = |certificate: &X509Certificate<'_>| {
        certificate.extensions().iter().fold((None, None), |(subject, issuer), e| {
            match e.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => (Some(id.0.to_vec()), issuer),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    (subject, id.key_identifier.as_ref().map(|k| k.0.to_vec()))
                }
                _ => (subject, issuer),
            }
        })
    };
    assert_eq!(ids(&leaf_seen).1, ids(&ca_seen).0, "the leaf names its CA's key");
    assert!(ids(&leaf_seen).0.is_some());
    let constraints = ca_seen.basic_constraints().unwrap().unwrap().value;
    assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(1)));
    assert!(!leaf_seen.is_ca());
    let usage = leaf_seen.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());

    // Ready for a new one two hours before its end.
    let ready =
        |c: &Resolved| world.read("tls_locally_signed_cert", c).unwrap().get("ready_for_renewal").cloned();
    assert_eq!(ready(&leaf), Some(false.into()));
    groma_provider_sim::block_on(
        &world.clock,
        groma_provider::Clock::sleep(&world.clock, Duration::from_secs(8 * 3600)),
    );
    assert_eq!(ready(&leaf), Some(true.into()));
}

fn open() -> Environment {
    Environment {
        clock: Arc::new(SimClock::new(Timestamp(0))),
        entropy: Arc::new(SimEntropy::new(1)),
        calls: Arc::new(NoLog),
        network: NetworkPolicy::Open,
        vars: Arc::default(),
    }
}

/// A TLS server that answers with its certificates, on loopback.
async fn serve(chain: &Chain) -> u16 {
    let key = PrivateKeyDer::from_pem_slice(get(&chain.leaf_key, "private_key_pem").as_bytes()).unwrap();
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der(&chain.leaf), der(&chain.ca)], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up; the next one may not.
            let _ = acceptor.accept(stream).await;
        }
    });
    port
}

#[tokio::test]
async fn an_address_shows_its_chain_and_must_prove_itself_by_it() {
    let chain = chain(("ECDSA", "P256"));
    let port = serve(&chain).await;
    let url = format!("https://localhost:{port}");
    let seen = dial::certificates(&open(), &url, false).await.unwrap();
    assert_eq!(seen, [der(&chain.leaf).to_vec(), der(&chain.ca).to_vec()]);
    let error = dial::certificates(&open(), &url, true).await.unwrap_err();
    assert!(error.to_string().contains("certificate") && error.help.unwrap().contains("verify_chain"));
    let sandboxed = Environment { network: NetworkPolicy::LoopbackOnly, ..open() };
    assert!(dial::certificates(&sandboxed, &format!("tls://127.0.0.1:{port}"), false).await.is_ok());
    let error = dial::certificates(&sandboxed, "https://example.com", false).await.unwrap_err();
    assert!(error.to_string().contains("not an address of the sandbox"), "{error}");
    assert!(dial::certificates(&open(), "http://localhost", true).await.is_err());
}
