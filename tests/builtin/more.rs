//! archive, cloudinit, external, http and the state of other stacks.

use super::{APPLY, DESTROY};
use crate::kit::Stack;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

const ARCHIVE: &str = r#"
data:
  archive_file:
    dir: { type: zip, source_dir: src, excludes: ["*.log", skip], output_path: out/dir.zip }
    made:
      type: tar.gz
      output_path: out/made.tgz
      output_file_mode: "0640"
      source: [{ filename: b/two, content: two }, { filename: one, content: one }]
    one: { type: zip, source_content: hello, source_content_filename: hello.txt, output_path: out/one.zip }
resource:
  archive_file:
    kept: { type: zip, source_file: src/a.txt, output_path: out/kept.zip }
output:
  dir: { value: "${data.archive_file.dir.output_base64sha256}" }
  size: { value: "${data.archive_file.one.output_size}" }
  sha: { value: "${data.archive_file.made.output_sha}" }
"#;

#[test]
fn archives_hold_what_is_wanted_and_are_the_same_each_time() {
    let stack = Stack::new().file("main.yaml", ARCHIVE).file("src/a.txt", "a").file("src/x.log", "log");
    stack.write("src/deep/b.txt", "b");
    stack.write("src/skip/c.txt", "c");
    stack.settle();
    let dir = std::fs::read(stack.path().join("out/dir.zip")).expect("written");
    let has = |name: &str| dir.windows(name.len()).any(|w| w == name.as_bytes());
    assert!(has("a.txt") && has("deep/b.txt") && !has("x.log") && !has("skip"), "wrong files");
    assert_eq!(
        stack.output("size"),
        json!(std::fs::metadata(stack.path().join("out/one.zip")).unwrap().len())
    );
    let (before, sha) = (stack.text("dir"), stack.text("sha"));
    assert_eq!(sha.len(), 40);

    // Another moment and another run: the same bytes. Another content: others.
    stack.remove("out/dir.zip");
    stack.write("src/a.txt", "a");
    stack.settle();
    assert_eq!((stack.text("dir"), stack.text("sha")), (before.clone(), sha));
    stack.write("src/a.txt", "changed");
    stack.ok(APPLY);
    assert_ne!(stack.text("dir"), before);
    stack.ok(DESTROY);
}

#[test]
fn archives_without_a_source_are_refused() {
    let check = |body: &str, words: &[&str]| {
        let spec = format!("data:\n  archive_file: {{ it: {{ {body}, output_path: out.zip }} }}\n");
        Stack::new().file("main.yaml", &spec).run(&["plan"]).must(1).says(words).says(&["main.yaml:2:"]);
    };
    check("type: zip", &["one of source,"]);
    check("type: rar, source_file: a", &["zip or tar.gz"]);
    check("type: zip, source_file: a, source_dir: b", &["only one of"]);
    check("type: zip, source_file: nothing", &["nothing is not there"]);
    check("type: zip, source: { filename: ../x, content: y }", &["can't be the path"]);
}

#[test]
fn user_data_is_rendered_in_each_form() {
    let stack = Stack::new().file(
        "main.yaml",
        r#"
data:
  cloudinit_config:
    plain:
      gzip: false
      base64_encode: false
      part: [{ content_type: text/x-shellscript, content: foo, filename: f.sh }]
    coded: { gzip: false, part: { content: foo } }
    packed: { part: { content: foo } }
output:
  plain: { value: "${data.cloudinit_config.plain.rendered}" }
  coded: { value: "${base64decode(data.cloudinit_config.coded.rendered)}" }
  packed: { value: "${substr(data.cloudinit_config.packed.rendered, 0, 4)}" }
"#,
    );
    stack.settle();
    assert!(stack.text("plain").contains("filename=\"f.sh\"\r\n"));
    assert!(stack.text("coded").contains("\r\n\r\nfoo\r\n--MIMEBOUNDARY--\r\n"));
    assert_eq!(stack.text("packed"), "H4sI", "gzip begins so");
    let bad = "data:\n  cloudinit_config: { it: { base64_encode: false, part: { content: x } } }\n";
    Stack::new().file("main.yaml", bad).run(&["plan"]).must(1).says(&["base64_encode must be true"]);
    let none = "data:\n  cloudinit_config: { it: {} }\n";
    Stack::new().file("main.yaml", none).run(&["plan"]).must(1).says(&["part"]);
}

const EXTERNAL: &str = r#"
data:
  external:
    it: { program: [sh, ./answer.sh, extra], query: { name: world } }
output:
  said: { value: "${data.external.it.result.said}" }
"#;

#[cfg(unix)]
#[test]
fn a_program_answers_its_query() {
    let script = |body: &str| format!("query=$(cat)\n{body}\n");
    let stack = Stack::new().env("PATH", "/usr/bin:/bin").env("AWS_SECRET_ACCESS_KEY", "machine-secret");
    stack.write("main.yaml", EXTERNAL);
    let say =
        r#"printf '{"said":"%s %s %s"}' "$1" "$AWS_SECRET_ACCESS_KEY" "$(echo "$query" | tr -d '"{}')" "#;
    stack.write("answer.sh", &script(say));
    stack.settle();
    assert_eq!(stack.text("said"), "extra machine-secret name:world");
    // The sandbox keeps the machine's credentials from it.
    stack
        .ok(&["apply", "-auto-approve", "-sandbox"])
        .says(&["extra  name:world"])
        .says_not(&["machine-secret"]);

    let fails = |body: &str, words: &[&str]| {
        stack.write("answer.sh", &script(body));
        stack.run(&["plan"]).must(1).says(words).says(&["main.yaml:4:"]);
    };
    fails("echo no luck >&2; exit 3", &["exit status: 3", "no luck"]);
    fails("echo '{\"a\": 1}'", &["\"a\" is a number"]);
    fails("echo '[]'", &["no object"]);
    stack.write("main.yaml", &EXTERNAL.replace("sh, ./answer.sh", "no-such-program"));
    stack.run(&["plan"]).must(1).says(&["can't be started"]);
}

/// Answers each connection with the next of these, then repeats the last; tells what was asked.
fn serve(answers: &'static [&'static str]) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (i, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
            let mut request = String::new();
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().expect("a number");
                }
                request.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            request.push_str(&String::from_utf8_lossy(&body));
            let _ = sender.send(request);
            let _ = stream.write_all(answers[i.min(answers.len() - 1)].as_bytes());
        }
    });
    (address, asked)
}

const GOOD: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Two: a\r\nX-Two: b\r\nConnection: close\r\n\r\nhello";
const ILL: &str = "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const AWAY: &str =
    "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn asking(address: &str, body: &str) -> Stack {
    let spec = format!(
        "data:\n  http: {{ it: {{ url: \"{address}/p\"{body} }} }}\n\
         output:\n  it: {{ value: \"${{data.http.it}}\", sensitive: true }}\n"
    );
    Stack::new().file("main.yaml", &spec)
}

#[test]
fn an_address_answers() {
    let (address, asked) = serve(&[GOOD]);
    let body =
        ", method: POST, request_body: payload, request_headers: { X-Me: groma }, request_timeout_ms: 5000";
    let stack = asking(&address, body);
    stack.ok(APPLY);
    let request = asked.recv().expect("a request");
    assert!(request.starts_with("POST /p HTTP/1.1\r\n") && request.ends_with("payload"), "{request}");
    assert!(request.to_lowercase().contains("x-me: groma"), "{request}");
    let it = stack.output("it");
    assert_eq!(
        (&it["status_code"], &it["response_body"], &it["response_body_base64"]),
        (&json!(200), &json!("hello"), &json!("aGVsbG8="))
    );
    assert_eq!(it["response_headers"]["X-Two"], "a, b");
    // It is on this machine, so that the sandbox may ask it too.
    asking(&address, "").ok(&["plan", "-sandbox"]);
}

#[test]
fn an_ill_server_is_asked_again_and_any_status_is_an_answer() {
    let (address, asked) = serve(&[ILL, ILL, GOOD]);
    let stack = asking(&address, ", retry: { attempts: 2, min_delay_ms: 1 }");
    stack.ok(APPLY);
    assert_eq!((stack.output("it")["status_code"].clone(), asked.try_iter().count()), (json!(200), 3));
    let (address, _asked) = serve(&[ILL]);
    let stack = asking(&address, "");
    stack.ok(APPLY);
    assert_eq!(stack.output("it")["status_code"], 503);
}

#[test]
fn an_address_that_may_not_be_asked_is_refused() {
    let check = |address: &str, body: &str, args: &[&str], words: &[&str]| {
        asking(address, body).run(args).must(1).says(words).says(&["main.yaml:2:"]);
    };
    check("http://example.com", "", &["plan"], &["plain http", "Use https"]);
    check("https://192.0.2.1", "", &["plan", "-sandbox"], &["not an address of the sandbox"]);
    check("https://example.com", "", &["plan", "-sandbox"], &["not an address of the sandbox"]);
    check("https://example.com", ", insecure: true", &["plan"], &["TLS is always verified", "ca_cert_pem"]);
    check("https://example.com", ", method: PUT", &["plan"], &["one of GET, POST, HEAD"]);
    check("https://example.com", ", ca_cert_pem: x", &["plan"], &["ca_cert_pem can't be used"]);
    let (address, _asked) = serve(&[AWAY]);
    check(&address, "", &["plan"], &["plain http"]);
}

const READER: &str = r#"
data:
  terraform_remote_state:
    it: { backend: local, config: { path: "PATH" }, defaults: { missing: default, name: unused } }
output:
  name: { value: "${data.terraform_remote_state.it.outputs.name}" }
  missing: { value: "${data.terraform_remote_state.it.outputs.missing}" }
  secret: { value: "${data.terraform_remote_state.it.outputs.secret}", sensitive: true }
"#;

#[test]
fn the_outputs_of_terraforms_state_are_read() {
    let state = json!({"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "x", "outputs": {
        "name": {"value": "vpc", "type": "string"},
        "secret": {"value": ["hidden-word"], "type": ["list", "string"], "sensitive": true},
    }, "resources": []});
    let stack = Stack::new().file("main.yaml", &READER.replace("PATH", "net.tfstate"));
    stack.run(&["plan"]).must(1).says(&["found nothing"]);
    stack.write("net.tfstate", &state.to_string());
    stack.settle().says_not(&["hidden-word"]);
    assert_eq!((stack.text("name"), stack.text("missing")), ("vpc".into(), "default".into()));
    assert_eq!(stack.output("secret"), json!(["hidden-word"]));
    let open = READER.replace("PATH", "net.tfstate").replace(", sensitive: true", "");
    stack.write("main.yaml", &open);
    stack.run(&["plan"]).must(1).says(&["G1066"]);
    for (text, words) in
        [("{}", "no state file"), ("{\"version\": 3}", "version is 3"), ("x", "can't be read")]
    {
        stack.write("net.tfstate", text);
        stack.run(&["plan"]).must(1).says(&[words]);
    }
    let object_store = READER.replace("backend: local", "backend: s3");
    stack.write("main.yaml", &object_store);
    stack.run(&["plan"]).must(1).says(&["only local", "state pull"]);
}

#[test]
fn the_outputs_of_a_stack_of_ours_are_read() {
    let stack = Stack::new().file("main.yaml", &READER.replace("PATH", "net"));
    stack.write(
        "net/main.yaml",
        "output:\n  name: { value: vpc }\n  secret: { value: hidden-word, sensitive: true }\n",
    );
    stack.run(&["plan"]).must(1).says(&["found nothing"]);
    stack.ok(&["apply", "-auto-approve", "net"]);
    stack.settle().says_not(&["hidden-word"]);
    assert_eq!((stack.text("name"), stack.output("secret")), ("vpc".into(), json!("hidden-word")));
    // What was applied in the sandbox is another world's.
    stack.run(&["plan", "-sandbox"]).must(1).says(&["found nothing"]);
}
