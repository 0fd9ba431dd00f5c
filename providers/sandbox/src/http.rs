//! Requests and answers as plain values, so that every API of the sandbox is a function.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A whole request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method, in upper case.
    pub method: String,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    /// The query as it was sent, without the question mark.
    pub query: String,
    /// Headers with lower-case names, in the order of the request.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The decoded parameters of the query.
    pub(crate) fn params(&self) -> BTreeMap<String, String> {
        form(&self.query)
    }

    /// The decoded segments of the path.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|s| !s.is_empty()).map(|s| decode(s, false)).collect()
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Percent-decodes; in forms a plus sign is a space.
pub(crate) fn decode(text: &str, form: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) if form => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Pairs of `a=b&c=d`, still encoded.
pub(crate) fn raw_pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")))
}

/// Decoded pairs of a form or query.
pub(crate) fn form(text: &str) -> BTreeMap<String, String> {
    raw_pairs(text).map(|(key, value)| (decode(key, true), decode(value, true))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coding() {
        for text in ["", "plain", "a b/c:d%", "grüße", "100%", "%zz"] {
            assert_eq!(decode(&encode(text), true), text);
        }
        assert_eq!(decode("a+b%2Bc", true), "a b+c");
        assert_eq!(decode("a+b", false), "a+b");
        assert_eq!(form("A=1&B=x%20y&C").get("B").map(String::as_str), Some("x y"));
    }
}
