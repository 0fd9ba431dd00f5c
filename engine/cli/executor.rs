//! Commands of provisioners, as processes of this machine.
//!
//! A command leads a process group of its own, so that what it has started goes with it when it is let go of.

use groma_engine::facade::{Command, Executor, Tell};
use groma_provider::async_trait;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;

/// What of a line is kept; the rest is cut.
const LINE_MAX: usize = 64 * 1024;

pub(crate) struct RealExecutor {
    /// The folder that the command works in.
    pub(crate) folder: PathBuf,
    /// All variables that commands get; `None`: those of this process.
    pub(crate) vars: Option<BTreeMap<String, String>>,
}

#[async_trait]
impl Executor for RealExecutor {
    fn shell(&self) -> Vec<String> {
        let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["/bin/sh", "-c"] };
        shell.map(String::from).to_vec()
    }

    async fn run(&self, command: &Command, line: &Tell<'_>) -> Result<(), String> {
        let mut group = Group(self.start(command)?);
        let (out, err) = (group.0.stdout.take(), group.0.stderr.take());
        // A process that the command leaves behind may hold its output open: the command's own end counts.
        let reading = async { tokio::join!(lines(out, line), lines(err, line)) };
        let status = {
            tokio::pin!(reading);
            let ended = tokio::select! {
                ended = group.0.wait() => Some(ended),
                _ = &mut reading => None,
            };
            match ended {
                None => group.0.wait().await,
                Some(ended) => {
                    let rest = std::time::Duration::from_millis(500);
                    let _ = tokio::time::timeout(rest, reading).await;
                    ended
                }
            }
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(format!("it was lost: {error}")),
        }
    }
}

impl RealExecutor {
    fn start(&self, command: &Command) -> Result<Child, String> {
        let (program, args) = command.argv.split_first().ok_or("no program is named")?;
        let folder = command.folder.as_ref().map_or_else(|| self.folder.clone(), |f| self.folder.join(f));
        let mut process = tokio::process::Command::new(program);
        process.args(args).current_dir(&folder);
        if let Some(vars) = &self.vars {
            process.env_clear().envs(vars);
        }
        process.envs(&command.environment).kill_on_drop(true);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        process.process_group(0);
        process.spawn().map_err(|e| {
            let place = if folder.is_dir() { "" } else { ", its working_dir is no folder" };
            format!("{program:?} can't be started{place}: {e}")
        })
    }
}

/// A process with all that it has started; killed when it is let go of before its end.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // The id is gone once its end was seen.
        #[cfg(unix)]
        if let Some(id) =
            self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // A group that is gone needs no signal.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

/// Hands on a stream line by line. What is cut of a line is never kept.
async fn lines(stream: Option<impl AsyncRead + Unpin>, line: &Tell<'_>) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut kept = Vec::new();
    let tell = |kept: &mut Vec<u8>| {
        line(String::from_utf8_lossy(kept).trim_end_matches('\r'));
        kept.clear();
    };
    // A line has begun: it counts, even when nothing of it is kept and the stream ends.
    let mut is_open = false;
    while let Ok(read @ [_, ..]) = reader.fill_buf().await {
        let end = read.iter().position(|b| *b == b'\n');
        let part = &read[..end.unwrap_or(read.len())];
        kept.extend_from_slice(&part[..part.len().min(LINE_MAX - kept.len())]);
        is_open = end.is_none();
        if !is_open {
            tell(&mut kept);
        }
        let used = end.map_or(read.len(), |end| end + 1);
        reader.consume(used);
    }
    if is_open {
        tell(&mut kept);
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Executor, LINE_MAX, RealExecutor, lines};
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::Mutex;

    #[tokio::test]
    async fn a_command_gets_what_it_is_given_and_gives_its_lines() {
        let vars = BTreeMap::from([("PATH".to_string(), "/usr/bin:/bin".to_string())]);
        let executor = RealExecutor { folder: PathBuf::from("/"), vars: Some(vars) };
        let check = async |text: &str, expected: Result<(), &str>, said: &[&str]| {
            let mut argv = executor.shell();
            argv.push(text.into());
            let environment = BTreeMap::from([("NAME".to_string(), "v $x".to_string())]);
            let command = Command { argv, environment, folder: Some("usr".into()) };
            let heard = Mutex::new(Vec::new());
            let ended = executor.run(&command, &|l| heard.lock().unwrap().push(l.to_string())).await;
            assert_eq!(ended, expected.map_err(String::from), "{text}");
            assert_eq!(heard.into_inner().unwrap(), said, "{text}");
        };
        check("echo \"$NAME\"; pwd; echo \"[$HOME]\"", Ok(()), &["v $x", "/usr", "[]"]).await;
        check("echo no >&2; exit 3", Err("exit status: 3"), &["no"]).await;
        // What it leaves running does not keep its end from being seen.
        check("sleep 60 & echo on", Ok(()), &["on"]).await;
    }

    #[tokio::test]
    async fn of_a_line_without_end_no_more_is_kept_than_is_shown() {
        let long = "x".repeat(LINE_MAX + 9);
        let text = format!("a\r\n\n{long}\nb\n{long}{long}");
        let heard = Mutex::new(Vec::new());
        lines(Some(text.as_bytes()), &|l| heard.lock().unwrap().push(l.to_string())).await;
        let cut = &long[..LINE_MAX];
        assert_eq!(heard.into_inner().unwrap(), ["a", "", cut, "b", cut]);
        // However long a line goes on, no more is held of it.
        let endless = tokio::io::AsyncReadExt::take(tokio::io::repeat(b'x'), 1 << 24);
        let heard = Mutex::new(Vec::new());
        lines(Some(endless), &|l| heard.lock().unwrap().push(l.len())).await;
        assert_eq!(heard.into_inner().unwrap(), [LINE_MAX]);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told() {
        let executor = RealExecutor { folder: PathBuf::from("/"), vars: None };
        let command = Command { argv: vec!["/no/such".into()], environment: BTreeMap::new(), folder: None };
        let error = executor.run(&command, &|_| {}).await.unwrap_err();
        assert!(error.contains("can't be started"), "{error}");
    }
}
