//! A loopback server of canned answers, and a clock, a log and an engine side that stand still but for the waits.

use crate::{AwsProvider, AwsSettings, StaticCredentials};
use groma_provider::{
    CallLog, CallRecord, Clock, Configure, Configured, CreateRequest, DeleteRequest, Entropy, Environment,
    Identity, Interrupted, Made, NetworkPolicy, OpContext, Provider, ProviderError, UpdateRequest,
    async_trait,
};
use groma_types::schema::Block;
use groma_types::{Resolved, Timestamp, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Status(u16, String),
    /// An error of a REST service: status, code, message.
    Fault(u16, &'static str, String),
    /// Close the connection without a word.
    Cut,
}

/// One expected request (a part of its first line or its body) and the answer.
pub(super) type Step = (&'static str, Answer);

pub(super) fn ok(body: &str) -> Answer {
    Answer::Status(200, body.to_string())
}

pub(super) fn xml_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Status(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        ),
    )
}

pub(super) fn fault(status: u16, code: &'static str, message: &str) -> Answer {
    Answer::Fault(status, code, message.to_string())
}

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    /// First line and body of each request.
    seen: Vec<(String, String)>,
    wrong: Vec<String>,
}

/// A run in miniature.
pub(super) struct Bench {
    script: Arc<Mutex<Script>>,
    pub(super) ctx: Arc<Ctx>,
    pub(super) aws: Arc<dyn Configured>,
    provider: AwsProvider,
}

impl Bench {
    pub(super) async fn new(steps: Vec<Step>) -> Bench {
        Bench::with(steps, Value::object([("region", Value::string("us-east-1"))])).await
    }

    pub(super) async fn with(steps: Vec<Step>, config: Value) -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script { steps: steps.into(), ..Script::default() }));
        let served = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        Bench::at(format!("http://{address}"), NetworkPolicy::Only([address].into()), script, config)
            .await
            .unwrap()
    }

    /// A bench whose endpoint answers nothing.
    pub(super) async fn dead(policy: NetworkPolicy) -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let config = Value::object([("region", Value::string("us-east-1"))]);
        Bench::at(format!("http://{address}"), policy, Arc::default(), config).await.unwrap()
    }

    async fn at(
        url: String,
        network: NetworkPolicy,
        script: Arc<Mutex<Script>>,
        config: Value,
    ) -> Result<Bench, ProviderError> {
        let ctx = Arc::new(Ctx::default());
        let provider = AwsProvider::new(AwsSettings {
            endpoint_url: Some(url),
            static_credentials: Some(Arc::new(|profile| StaticCredentials {
                access_key: format!("AK{}", profile.unwrap_or("default")),
                secret_key: "secret".into(),
                session_token: None,
            })),
        });
        let env = Environment {
            clock: ctx.clone(),
            entropy: Arc::new(Zeros),
            calls: ctx.clone(),
            network,
            vars: Arc::default(),
        };
        let config = crate::values::conform(&provider.schema().config, &config)?.resolve().unwrap();
        let request = Configure { config, minted: BTreeMap::new(), env, fresh_host: false };
        let aws = provider.configure(request).await?;
        Ok(Bench { script, ctx, aws, provider })
    }

    pub(super) fn block(&self, kind: &str) -> &Block {
        &self.provider.schema().resources[kind].block
    }

    /// An object of a kind, completed with nulls.
    pub(super) fn object(&self, kind: &str, attrs: Vec<(&'static str, Value)>) -> Resolved {
        crate::values::conform(self.block(kind), &Value::object(attrs)).unwrap().resolve().unwrap()
    }

    pub(super) fn create(&self, kind: &str, attrs: Vec<(&'static str, Value)>) -> CreateRequest {
        let planned = self.object(kind, attrs);
        CreateRequest {
            config: planned.clone(),
            planned,
            identity: identity(),
            timeouts: self.provider.schema().resources[kind].timeouts,
        }
    }

    pub(super) fn update(&self, kind: &str, prior: Resolved, planned: Resolved) -> UpdateRequest {
        UpdateRequest {
            prior,
            private: Json::Null,
            config: planned.clone(),
            planned,
            owner_mark: Some("mark-1".into()),
            token: "update-1".into(),
            timeouts: self.provider.schema().resources[kind].timeouts,
        }
    }

    pub(super) fn delete(&self, kind: &str, prior: Resolved) -> DeleteRequest {
        let timeouts = self.provider.schema().resources[kind].timeouts;
        DeleteRequest { prior, private: Json::Null, timeouts }
    }

    /// Bodies of the requests so far, where they fit a part of the first line or body.
    pub(super) fn bodies(&self, part: &str) -> Vec<String> {
        let script = self.script.lock().unwrap();
        let fits = |(line, body): &&(String, String)| line.contains(part) || body.contains(part);
        script.seen.iter().filter(fits).map(|(_, body)| body.clone()).collect()
    }

    /// Checks that the script was played to its end.
    pub(super) fn finish(&self) {
        let script = self.script.lock().unwrap();
        assert_eq!(script.wrong, Vec::<String>::new());
        let left: Vec<_> = script.steps.iter().map(|(part, _)| *part).collect();
        assert_eq!(left, Vec::<&str>::new(), "not asked for");
    }

    /// The log: operation, status and attempt of each call.
    pub(super) fn log(&self) -> Vec<String> {
        let calls = self.ctx.calls.lock().unwrap();
        calls.iter().map(|c| format!("{}:{} {} #{}", c.service, c.operation, c.status, c.attempt)).collect()
    }
}

pub(super) fn identity() -> Identity {
    Identity { token: "token-1".into(), owner_mark: Some("mark-1".into()) }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let Some((line, body)) = read_request(&mut stream).await else { return };
    let answer = {
        let mut script = script.lock().unwrap();
        script.seen.push((line.clone(), body.clone()));
        match script.steps.pop_front() {
            Some((part, answer)) if line.contains(part) || body.contains(part) => answer,
            other => {
                script.wrong.push(format!("{line} {body}: expected {:?}", other.map(|(part, _)| part)));
                Answer::Status(418, String::new())
            }
        }
    };
    let (status, header, body) = match answer {
        Answer::Cut => return,
        Answer::Status(status, body) => (status, String::new(), body),
        Answer::Fault(status, code, message) => (
            status,
            format!("x-amzn-errortype: {code}\r\n"),
            serde_json::json!({ "message": message }).to_string(),
        ),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\nx-amzn-requestid: req-1\r\n{header}\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

/// Reads the first line and the body of a request.
async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|l| l.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, n)| n.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Some((head.lines().next()?.to_string(), body.to_string()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

struct Zeros;
impl Entropy for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Clock, log and engine side in one; time goes on by sleeping only.
pub(super) struct Ctx {
    now: AtomicI64,
    pub(super) made: Mutex<Vec<Made>>,
    pub(super) waits: Mutex<Vec<String>>,
    pub(super) fresh: Mutex<BTreeSet<String>>,
    calls: Mutex<Vec<CallRecord>>,
}

impl Default for Ctx {
    fn default() -> Ctx {
        Ctx {
            now: AtomicI64::new(1_767_323_045_000),
            made: Mutex::default(),
            waits: Mutex::default(),
            fresh: Mutex::default(),
            calls: Mutex::default(),
        }
    }
}

impl Ctx {
    fn pass(&self, duration: Duration) {
        self.now.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Ctx {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
    fn sleep(&self, duration: Duration) -> futures::future::BoxFuture<'static, ()> {
        self.pass(duration);
        Box::pin(std::future::ready(()))
    }
}

impl CallLog for Ctx {
    fn call(&self, record: CallRecord) {
        self.calls.lock().unwrap().push(record);
    }
}

#[async_trait]
impl OpContext for Ctx {
    async fn made(&self, made: Made) {
        self.made.lock().unwrap().push(made);
    }
    fn waiting(&self, what: &str) {
        self.waits.lock().unwrap().push(what.to_string());
    }
    async fn pause(&self, duration: Duration) -> Result<(), Interrupted> {
        self.pass(duration);
        Ok(())
    }
    fn is_stopped(&self) -> bool {
        false
    }
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }
    fn made_in_this_run(&self, key: &str) -> bool {
        self.fresh.lock().unwrap().contains(key)
    }
}
