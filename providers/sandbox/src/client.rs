//! How a command starts, joins, asks and stops a folder's sandbox. All calls block for milliseconds.

use crate::clock::ClockReading;
use crate::server::{Error, ServeOptions};
use crate::store::{make_folder, private_file};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(15);

/// A sandbox that answers.
#[derive(Clone)]
pub struct Running {
    /// The address of the cloud APIs, for every service.
    pub base_url: String,
    /// The word that opens the sandbox's own API; never log it.
    pub admin_token: String,
    /// The process.
    pub pid: u32,
    port: u16,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("base_url", &self.base_url)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// Joins the folder's sandbox, or starts `exe sandbox serve --folder FOLDER` in a session of its own.
///
/// The command gets `--speed`, `--idle` (in seconds), `--seed` and `--fault`, from the options. A
/// sandbox that runs already keeps its speed; the options' faults are added to it.
pub fn ensure_running(folder: &Path, exe: &Path, options: &ServeOptions) -> Result<Running, Error> {
    if let Some(running) = status(folder) {
        for text in &options.faults {
            fault_seeded(folder, text, options.seed)?;
        }
        return Ok(running);
    }
    make_folder(folder).map_err(Error::io(format!("cannot make {}", folder.display())))?;
    let mut child = start(folder, exe, options)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(running) = status(folder) {
            return Ok(running);
        }
        // A process that lost the race for the lock ends at once; the winner answers soon.
        let ended = child.try_wait().ok().flatten().is_some_and(|status| !status.success());
        if Instant::now() > deadline || (ended && !locked(folder)) {
            return Err(Error::NoStart(last_lines(folder)));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn start(folder: &Path, exe: &Path, options: &ServeOptions) -> Result<Child, Error> {
    let log = private_file(&folder.join("serve.log"), true).map_err(Error::io("cannot open serve.log"))?;
    let errors = log.try_clone().map_err(Error::io("cannot open serve.log"))?;
    let mut command = Command::new(exe);
    command.args(["sandbox", "serve", "--folder"]).arg(folder);
    command.arg(format!("--speed={}", options.speed)).arg(format!("--idle={}", options.idle.as_secs()));
    command.arg(format!("--seed={}", options.seed));
    for text in &options.faults {
        command.arg(format!("--fault={text}"));
    }
    // A group of its own: the terminal's Ctrl-C ends the command, not the cloud.
    command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    command.spawn().map_err(Error::io(format!("cannot start {}", exe.display())))
}

fn locked(folder: &Path) -> bool {
    private_file(&folder.join("serve.lock"), false).is_ok_and(|file| file.try_lock().is_err())
}

fn last_lines(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("serve.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    if lines.is_empty() {
        "nothing".to_owned()
    } else {
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

/// The folder's sandbox, if one answers.
pub fn status(folder: &Path) -> Option<Running> {
    let text = std::fs::read_to_string(folder.join("world/serve.json")).ok()?;
    let address: Value = serde_json::from_str(&text).ok()?;
    let running = Running {
        base_url: address["base_url"].as_str()?.to_owned(),
        admin_token: address["token"].as_str()?.to_owned(),
        pid: u32::try_from(address["pid"].as_u64()?).ok()?,
        port: u16::try_from(address["port"].as_u64()?).ok()?,
    };
    // Another process may have the port of a dead one: only ours knows the token.
    call(&running, "GET", "clock", "").ok().map(|_| running)
}

/// Stops the folder's sandbox and waits for its end; false when none ran.
pub fn stop(folder: &Path) -> Result<bool, Error> {
    let Some(running) = status(folder) else { return Ok(false) };
    call(&running, "POST", "stop", "")?;
    let deadline = Instant::now() + PATIENCE;
    while locked(folder) {
        if Instant::now() > deadline {
            return Err(Error::Refused(format!("the sandbox (process {}) does not stop", running.pid)));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(true)
}

/// The simulated clock.
pub fn now(folder: &Path) -> Result<ClockReading, Error> {
    let read_at = Instant::now();
    let body = ask(folder, "GET", "clock", "")?;
    let field =
        |name: &str| body.get(name).ok_or_else(|| Error::Refused(format!("no `{name}` in the answer")));
    Ok(ClockReading {
        sim_millis: field("sim_millis")?.as_i64().unwrap_or(0),
        speed: field("speed")?.as_f64().unwrap_or(1.0),
        read_at: read_at + read_at.elapsed() / 2,
    })
}

/// Adds a fault, such as `eks.CreateCluster: throttle 3x`.
pub fn fault(folder: &Path, text: &str) -> Result<(), Error> {
    fault_seeded(folder, text, 0)
}

/// Adds a fault that draws from a seed, such as `iam.*: 5xx 20%`.
pub fn fault_seeded(folder: &Path, text: &str, seed: u64) -> Result<(), Error> {
    ask(folder, "POST", &format!("faults?seed={seed}"), text).map(drop)
}

/// Takes all faults back.
pub fn clear_faults(folder: &Path) -> Result<(), Error> {
    ask(folder, "DELETE", "faults", "").map(drop)
}

/// All objects of the world by key, without keys and sessions.
pub fn world(folder: &Path) -> Result<Value, Error> {
    ask(folder, "GET", "world", "")
}

/// Empties the world; with no sandbox running, its files go.
pub fn reset(folder: &Path) -> Result<(), Error> {
    if status(folder).is_some() {
        return ask(folder, "POST", "reset", "").map(drop);
    }
    if locked(folder) {
        return Err(Error::Locked(folder.to_owned()));
    }
    match std::fs::remove_dir_all(folder.join("world")) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { what: "cannot remove the world".into(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn ask(folder: &Path, method: &str, path: &str, body: &str) -> Result<Value, Error> {
    let running = status(folder).ok_or_else(|| Error::NotRunning(folder.to_owned()))?;
    call(&running, method, path, body)
}

fn call(running: &Running, method: &str, path: &str, body: &str) -> Result<Value, Error> {
    let (status, text) =
        exchange(running, method, path, body).map_err(Error::io("cannot ask the sandbox"))?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    if status == 200 {
        return Ok(answer);
    }
    Err(Error::Refused(answer["message"].as_str().unwrap_or("the sandbox refuses").to_owned()))
}

/// One exchange in HTTP/1.1's simplest form: the sandbox answers with a length and closes.
fn exchange(running: &Running, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], running.port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let head = format!(
        "{method} /_sandbox/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        running.admin_token,
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, body.to_owned()))
}
