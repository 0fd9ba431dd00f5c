//! The stage of the tests: a small API on loopback, a clock that moves only by sleeping, a log.

use super::*;

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) token: String,
    pub(super) body: Json,
}

pub(super) type Answers = Arc<Lock<VecDeque<(&'static str, u16, Json)>>>;

/// A server that expects these requests in this order, and answers as told.
pub(super) struct Api {
    pub(super) url: String,
    pub(super) seen: Arc<Lock<Vec<Seen>>>,
    pub(super) answers: Answers,
}

async fn answer(
    request: hyper::Request<Incoming>,
    seen: Arc<Lock<Vec<Seen>>>,
    answers: Answers,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let line = format!("{} {}", request.method(), request.uri());
    let header = request.headers().get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let token = header.to_string();
    let body = request.into_body().collect().await?.to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
    seen.lock().unwrap().push(Seen { line: line.clone(), token, body });
    let next = answers.lock().unwrap().pop_front();
    let (status, body) = match next {
        Some((wanted, status, body)) if line.starts_with(wanted) => (status, body),
        other => (418, json!({"message": format!("got {line}, expected {:?}", other.map(|o| o.0))})),
    };
    let text = Full::new(Bytes::from(body.to_string()));
    Ok(hyper::Response::builder().status(status).body(text).unwrap())
}

pub(super) async fn api(script: Vec<(&'static str, u16, Json)>) -> Api {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, answers) = (Arc::new(Lock::new(Vec::new())), Arc::new(Lock::new(script.into())));
    let api = Api { url, seen, answers };
    let (seen, answers) = (api.seen.clone(), api.answers.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answers) = (seen.clone(), answers.clone());
            let service = service_fn(move |r| answer(r, seen.clone(), answers.clone()));
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    api
}

impl Api {
    pub(super) fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|s| s.line.clone()).collect()
    }
    pub(super) fn body(&self, method: &str) -> Json {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|s| s.line.starts_with(method)).map(|s| s.body.clone()).unwrap()
    }
    pub(super) fn done(&self) {
        assert!(self.answers.lock().unwrap().is_empty(), "not asked: {:?}", self.answers.lock().unwrap());
    }
}

/// A clock that moves only by sleeping.
#[derive(Clone, Default)]
pub(super) struct Time(pub(super) Arc<Lock<i64>>);

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock().unwrap())
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        *self.0.lock().unwrap() += i64::try_from(duration.as_millis()).unwrap();
        Box::pin(async {})
    }
}

pub(super) struct Zeros;
impl Entropy for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

#[derive(Clone, Default)]
pub(super) struct Log(pub(super) Arc<Lock<Vec<CallRecord>>>);
impl CallLog for Log {
    fn call(&self, record: CallRecord) {
        self.0.lock().unwrap().push(record);
    }
}

#[derive(Default)]
pub(super) struct Ctx {
    pub(super) time: Time,
    pub(super) waits: Lock<Vec<String>>,
    pub(super) made: Lock<Vec<Made>>,
}

#[async_trait]
impl OpContext for Ctx {
    async fn made(&self, made: Made) {
        self.made.lock().unwrap().push(made);
    }
    fn waiting(&self, what: &str) {
        self.waits.lock().unwrap().push(what.into());
    }
    async fn pause(&self, duration: Duration) -> Result<(), Interrupted> {
        self.time.sleep(duration).await;
        Ok(())
    }
    fn is_stopped(&self) -> bool {
        false
    }
    fn now(&self) -> Timestamp {
        self.time.now()
    }
    fn made_in_this_run(&self, _: &str) -> bool {
        false
    }
}

/// Gives `t1`, `t2`, …, each good for a minute.
pub(super) struct Tokens(pub(super) Time, pub(super) Lock<u32>);
#[async_trait]
impl Minter for Tokens {
    async fn mint(&self, _renew: bool) -> Result<Minted, ProviderError> {
        let mut count = self.1.lock().unwrap();
        *count += 1;
        let renew_at = Some(self.0.now() + Duration::from_secs(60));
        Ok(Minted::new(Value::string(format!("t{count}")), renew_at))
    }
}

pub(super) struct Stage {
    pub(super) api: Api,
    pub(super) ctx: Ctx,
    pub(super) log: Log,
    pub(super) provider: Arc<dyn Configured>,
}

pub(super) fn env(time: &Time, log: &Log) -> Environment {
    Environment {
        clock: Arc::new(time.clone()),
        entropy: Arc::new(Zeros),
        calls: Arc::new(log.clone()),
        network: NetworkPolicy::LoopbackOnly,
        vars: Arc::default(),
    }
}

/// Arguments of the provider; all that are not given are null.
pub(super) fn arguments(given: &[(&'static str, Value)]) -> Resolved {
    let names =
        ["host", "config_path", "insecure", "token", "exec", "cluster_ca_certificate", "tls_server_name"];
    let names = names.iter().map(|&n| (n, Value::NULL));
    Value::object(names.chain(given.iter().cloned())).resolve().unwrap()
}

pub(super) async fn world_of(
    script: Vec<(&'static str, u16, Json)>,
    minted: bool,
    fresh_host: bool,
) -> Stage {
    let api = api(script).await;
    let (ctx, log) = (Ctx::default(), Log::default());
    let mut request = Configure {
        config: arguments(&[("host", Value::string(api.url.as_str()))]),
        minted: BTreeMap::new(),
        env: env(&ctx.time, &log),
        fresh_host,
    };
    if minted {
        let minter: Arc<dyn Minter> = Arc::new(Tokens(ctx.time.clone(), Lock::new(0)));
        request.minted.insert(AttrPath::root().attr("token"), minter);
    }
    let provider = KubernetesProvider::new(Settings::default()).configure(request).await.unwrap();
    Stage { api, ctx, log, provider }
}

pub(super) async fn world(script: Vec<(&'static str, u16, Json)>) -> Stage {
    world_of(script, false, false).await
}
