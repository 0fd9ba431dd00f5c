//! The envelopes of the two query protocols.
//!
//! Bodies are JSON values: an object's members become elements in their order, an array under `name`
//! becomes `<name><member>..</member></name>` (IAM, STS) or `<name><item>..</item></name>` (EC2), and
//! null leaves the element out.

use super::ApiError;
use crate::http::Reply;
use serde_json::Value;

pub(super) fn answer(action: &str, body: &Value, sts: bool, request_id: &str) -> Reply {
    let space = namespace(sts);
    let mut text = format!("<{action}Response xmlns=\"{space}\">");
    if !body.is_null() {
        text.push_str(&format!("<{action}Result>"));
        write(&mut text, body, "member");
        text.push_str(&format!("</{action}Result>"));
    }
    text.push_str(&format!(
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    ));
    Reply::new(200, "text/xml", text)
}

pub(super) fn query_error(error: &ApiError, sts: bool, request_id: &str) -> Reply {
    let fault = if error.status >= 500 { "Receiver" } else { "Sender" };
    let text = format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{fault}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>",
        namespace(sts),
        escape(&error.code),
        escape(&error.message)
    );
    Reply::new(error.status, "text/xml", text)
}

fn namespace(sts: bool) -> &'static str {
    if sts {
        "https://sts.amazonaws.com/doc/2011-06-15/"
    } else {
        "https://iam.amazonaws.com/doc/2010-05-08/"
    }
}

pub(super) fn ec2_answer(action: &str, body: &Value, request_id: &str) -> Reply {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{request_id}</requestId>"
    );
    write(&mut text, body, "item");
    text.push_str(&format!("</{action}Response>"));
    Reply::new(200, "text/xml;charset=UTF-8", text)
}

pub(super) fn ec2_error(error: &ApiError, request_id: &str) -> Reply {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{}</Code><Message>{}\
         </Message></Error></Errors><RequestID>{request_id}</RequestID></Response>",
        escape(&error.code),
        escape(&error.message)
    );
    Reply::new(error.status, "text/xml;charset=UTF-8", text)
}

fn write(out: &mut String, value: &Value, item: &str) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, v)| !v.is_null()) {
                out.push_str(&format!("<{name}>"));
                write(out, value, item);
                out.push_str(&format!("</{name}>"));
            }
        }
        Value::Array(items) => {
            for value in items {
                out.push_str(&format!("<{item}>"));
                write(out, value, item);
                out.push_str(&format!("</{item}>"));
            }
        }
        Value::String(text) => out.push_str(&escape(text)),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
