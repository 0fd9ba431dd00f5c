//! The sockets: one plain listener for the cloud APIs and the sandbox's own, one TLS listener for each
//! cluster. All on loopback, on ports that the world remembers.

use crate::core::{Effect, Sandbox, Switches};
use crate::crypto::random_hex;
use crate::http::{Reply, Request};
use crate::store::{make_folder, private_file};
use crate::{aws, kube};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// How to run a sandbox.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The folder of the world and of the process's own files.
    pub folder: PathBuf,
    /// Simulated seconds for a second on the wall.
    pub speed: f64,
    /// How long to stay without requests.
    pub idle: Duration,
    /// Behaviours that are off, or gentler, unless asked for.
    pub switches: Switches,
    /// Faults to begin with, in the form of `client::fault`.
    pub faults: Vec<String>,
    /// The seed of faults that hit a part of all calls.
    pub seed: u64,
}

impl ServeOptions {
    /// The defaults: 600 simulated seconds a second, half an hour of patience.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            speed: 600.0,
            idle: Duration::from_secs(30 * 60),
            switches: Switches::default(),
            faults: Vec::new(),
            seed: 0,
        }
    }
}

/// Why a sandbox doesn't start or can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process serves the folder.
    #[error("another sandbox process serves {0}")]
    Locked(PathBuf),
    /// The port that the world remembers is taken.
    #[error(
        "the sandbox's port {port} is taken by another program: {source}; stop that, or reset the sandbox"
    )]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// A file, a socket or a process failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// No sandbox runs for the folder.
    #[error("no sandbox runs for {0}")]
    NotRunning(PathBuf),
    /// The sandbox refused what it was asked.
    #[error("{0}")]
    Refused(String),
    /// A start that didn't come up in time.
    #[error("the sandbox did not start; its log says: {0}")]
    NoStart(String),
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}

/// What becomes of a request.
pub(crate) enum Outcome {
    Reply(Reply),
    /// The answer comes so many milliseconds late.
    Late(u64, Reply),
    /// No answer ever comes.
    Hang,
    /// The connection is cut without an answer.
    Cut,
    /// Lines go on coming.
    Watch(kube::watch::Watch),
}

impl Outcome {
    pub(crate) fn reply(reply: Reply) -> Self {
        Self::Reply(reply)
    }

    pub(crate) fn map(self, change: impl FnOnce(Reply) -> Reply) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(change(reply)),
            Self::Late(millis, reply) => Self::Late(millis, change(reply)),
            Self::Hang | Self::Cut | Self::Watch(_) => self,
        }
    }
}

struct State {
    sandbox: Sandbox,
    token: String,
    started: Instant,
    last: AtomicU64,
    active: AtomicUsize,
    stop: watch::Sender<bool>,
    clusters: Mutex<HashMap<String, AbortHandle>>,
}

/// A running server in this process.
pub struct Server {
    state: Arc<State>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
    folder: PathBuf,
    _lock: File,
}

/// Serves until told to stop or idle for long enough.
pub async fn serve(options: ServeOptions, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let server = Server::start(options).await?;
    let state = Arc::clone(&server.state);
    let mut finished = std::pin::pin!(server.finished());
    tokio::select! {
        ended = &mut finished => return ended,
        () = stop => {}
    }
    state.stop.send_replace(true);
    finished.await
}

impl Server {
    /// Opens the world and its sockets, and writes the file by which clients find it.
    pub async fn start(options: ServeOptions) -> Result<Self, Error> {
        let folder = options.folder.clone();
        make_folder(&folder).map_err(Error::io(format!("cannot make {}", folder.display())))?;
        let lock = take_lock(&folder)?;
        let sandbox = Sandbox::open(&options)
            .map_err(Error::io(format!("cannot open the world in {}", folder.display())))?;
        let (listener, port) = bind_main(&sandbox).await?;
        prepare(&sandbox, &options)?;
        let token = random_hex(32);
        let state = Arc::new(State {
            sandbox,
            token: token.clone(),
            started: Instant::now(),
            last: AtomicU64::new(0),
            active: AtomicUsize::new(0),
            stop: watch::channel(false).0,
            clusters: Mutex::new(HashMap::new()),
        });
        reopen_clusters(&state).await?;
        write_address(&folder, port, &token).map_err(Error::io("cannot write serve.json"))?;
        let task = tokio::spawn(main_loop(Arc::clone(&state), listener, options.idle));
        Ok(Self { state, port, task, folder, _lock: lock })
    }

    /// The address of the cloud APIs.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The word that opens the sandbox's own API.
    pub fn admin_token(&self) -> &str {
        &self.state.token
    }

    /// The sandbox behind the sockets.
    pub fn sandbox(&self) -> &Sandbox {
        &self.state.sandbox
    }

    /// Stops, as `client::stop` does.
    pub async fn stop(self) -> Result<(), Error> {
        self.state.stop.send_replace(true);
        self.finished().await
    }

    /// Stops without writing anything, as a killed process does.
    pub fn abandon(self) {
        self.task.abort();
        abort_clusters(&self.state);
    }

    async fn finished(self) -> Result<(), Error> {
        let Self { state, task, folder, .. } = self;
        // The loop only ends by its own will; a panic in it must not keep the world from closing.
        let _ = task.await;
        abort_clusters(&state);
        let _ = std::fs::remove_file(folder.join("world/serve.json"));
        state.sandbox.close().map_err(Error::io("cannot close the world"))
    }
}

fn take_lock(folder: &Path) -> Result<File, Error> {
    let file =
        private_file(&folder.join("serve.lock"), false).map_err(Error::io("cannot open serve.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked(folder.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => {
            Err(Error::Io { what: "cannot lock serve.lock".into(), source })
        }
    }
}

fn in_world<T>(result: io::Result<Result<T, Infallible>>) -> Result<T, Error> {
    match result.map_err(Error::io("cannot write the world"))? {
        Ok(value) => Ok(value),
        Err(never) => match never {},
    }
}

async fn bind_main(sandbox: &Sandbox) -> Result<(TcpListener, u16), Error> {
    let known = in_world(sandbox.run(|ctx| Ok(ctx.world.get("server/port").and_then(Value::as_u64))))?;
    let known = known.and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
    let listener = bind(known).await?;
    let port = listener.local_addr().map_err(Error::io("cannot read the own address"))?.port();
    in_world(sandbox.run(|ctx| {
        ctx.world.put("server/port", port.into());
        Ok(())
    }))?;
    Ok((listener, port))
}

/// Binds a port, patiently: the one before us may have died a moment ago.
async fn bind(port: u16) -> Result<TcpListener, Error> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return Ok(listener),
            Err(source) if tries >= 20 || port == 0 => return Err(Error::Port { port, source }),
            Err(_) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn prepare(sandbox: &Sandbox, options: &ServeOptions) -> Result<(), Error> {
    for text in &options.faults {
        sandbox
            .run(|ctx| crate::faults::add(ctx.world, text, options.seed))
            .map_err(Error::io("cannot write the world"))?
            .map_err(Error::Refused)?;
    }
    Ok(())
}

async fn reopen_clusters(state: &Arc<State>) -> Result<(), Error> {
    let ports = in_world(state.sandbox.run(|ctx| Ok(kube::ports(ctx.world))))?;
    for (uid, port) in ports {
        let listener = bind(port).await?;
        open_cluster(state, &uid, listener);
    }
    apply_effects(state);
    Ok(())
}

fn write_address(folder: &Path, port: u16, token: &str) -> io::Result<()> {
    let fresh = folder.join("world/serve.json.new");
    let body = json!({
        "pid": std::process::id(),
        "port": port,
        "base_url": format!("http://127.0.0.1:{port}"),
        "token": token,
    });
    let mut file = private_file(&fresh, true)?;
    file.write_all(body.to_string().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(fresh, folder.join("world/serve.json"))
}

async fn main_loop(state: Arc<State>, listener: TcpListener, idle: Duration) {
    let mut stop = state.stop.subscribe();
    let mut tick = tokio::time::interval(Duration::from_millis(200).min(idle));
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {
                let now = elapsed(&state);
                let quiet = now.saturating_sub(state.last.load(Ordering::Relaxed));
                if state.active.load(Ordering::Relaxed) == 0 && u128::from(quiet) >= idle.as_millis() {
                    return;
                }
            }
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(connection(Arc::clone(&state), stream, None));
                }
            }
        }
    }
}

fn elapsed(state: &State) -> u64 {
    u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn abort_clusters(state: &State) {
    let mut clusters = state.clusters.lock().expect("invariant: no holder of this lock panics");
    for (_, task) in clusters.drain() {
        task.abort();
    }
}

fn open_cluster(state: &Arc<State>, uid: &str, listener: TcpListener) {
    let config = state.sandbox.run(|ctx| kube::tls_config(ctx.world, uid).ok_or(()));
    let Ok(Ok(config)) = config else { return };
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    let (own, name) = (Arc::clone(state), uid.to_owned());
    let task = tokio::spawn(async move {
        let mut stop = own.stop.subscribe();
        loop {
            let accepted = tokio::select! { _ = stop.changed() => return, a = listener.accept() => a };
            let Ok((stream, _)) = accepted else { continue };
            let (state, acceptor, uid) = (Arc::clone(&own), acceptor.clone(), name.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    connection(state, stream, Some(uid)).await;
                }
            });
        }
    });
    let mut clusters = state.clusters.lock().expect("invariant: no holder of this lock panics");
    if let Some(old) = clusters.insert(uid.to_owned(), task.abort_handle()) {
        old.abort();
    }
}

/// Opens and closes the listeners of clusters that came up or went.
fn apply_effects(state: &Arc<State>) {
    for effect in state.sandbox.take_effects() {
        match effect {
            Effect::Open { uid, listener } => {
                let listener = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
                if let Ok(listener) = listener {
                    open_cluster(state, &uid, listener);
                }
            }
            Effect::Close { uid } => {
                let mut clusters = state.clusters.lock().expect("invariant: no holder of this lock panics");
                if let Some(task) = clusters.remove(&uid) {
                    task.abort();
                }
            }
        }
    }
}

type Body = BoxBody<Bytes, Infallible>;

/// A cut connection; hyper closes the socket when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
struct CutOff;

async fn connection<S>(state: Arc<State>, stream: S, cluster: Option<String>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stop = state.stop.subscribe();
    let service =
        hyper::service::service_fn(move |request| respond(Arc::clone(&state), cluster.clone(), request));
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // An error here is the other side's doing, or a cut that was asked for.
        _ = serving.as_mut() => {}
        _ = stop.changed() => {
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(Duration::from_secs(1), serving).await;
        }
    }
}

/// Counts the requests in hand, also when one is dropped.
struct InHand(Arc<State>);

impl InHand {
    fn new(state: &Arc<State>) -> Self {
        state.active.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.last.store(elapsed(&self.0), Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

const LARGEST_BODY: usize = 8 << 20;
const HANG: Duration = Duration::from_secs(15 * 60);

async fn respond(
    state: Arc<State>,
    cluster: Option<String>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, CutOff> {
    let hand = InHand::new(&state);
    let Ok(request) = read_request(request).await else { return Err(CutOff) };
    let own = Arc::clone(&state);
    let outcome = tokio::task::spawn_blocking(move || {
        let outcome = match &cluster {
            Some(uid) => kube::handle(&own.sandbox, uid, &request),
            None if request.path.starts_with("/_sandbox/") => admin(&own, &request),
            None => aws::handle(&own.sandbox, &request),
        };
        outcome.unwrap_or_else(|error| Outcome::reply(disk_error(&error)))
    })
    .await
    .map_err(|_| CutOff)?;
    apply_effects(&state);
    match outcome {
        Outcome::Reply(reply) => Ok(response(reply)),
        Outcome::Late(millis, reply) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok(response(reply))
        }
        Outcome::Hang => {
            tokio::time::sleep(HANG).await;
            Err(CutOff)
        }
        Outcome::Cut => Err(CutOff),
        Outcome::Watch(watch) => Ok(watch_response(state, watch, hand)),
    }
}

fn disk_error(error: &io::Error) -> Reply {
    Reply::json(500, &json!({"message": format!("the sandbox cannot write its world: {error}")}))
}

async fn read_request(request: hyper::Request<Incoming>) -> Result<Request, CutOff> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| CutOff)?.to_bytes();
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body,
    })
}

fn response(reply: Reply) -> hyper::Response<Body> {
    let mut builder = hyper::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    let body = Full::new(Bytes::from(reply.body)).boxed();
    builder.body(body).expect("invariant: the sandbox only writes headers that HTTP knows")
}

struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|line| line.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// How often an open watch looks whether something has fallen due.
const WATCH_STEP: Duration = Duration::from_millis(20);

fn watch_response(state: Arc<State>, mut watch: kube::watch::Watch, hand: InHand) -> hyper::Response<Body> {
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        let _hand = hand;
        let mut stop = state.stop.subscribe();
        loop {
            let own = Arc::clone(&state);
            let step = tokio::task::spawn_blocking(move || {
                let lines = watch.step(&own.sandbox);
                (watch, lines)
            });
            let Ok((back, lines)) = step.await else { return };
            watch = back;
            apply_effects(&state);
            let Some(lines) = lines else { return };
            for line in lines {
                if sender.send(Bytes::from(line)).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                _ = stop.changed() => return,
                () = sender.closed() => return,
                () = tokio::time::sleep(WATCH_STEP) => {}
            }
        }
    });
    let builder = hyper::Response::builder().header("content-type", "application/json");
    builder.body(Lines(receiver).boxed()).expect("invariant: the header is well-formed")
}

/// The sandbox's own API, for the command and for tests.
fn admin(state: &State, request: &Request) -> io::Result<Outcome> {
    let given = request.header("authorization").and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default();
    if !crate::crypto::same(given, &state.token) {
        return Ok(Outcome::reply(Reply::json(401, &json!({"message": "wrong token"}))));
    }
    let sandbox = &state.sandbox;
    let reply = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/_sandbox/clock") => {
            let clocks = sandbox.clocks();
            Reply::json(200, &json!({"sim_millis": clocks.sim, "speed": sandbox.speed()}))
        }
        ("GET", "/_sandbox/world") => Reply::json(200, &world_dump(sandbox)?),
        ("POST", "/_sandbox/faults") => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let seed = request.params().get("seed").and_then(|s| s.parse().ok()).unwrap_or(0);
            match sandbox.run(|ctx| crate::faults::add(ctx.world, &text, seed))? {
                Ok(()) => Reply::json(200, &json!({})),
                Err(message) => Reply::json(400, &json!({"message": message})),
            }
        }
        ("DELETE", "/_sandbox/faults") => forget(sandbox, |key| key.starts_with("fault/"))?,
        ("POST", "/_sandbox/reset") => forget(sandbox, |key| !key.starts_with("server/"))?,
        ("POST", "/_sandbox/stop") => {
            state.stop.send_replace(true);
            Reply::json(200, &json!({}))
        }
        _ => Reply::json(404, &json!({"message": "the sandbox has no such path"})),
    };
    Ok(Outcome::reply(reply))
}

/// Everything that exists, but for keys and sessions.
fn world_dump(sandbox: &Sandbox) -> io::Result<Value> {
    let dump = sandbox.run(|ctx| {
        let shown = |key: &str| {
            !["secret/", "due/", "counter/", "server/", "fault/"].iter().any(|prefix| key.starts_with(prefix))
        };
        let entries = ctx.world.under("").filter(|(key, _)| shown(key));
        Ok::<Value, ()>(Value::Object(entries.map(|(k, v)| (k.to_owned(), v.clone())).collect()))
    })?;
    Ok(dump.unwrap_or_default())
}

fn forget(sandbox: &Sandbox, which: impl Fn(&str) -> bool) -> io::Result<Reply> {
    let done = sandbox.run(|ctx| {
        for (uid, _) in kube::ports(ctx.world) {
            if which(&format!("secret/kube/{uid}")) {
                ctx.effects.push(Effect::Close { uid });
            }
        }
        for key in ctx.world.keys("").into_iter().filter(|key| which(key)) {
            ctx.world.remove(&key);
        }
        Ok::<(), ()>(())
    })?;
    Ok(Reply::json(if done.is_ok() { 200 } else { 500 }, &json!({})))
}
