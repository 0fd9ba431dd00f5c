//! A small client of the EC2 query protocol: form-encoded requests, XML answers.
//!
//! The vendor's crate for EC2 takes more memory to compile than a laptop has; the few operations that are needed
//! here go over the same credentials, signer and connector as the other services.

use crate::client::{Aws, system_time};
use crate::credentials::Shared;
use crate::error::{Api, answer, from_connector, retry_after};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use groma_provider::retry::Retry;
use groma_provider::{ErrorKind, ProviderError};
use groma_types::Timestamp;
use quick_xml::Reader;
use quick_xml::events::Event;

const API_VERSION: &str = "2016-11-15";
/// Pages are of this many items.
const PAGE_ITEMS: &str = "200";
/// More pages than this are a fault of the service.
const PAGES_MAX: usize = 500;

pub(crate) struct Ec2 {
    connector: SharedHttpConnector,
    credentials: Shared,
    region: String,
    url: String,
}

/// Request parameters in order.
pub(crate) type Params = Vec<(String, String)>;

impl Ec2 {
    pub(crate) fn new(
        connector: SharedHttpConnector,
        credentials: Shared,
        region: &str,
        endpoint: Option<String>,
    ) -> Ec2 {
        let suffix = crate::config::partition_of(region).dns_suffix;
        let url = endpoint.unwrap_or_else(|| format!("https://ec2.{region}.{suffix}"));
        let url = format!("{}/", url.trim_end_matches('/'));
        Ec2 { connector, credentials, region: region.to_string(), url }
    }

    /// Sends one signed request and returns the answer's root element.
    async fn send(
        &self,
        api: Api,
        params: &[(String, String)],
        now: Timestamp,
    ) -> Result<Xml, ProviderError> {
        let identity = self.credentials.get().await.map_err(|e| {
            let text = aws_smithy_types::error::display::DisplayErrorContext(&e).to_string();
            ProviderError::new(ErrorKind::Denied, text).asked(api.asked())
        })?;
        let request = signed(&self.url, &self.region, api, params, &identity.into(), now)?;
        let response = self.connector.call(request).await.map_err(|e| from_connector(api, &e))?;
        read_answer(api, response).await
    }
}

impl Aws {
    /// Makes one EC2 call.
    pub(crate) async fn ec2_call(&self, api: Api, params: Params) -> Result<Xml, ProviderError> {
        let params = &params;
        self.repeat(Retry::READ, || self.ec2.send(api, params, self.env.clock.now())).await
    }

    /// Makes one EC2 call whose repetition would have a second effect.
    pub(crate) async fn ec2_once(&self, api: Api, params: &Params) -> Result<Xml, ProviderError> {
        self.repeat(Retry::ONCE, || self.ec2.send(api, params, self.env.clock.now())).await
    }

    /// Makes an EC2 list call, all pages, and returns the items of the answer's list `set`.
    pub(crate) async fn ec2_list(
        &self,
        api: Api,
        params: Params,
        set: &str,
    ) -> Result<Vec<Xml>, ProviderError> {
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut page = params.clone();
            page.push(("MaxResults".into(), PAGE_ITEMS.into()));
            if let Some(token) = &next {
                page.push(("NextToken".into(), token.clone()));
            }
            let answer = self.ec2_call(api, page).await?;
            items.extend(answer.child(set).map(|s| s.children.clone()).unwrap_or_default());
            next = answer.text_of("nextToken").filter(|t| !t.is_empty()).map(str::to_string);
            if next.is_none() {
                return Ok(items);
            }
        }
        Err(ProviderError::new(ErrorKind::Unavailable, "the list of pages does not end").asked(api.asked()))
    }
}

/// Adds `Filter.N.Name` and its values.
pub(crate) fn push_filter(params: &mut Params, name: &str, values: &[String]) {
    let n = 1 + params.iter().filter(|(k, _)| k.starts_with("Filter.") && k.ends_with(".Name")).count();
    params.push((format!("Filter.{n}.Name"), name.to_string()));
    for (i, value) in values.iter().enumerate() {
        params.push((format!("Filter.{n}.Value.{}", i + 1), value.clone()));
    }
}

fn form(api: Api, params: &[(String, String)]) -> String {
    let mut body = format!("Action={}&Version={API_VERSION}", api.operation);
    for (key, value) in params {
        body.push('&');
        push_encoded(&mut body, key);
        body.push('=');
        push_encoded(&mut body, value);
    }
    body
}

/// Percent-encodes all but the unreserved characters.
pub(crate) fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
}

fn signed(
    url: &str,
    region: &str,
    api: Api,
    params: &[(String, String)],
    identity: &Identity,
    now: Timestamp,
) -> Result<HttpRequest, ProviderError> {
    let bug = |what: &str, e: &dyn std::fmt::Display| {
        ProviderError::new(ErrorKind::Bug, format!("{what}: {e}")).asked(api.asked())
    };
    let body = form(api, params);
    let content_type = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let signing: aws_sigv4::http_request::SigningParams<'_> = v4::SigningParams::builder()
        .identity(identity)
        .region(region)
        .name(api.service)
        .time(system_time(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|e| bug("signing", &e))?
        .into();
    let signable =
        SignableRequest::new("POST", url, [content_type].into_iter(), SignableBody::Bytes(body.as_bytes()))
            .map_err(|e| bug("signing", &e))?;
    let (instructions, _) = sign(signable, &signing).map_err(|e| bug("signing", &e))?.into_parts();
    let mut request = http::Request::builder()
        .method("POST")
        .uri(url)
        .header(content_type.0, content_type.1)
        .header("user-agent", "groma")
        .body(SdkBody::from(body.as_str()))
        .map_err(|e| bug("request", &e))?;
    instructions.apply_to_request_http1x(&mut request);
    HttpRequest::try_from(request).map_err(|e| bug("request", &e))
}

async fn read_answer(api: Api, response: HttpResponse) -> Result<Xml, ProviderError> {
    let status = response.status();
    let header = |name: &str| response.headers().get(name).map(str::to_string);
    let request_id = header("x-amzn-requestid");
    let wait = header("retry-after").as_deref().and_then(retry_after);
    // The status has come: what breaks from here on leaves a change as uncertain as a lost answer.
    let broken = |text: String| {
        let kind = if api.mutating { ErrorKind::Ambiguous } else { ErrorKind::Unavailable };
        ProviderError::new(kind, text).asked(api.asked())
    };
    let bytes = ByteStream::new(response.into_body()).collect().await.map_err(|e| broken(e.to_string()))?;
    let text = String::from_utf8_lossy(&bytes.into_bytes()).into_owned();
    let parsed = Xml::parse(&text);
    if status.is_success() {
        return parsed.map_err(broken);
    }
    let xml = parsed.unwrap_or_default();
    let error = xml.child("Errors").and_then(|e| e.child("Error")).or_else(|| xml.child("Error"));
    let part = |name: &str| error.and_then(|e| e.text_of(name));
    let mut out = answer(api, part("Code"), part("Message"), status.as_u16());
    out.request_id = request_id.or_else(|| xml.text_of("RequestID").map(str::to_string));
    out.retry_after = wait;
    Err(out)
}

/// An XML element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Xml {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Xml>,
}

/// Deeper answers than this are refused.
const DEPTH_MAX: usize = 64;

impl Xml {
    pub(crate) fn parse(text: &str) -> Result<Xml, String> {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Xml::default()];
        loop {
            let event = reader.read_event().map_err(|e| format!("not XML: {e}"))?;
            let top = open.last_mut().expect("invariant: the document itself stays open");
            match event {
                Event::Start(tag) => {
                    let name: &[u8] = tag.local_name().into_inner().as_ref();
                    open.push(Xml { name: String::from_utf8_lossy(name).into_owned(), ..Xml::default() });
                    if open.len() > DEPTH_MAX {
                        return Err("XML nested too deeply".into());
                    }
                }
                Event::Empty(tag) => {
                    let name: &[u8] = tag.local_name().into_inner().as_ref();
                    top.children
                        .push(Xml { name: String::from_utf8_lossy(name).into_owned(), ..Xml::default() });
                }
                Event::Text(part) => top.text.push_str(&part.xml10_content()),
                Event::CData(part) => top.text.push_str(&part.xml10_content()),
                Event::GeneralRef(part) => match part.resolve_char_ref().map_err(|e| e.to_string())? {
                    Some(c) => top.text.push(c),
                    None => {
                        let name = part.xml10_content();
                        let known = quick_xml::escape::resolve_predefined_entity(&name);
                        top.text.push_str(known.ok_or_else(|| format!("unknown entity &{name};"))?);
                    }
                },
                Event::End(_) => close(&mut open)?,
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let document = open.pop().filter(|_| open.is_empty());
        let root = document.and_then(|d| d.children.into_iter().next());
        root.ok_or_else(|| "not a whole XML document".to_string())
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Xml> {
        self.children.iter().find(|c| c.name == name)
    }

    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|c| c.text.trim())
    }
}

fn close(open: &mut Vec<Xml>) -> Result<(), String> {
    let done = open.pop().expect("invariant: the reader checks that tags are balanced");
    match open.last_mut() {
        Some(parent) => {
            parent.children.push(done);
            Ok(())
        }
        None => Err("not a whole XML document".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;

    #[test]
    fn an_answer_is_read_as_a_tree() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>r-1</requestId>
  <vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault><tagSet/>
    <note>a &lt; b &amp;&#x41;</note></item></vpcSet>
</DescribeVpcsResponse>"#;
        let xml = Xml::parse(text).unwrap();
        assert_eq!(xml.name, "DescribeVpcsResponse");
        let item = &xml.child("vpcSet").unwrap().children[0];
        assert_eq!(item.text_of("vpcId"), Some("vpc-1"));
        assert_eq!(item.text_of("note"), Some("a < b &A"));
        assert_eq!(item.child("tagSet").unwrap().children.len(), 0);
        for broken in ["", "<a>", "{\"a\":1}", "<a></b>"] {
            assert!(Xml::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_request_is_form_encoded_and_signed() {
        let mut params = Params::new();
        push_filter(&mut params, "vpc-id", &["vpc-1".into(), "vpc 2".into()]);
        push_filter(&mut params, "tag:Name", &["ä".into()]);
        let identity: Identity =
            Credentials::new("AKIDEXAMPLE", "secret", Some("tok".into()), None, "t").into();
        let api = Api::read("ec2", "DescribeSubnets");
        let request = signed(
            "http://127.0.0.1:9/",
            "eu-west-1",
            api,
            &params,
            &identity,
            Timestamp::from_secs(1_767_323_045),
        )
        .unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(
            std::str::from_utf8(request.body().bytes().unwrap()).unwrap(),
            "Action=DescribeSubnets&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1\
             &Filter.1.Value.2=vpc%202&Filter.2.Name=tag%3AName&Filter.2.Value.1=%C3%A4"
        );
        let header = |name: &str| request.headers().get(name).unwrap().to_string();
        assert_eq!(header("x-amz-date"), "20260102T030405Z");
        assert_eq!(header("x-amz-security-token"), "tok");
        let auth = header("authorization");
        assert!(
            auth.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/ec2/aws4_request, "),
            "{auth}"
        );
    }
}
