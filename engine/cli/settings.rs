//! What the command takes from its environment. The only file that reads environment variables.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The environment as it was at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Every variable, for providers outside of sandbox mode.
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) stdout_is_terminal: bool,
    pub(crate) stderr_is_terminal: bool,
    pub(crate) stdin_is_terminal: bool,
    pub(crate) cwd: PathBuf,
    /// The running binary, to start the sandbox from.
    pub(crate) program: PathBuf,
}

impl Settings {
    pub(crate) fn read() -> Settings {
        Settings {
            vars: std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("groma")),
        }
    }

    /// The command line as it was given; text that is no Unicode is replaced.
    pub(crate) fn command_line() -> Vec<String> {
        std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect()
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| !matches!(v, "0" | "false" | "no"))
    }

    /// `NO_COLOR` and `TERM=dumb` turn colours off everywhere.
    pub(crate) fn colour_allowed(&self) -> bool {
        self.get("NO_COLOR").is_none() && self.get("TERM") != Some("dumb")
    }

    pub(crate) fn sandbox(&self) -> bool {
        self.is_on("GROMA_SANDBOX")
    }

    pub(crate) fn sandbox_speed(&self) -> Option<&str> {
        self.get("GROMA_SANDBOX_SPEED")
    }

    /// Whether questions may be asked: a person is there and nothing says otherwise.
    pub(crate) fn may_ask(&self) -> bool {
        let input_off = matches!(self.get("TF_INPUT"), Some("0" | "false"));
        self.stdin_is_terminal && self.stdout_is_terminal && !self.is_ci() && !input_off
    }

    pub(crate) fn workspace(&self) -> &str {
        self.get("TF_WORKSPACE").unwrap_or("default")
    }

    /// Extra arguments of `TF_CLI_ARGS` and `TF_CLI_ARGS_<command>`.
    pub(crate) fn extra_args(&self, command: &str) -> Vec<String> {
        let of = |name: &str| self.get(name).map(split_words).unwrap_or_default();
        let specific = format!("TF_CLI_ARGS_{}", command.replace('-', "_"));
        of("TF_CLI_ARGS").into_iter().chain(of(&specific)).collect()
    }

    /// The folder of fetched modules: `GROMA_CACHE_DIR`, else in the user's cache folder.
    pub(crate) fn cache_dir(&self) -> Option<PathBuf> {
        let dir = match (self.get("GROMA_CACHE_DIR"), self.get("XDG_CACHE_HOME")) {
            (Some(dir), _) => PathBuf::from(dir),
            (None, Some(dir)) => PathBuf::from(dir).join("groma"),
            (None, None) => PathBuf::from(self.get("HOME")?).join(".cache/groma"),
        };
        Some(self.cwd.join(dir))
    }

    /// Whether a build runs it: nothing is pinned then that nobody saw.
    pub(crate) fn is_ci(&self) -> bool {
        self.is_on("CI")
    }

    /// The folder of the keys that seal sensitive values: in the user's data folder, outside of any stack.
    pub(crate) fn key_dir(&self) -> Option<PathBuf> {
        let data = match self.get("XDG_DATA_HOME") {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(self.get("HOME")?).join(".local/share"),
        };
        Some(data.join("groma").join("keys"))
    }
}

/// Splits a text into words as a shell would: blanks separate, quotes and backslashes keep.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::split_words;

    #[test]
    fn words_split_as_in_a_shell() {
        let check = |text: &str, words: &[&str]| assert_eq!(split_words(text), words, "{text}");
        check("", &[]);
        check("-no-color  -var a=b", &["-no-color", "-var", "a=b"]);
        check("-var 'a=b c' \"d e\"", &["-var", "a=b c", "d e"]);
        check(r#"-var "a=\"x\"" ''"#, &["-var", "a=\"x\"", ""]);
    }
}
