//! Archives and registries from a server on loopback: what is fetched, what is refused, what is pinned.

use groma_modules::address::Trust;
use groma_modules::cache::Cache;
use groma_modules::fetch::{Fetched, Fetcher, Policy, Wanted, module_dir};
use groma_modules::lock::Lock;
use groma_modules::tree::Limits;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What the server answers at a path: status, headers, body.
type Answers = BTreeMap<String, (u16, Vec<(String, String)>, Vec<u8>)>;

#[derive(Clone)]
struct Server {
    base: String,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn plain() -> Server {
        Server::start(None)
    }

    /// With TLS: the server, and its authority's certificate.
    fn secure() -> (Server, String) {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()])
            .expect("a certificate");
        let der = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], der)
            .expect("a configuration");
        (Server::start(Some(Arc::new(config))), key.cert.pem())
    }

    fn start(tls: Option<Arc<rustls::ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://127.0.0.1:{}", listener.local_addr().expect("bound").port());
        let server = Server { base, answers: Arc::default(), asked: Arc::default() };
        let served = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, tls) = (served.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    Some(tls) => {
                        let connection = rustls::ServerConnection::new(tls).expect("a connection");
                        served.serve(rustls::StreamOwned::new(connection, stream));
                    }
                    None => served.serve(stream),
                });
            }
        });
        server
    }

    fn serve(&self, mut stream: impl Read + Write) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split_whitespace().nth(1).unwrap_or_default().to_string();
        self.asked.lock().expect("a lock").push(head.to_lowercase());
        let found = self.answers.lock().expect("a lock").get(&path).cloned();
        let (status, headers, body) = found.unwrap_or((404, Vec::new(), Vec::new()));
        let mut answer =
            format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        headers.iter().for_each(|(k, v)| answer += &format!("{k}: {v}\r\n"));
        // A client that has seen enough may be gone.
        let _ = stream.write_all(format!("{answer}\r\n").as_bytes());
        let _ = stream.write_all(&body);
        let _ = stream.flush();
    }

    fn at(&self, path: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) {
        let headers = headers.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        self.answers.lock().expect("a lock").insert(path.into(), (status, headers, body.into()));
    }

    /// A registry with versions of `acme/net/aws`, each an archive that the registry names as given.
    fn registry(&self, versions: &[&str], location: &str) {
        self.at("/.well-known/terraform.json", 200, &[], r#"{"modules.v1": "/api/"}"#);
        let listed: Vec<String> = versions.iter().map(|v| format!(r#"{{"version": "{v}"}}"#)).collect();
        let listed = format!(r#"{{"modules": [{{"versions": [{}]}}]}}"#, listed.join(","));
        self.at("/api/acme/net/aws/versions", 200, &[], listed);
        for version in versions {
            let named = location.replace("VERSION", version);
            self.at(
                &format!("/api/acme/net/aws/{version}/download"),
                204,
                &[("X-Terraform-Get", &named)],
                "",
            );
        }
    }

    fn host(&self) -> &str {
        self.base.split("//").nth(1).expect("a host")
    }

    fn count(&self, word: &str) -> usize {
        self.asked.lock().expect("a lock").iter().filter(|head| head.contains(word)).count()
    }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).expect("appended");
    }
    tar.into_inner().expect("made").finish().expect("made")
}

/// One fetch into a cache.
struct Run<'a> {
    cache: &'a Path,
    policy: Policy,
    vars: &'a [(&'a str, &'a str)],
}

impl Run<'_> {
    fn fetch(
        &self,
        source: &str,
        version: Option<&str>,
        lock: &mut Lock,
    ) -> Result<(Fetched, Wanted), String> {
        let wanted =
            Wanted::read(source, version, Trust::Own).map_err(|f| format!("{} {}", f.code, f.detail))?;
        let fetcher = Fetcher {
            cache: Cache::new(self.cache.to_path_buf()),
            vars: self.vars.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            limits: Limits { entries: 100, bytes: 1 << 20, download_bytes: 1 << 16 },
            policy: self.policy,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut got = runtime.block_on(fetcher.fetch(std::slice::from_ref(&wanted), lock));
        let fetched =
            got.remove(&wanted.key()).expect("an answer").map_err(|f| format!("{} {}", f.code, f.detail))?;
        lock.insert(wanted.key(), fetched.entry.clone());
        Ok((fetched, wanted))
    }
}

fn text(fetched: &(Fetched, Wanted), file: &str) -> String {
    let inner = fetched.0.entry.folder.clone().unwrap_or_default();
    let dir = module_dir(&fetched.0.dir, [&inner, &fetched.1.address.folder], "it").expect("a folder");
    std::fs::read_to_string(dir.join(file)).expect("a file")
}

#[test]
fn an_archive_is_fetched_pinned_and_not_asked_for_again() {
    let server = Server::plain();
    server.at("/m.tar.gz", 200, &[], archive(&[("sub/main.yaml", "one")]));
    let (cache, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let run = Run { cache: cache.path(), policy: Policy::Fill, vars: &[] };
    let source = format!("{}/m.tar.gz//sub", server.base);
    let mut lock = Lock::new();
    assert_eq!(text(&run.fetch(&source, None, &mut lock).expect("fetched"), "main.yaml"), "one");
    run.fetch(&source, None, &mut lock).expect("there");
    assert_eq!(server.count("get /m.tar.gz"), 1);
    // Replaced at its source: another machine is told, an upgrade takes it.
    let pinned = lock.values().next().expect("an entry").hash.clone();
    server.at("/m.tar.gz", 200, &[], archive(&[("sub/main.yaml", "two")]));
    let elsewhere = Run { cache: other.path(), ..run };
    let why = elsewhere.fetch(&source, None, &mut lock).expect_err("replaced");
    assert!(why.starts_with("G0526") && why.contains(&pinned), "{why}");
    let upgrade = Run { policy: Policy::Upgrade, ..elsewhere };
    assert_eq!(text(&upgrade.fetch(&source, None, &mut lock).expect("fetched"), "main.yaml"), "two");
    let locked = Run { policy: Policy::Locked, ..upgrade };
    assert!(locked.fetch(&source, None, &mut Lock::new()).expect_err("missing").starts_with("G0527"));
}

#[test]
fn a_server_may_say_where_the_package_is() {
    let server = Server::plain();
    server.at("/m.tgz", 200, &[], archive(&[("top-1/main.yaml", "one")]));
    server.at("/named?terraform-get=1", 200, &[("X-Terraform-Get", "./m.tgz//*")], "");
    let meta = r#"<html><head><meta name="terraform-get" content="/m?archive=tar.gz" /></head></html>"#;
    server.at("/page?terraform-get=1", 200, &[], meta);
    server.at("/m", 200, &[], archive(&[("main.yaml", "two")]));
    server.at("/silent?terraform-get=1", 200, &[], "nothing");
    server.at("/round?terraform-get=1", 200, &[("X-Terraform-Get", "./round")], "");
    let cache = tempfile::tempdir().expect("a folder");
    let run = Run { cache: cache.path(), policy: Policy::Fill, vars: &[] };
    let get = |path: &str| run.fetch(&format!("{}{path}", server.base), None, &mut Lock::new());
    assert_eq!(text(&get("/named").expect("fetched"), "main.yaml"), "one");
    assert_eq!(text(&get("/page").expect("fetched"), "main.yaml"), "two");
    for (path, word) in
        [("/silent", "X-Terraform-Get"), ("/round", "from one place to the next"), ("/gone.zip", "404")]
    {
        let why = get(path).expect_err(path);
        assert!(why.starts_with("G0523") && why.contains(word), "{why}");
    }
}

#[test]
fn a_registry_gives_the_newest_version_that_fits() {
    let server = Server::plain();
    let location = format!("{}/net-VERSION.tar.gz", server.base);
    server.registry(&["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc1"], &location);
    for version in ["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc1"] {
        server.at(&format!("/net-{version}.tar.gz"), 200, &[], archive(&[("sub/main.yaml", version)]));
    }
    let cache = tempfile::tempdir().expect("a folder");
    let run = Run { cache: cache.path(), policy: Policy::Fill, vars: &[] };
    let source = format!("{}/acme/net/aws//sub", server.host());
    let mut lock = Lock::new();
    for (version, expected) in
        [(None, "1.10.0"), (Some("~> 1.2.0"), "1.2.0"), (Some("= 2.0.0-rc1"), "2.0.0-rc1")]
    {
        let got = run.fetch(&source, version, &mut lock).expect("fetched");
        assert_eq!((got.0.entry.version.as_deref(), &*text(&got, "main.yaml")), (Some(expected), expected));
    }
    let why = run.fetch(&source, Some("> 3"), &mut lock).expect_err("none");
    assert!(why.starts_with("G0525") && why.contains("1.10.0, 1.2.0, 1.0.0"), "{why}");
    // A newer one changes nothing until it is asked for, on a machine without a cache either.
    server.registry(&["1.10.0", "1.11.0"], &location);
    server.at("/net-1.11.0.tar.gz", 200, &[], archive(&[("sub/main.yaml", "1.11.0")]));
    let other = tempfile::tempdir().expect("a folder");
    let elsewhere = Run { cache: other.path(), ..run };
    assert_eq!(text(&elsewhere.fetch(&source, None, &mut lock).expect("fetched"), "main.yaml"), "1.10.0");
    let upgrade = Run { policy: Policy::Upgrade, ..elsewhere };
    assert_eq!(text(&upgrade.fetch(&source, None, &mut lock).expect("fetched"), "main.yaml"), "1.11.0");
}

#[test]
fn a_registry_wants_its_own_token_and_sends_nobody_astray() {
    let server = Server::plain();
    server.registry(&["1.0.0"], "./net.tar.gz");
    server.at("/api/acme/net/aws/1.0.0/net.tar.gz", 200, &[], archive(&[("main.yaml", "one")]));
    let name = format!("TF_TOKEN_{}", server.host().replace('.', "_"));
    let vars = [(name.as_str(), "canary-token"), ("TF_TOKEN_h_example", "other")];
    let cache = tempfile::tempdir().expect("a folder");
    let run = Run { cache: cache.path(), policy: Policy::Fill, vars: &vars };
    let source = format!("{}/acme/net/aws", server.host());
    run.fetch(&source, None, &mut Lock::new()).expect("fetched");
    assert_eq!(server.count("authorization: bearer canary-token"), 3);
    assert_eq!(server.count("get /api/acme/net/aws/1.0.0/net.tar.gz"), 1);
    // What `terraform login` wrote counts too; a variable goes before it.
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".terraform.d")).expect("made");
    let written = format!(r#"{{"credentials": {{"{}": {{"token": "canary-login"}}}}}}"#, server.host());
    std::fs::write(home.path().join(".terraform.d/credentials.tfrc.json"), written).expect("written");
    let folder = home.path().display().to_string();
    let logged_in = [("HOME", folder.as_str())];
    Run { cache: home.path(), policy: Policy::Upgrade, vars: &logged_in }
        .fetch(&source, None, &mut Lock::new())
        .expect("fetched");
    assert_eq!(server.count("authorization: bearer canary-login"), 3);
    for (location, code) in [
        ("git::ext::sh%20-c%20id", "G0520"),
        ("http://h.example/x.zip", "G0521"),
        ("file:///etc", "G0521"),
        ("other.example/a/b/c", "G0523"),
    ] {
        server.registry(&["1.0.0"], location);
        let other = tempfile::tempdir().expect("a folder");
        let why =
            Run { cache: other.path(), ..run }.fetch(&source, None, &mut Lock::new()).expect_err(location);
        assert!(why.starts_with(code), "{location}: {why}");
    }
    server.at("/.well-known/terraform.json", 200, &[], r#"{"modules.v1": "http://h.example/"}"#);
    let other = tempfile::tempdir().expect("a folder");
    let why =
        Run { cache: other.path(), ..run }.fetch(&source, None, &mut Lock::new()).expect_err("not encrypted");
    assert!(why.contains("not encrypted"), "{why}");
}

#[test]
fn certificates_of_ones_own_count_and_others_do_not() {
    let (server, pem) = Server::secure();
    server.at("/m.tgz", 200, &[], archive(&[("main.yaml", "one")]));
    let cache = tempfile::tempdir().expect("a folder");
    let bundle = cache.path().join("ca.pem");
    std::fs::write(&bundle, pem).expect("written");
    let bundle = bundle.display().to_string();
    let source = format!("{}/m.tgz", server.base);
    let vars = [("SSL_CERT_FILE", bundle.as_str())];
    let run = Run { cache: cache.path(), policy: Policy::Fill, vars: &vars };
    assert_eq!(text(&run.fetch(&source, None, &mut Lock::new()).expect("fetched"), "main.yaml"), "one");
    let (other, _) = Server::secure();
    other.at("/m.tgz", 200, &[], archive(&[("main.yaml", "two")]));
    let why =
        run.fetch(&format!("{}/m.tgz", other.base), None, &mut Lock::new()).expect_err("another authority");
    assert!(why.starts_with("G0523") && why.to_lowercase().contains("certificate"), "{why}");
    // Nothing goes from TLS to plain http, not even on this machine.
    let plain = Server::plain();
    plain.at("/m.tgz", 200, &[], archive(&[("main.yaml", "three")]));
    server.at("/away.tgz", 302, &[("location", &format!("{}/m.tgz", plain.base))], "");
    let why =
        run.fetch(&format!("{}/away.tgz", server.base), None, &mut Lock::new()).expect_err("redirected");
    assert!(why.contains("not encrypted") && plain.count("get") == 0, "{why}");
}

#[test]
fn redirects_and_lengths_have_ends() {
    let server = Server::plain();
    server.at("/round.zip", 302, &[("location", "/round.zip")], "");
    server.at("/away.zip", 302, &[("location", "http://192.0.2.1/x.zip")], "");
    server.at("/long.zip", 200, &[], vec![0; (1 << 16) + 1]);
    server.at("/one.tgz", 302, &[("location", "/m.tgz")], "");
    server.at("/m.tgz", 200, &[], archive(&[("main.yaml", "one")]));
    server.at("/bomb.tgz", 200, &[], archive(&[("main.yaml", &"0".repeat(2 << 20))]));
    server.at("/up.tgz", 200, &[], archive(&[("a", "1"), ("A", "2")]));
    let cache = tempfile::tempdir().expect("a folder");
    let run =
        Run { cache: cache.path(), policy: Policy::Fill, vars: &[("HTTPS_PROXY", "http://192.0.2.1:1")] };
    let get = |path: &str| run.fetch(&format!("{}{path}", server.base), None, &mut Lock::new());
    get("/one.tgz").expect("fetched");
    for (path, code, word) in [
        ("/round.zip", "G0523", "too often"),
        ("/away.zip", "G0523", "not encrypted"),
        ("/long.zip", "G0523", "longer than"),
        ("/bomb.tgz", "G0529", "more than"),
        ("/up.tgz", "G0529", "case"),
    ] {
        let why = get(path).expect_err(path);
        assert!(why.starts_with(code) && why.contains(word), "{path}: {why}");
    }
    let left = std::fs::read_dir(cache.path().join("tmp")).expect("a folder").count();
    assert_eq!(left, 0, "what failed leaves nothing");
}

#[test]
fn a_password_in_a_source_is_in_no_lock_and_no_message() {
    let server = Server::plain();
    server.at("/m.tgz?token=canary-2", 200, &[], archive(&[("main.yaml", "one")]));
    let cache = tempfile::tempdir().expect("a folder");
    let run = Run { cache: cache.path(), policy: Policy::Fill, vars: &[] };
    let mut lock = Lock::new();
    run.fetch(&format!("http://me:canary-1@{}/m.tgz?token=canary-2", server.host()), None, &mut lock)
        .expect("fetched");
    let text = groma_modules::lock::write(&lock);
    assert!(!text.contains("canary"), "{text}");
    let why =
        run.fetch(&format!("http://me:canary-1@{}/gone.tgz?token=canary-2", server.host()), None, &mut lock);
    assert!(!why.as_ref().expect_err("gone").contains("canary"), "{why:?}");
}
