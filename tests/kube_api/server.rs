//! The server of a test run, and stacks whose provider leads to it.
//!
//! One server serves all tests of a process; each test keeps to a namespace of its own. The server ends when its standard
//! input does, which is when this process does, and takes its folder along.

use crate::kit::Stack;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a start may take: it is three seconds where the machine is free.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

const HAPPENS_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Server {
    pub(super) host: String,
    pub(super) ca: String,
    pub(super) token: String,
    /// The token of somebody who is known and may do nothing.
    pub(super) nobody: String,
    /// A server whose certificate has expired.
    pub(super) expired: String,
    /// An admission webhook that refuses everything.
    pub(super) webhook: String,
    kubeconfig: PathBuf,
    home: PathBuf,
    /// Holds the server's standard input.
    _child: Child,
}

pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Server {
    let binary =
        std::env::var("GROMA_KUBE_SERVER").expect("GROMA_KUBE_SERVER: a server of tests/kube/build.sh");
    let name = format!("kube-{}", std::process::id());
    let dir = std::env::temp_dir().join(&name);
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
    let errors = std::fs::File::create(&log).expect("a log");
    let mut child = Command::new(&binary)
        .arg("-dir")
        .arg(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .expect("the server starts");
    let begun = Instant::now();
    let ready = loop {
        if let Ok(text) = std::fs::read_to_string(dir.join("ready.json")) {
            break serde_json::from_str::<Json>(&text).expect("JSON");
        }
        let ended = child.try_wait().expect("a child");
        let late = begun.elapsed() > STARTS_WITHIN;
        assert!(ended.is_none() && !late, "the server does not start; its log is {}", log.display());
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = |name: &str| ready[name].as_str().expect("a text").to_string();
    Server {
        host: text("host"),
        ca: text("ca"),
        token: text("token"),
        nobody: text("nobody"),
        expired: text("expired"),
        webhook: text("webhook"),
        kubeconfig: text("kubeconfig").into(),
        home: dir,
        _child: child,
    }
}

const PROVIDER: &str = "\
variable:
  host: { type: string }
  ca: { type: string }
  token: { type: string, sensitive: true }
  takes_over: { type: bool, default: false }
provider:
  kubernetes:
    host: ${var.host}
    cluster_ca_certificate: ${var.ca}
    token: ${var.token}
    force_conflicts: ${var.takes_over}
";

/// A stack on the server, as its administrator.
pub(super) fn stack() -> Stack {
    let server = server();
    Stack::new()
        .file("provider.yaml", PROVIDER)
        .env("TF_VAR_host", &server.host)
        .env("TF_VAR_ca", &server.ca)
        .env("TF_VAR_token", &server.token)
}

impl Server {
    /// Runs `kubectl` as the administrator, and gives what it says.
    pub(super) fn kubectl(&self, args: &[&str]) -> String {
        let (is_good, out) = self.try_kubectl(args, "");
        assert!(is_good, "kubectl {}: {out}", args.join(" "));
        out
    }

    /// Makes an object with `kubectl`.
    pub(super) fn create(&self, object: &Json) {
        let (is_good, out) = self.try_kubectl(&["create", "-f", "-"], &object.to_string());
        assert!(is_good, "{out}\n{object}");
    }

    /// Waits until something holds.
    #[track_caller]
    pub(super) fn until(&self, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < HAPPENS_WITHIN, "it does not happen");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether it went well, and both outputs.
    pub(super) fn try_kubectl(&self, args: &[&str], input: &str) -> (bool, String) {
        use std::io::Write;
        let mut child = Command::new("kubectl")
            .args(args)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl is there");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
        let out = child.wait_with_output().expect("it ends");
        let text = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&text).trim().to_string())
    }

    /// The object that `kubectl get` gives.
    pub(super) fn object(&self, args: &[&str]) -> Json {
        let text = self.kubectl(&[&["get", "-o", "json"], args].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// Whether the API says that something is not there.
    #[track_caller]
    pub(super) fn has_no(&self, args: &[&str]) {
        let (is_there, out) = self.try_kubectl(&[&["get"], args].concat(), "");
        assert!(!is_there && out.contains("NotFound"), "{}: {out}", args.join(" "));
    }
}

/// The calls to Kubernetes among the events of `-json`: all of them, or those that change something.
pub(super) fn calls(events: &[Json], mutating: Option<bool>) -> Vec<String> {
    let calls = events.iter().filter(|e| e["type"] == "call" && e["service"] == "kubernetes");
    let calls = calls.filter(|e| mutating.is_none_or(|m| e["mutating"] == m));
    calls.filter_map(|e| e["operation"].as_str().map(String::from)).collect()
}
