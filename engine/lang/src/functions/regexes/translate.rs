//! Go's syntax of regular expressions, rewritten for the `regex` crate.
//!
//! Classes and escapes are read here and written out by code points, so that what only one of the two knows (set
//! operations in a class, octal escapes, long names of properties, flags) can't mean another thing than it says.

use regex::Regex;

/// Times that a repetition may count to, with all that it stands in.
const REPEAT_MAX: u32 = 1000;
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// A pattern for the crate, and the name of each of its groups.
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) names: Vec<Option<String>>,
}

pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut reader =
        Reader { rest: pattern, out: String::new(), names: Vec::new(), groups: Vec::new(), atom: 1 };
    reader.run()?;
    Ok(Translated { pattern: reader.out, names: reader.names })
}

struct Reader<'a> {
    rest: &'a str,
    out: String,
    names: Vec<Option<String>>,
    /// How often what is in each open group is repeated at most.
    groups: Vec<u32>,
    /// The same of what was read last.
    atom: u32,
}

impl Reader<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut repeated = false;
        while let Some(c) = self.rest.chars().next() {
            if let Some(operator) = self.repetition() {
                if repeated {
                    return Err(format!("invalid nested repetition operator `{operator}`"));
                }
                self.repeat(operator)?;
                repeated = true;
                continue;
            }
            repeated = false;
            self.keep_atom();
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    self.take(1);
                    self.out.push(')');
                    self.atom = self.groups.pop().unwrap_or(1);
                }
                '{' => {
                    self.take(1);
                    self.out.push_str(r"\{");
                }
                c => {
                    self.take(c.len_utf8());
                    self.out.push(c);
                }
            }
        }
        self.keep_atom();
        Ok(())
    }

    fn take(&mut self, len: usize) -> &str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    /// The repetition that begins here, without a `?` that makes it lazy.
    fn repetition(&self) -> Option<&'static str> {
        match self.rest.as_bytes().first()? {
            b'*' => Some("*"),
            b'+' => Some("+"),
            b'?' => Some("?"),
            b'{' if count(self.rest).is_some() => Some("{"),
            _ => None,
        }
    }

    fn repeat(&mut self, operator: &str) -> Result<(), String> {
        let mut len = 1;
        if operator == "{"
            && let Some((end, most)) = count(self.rest)
        {
            len = end;
            self.atom = self.atom.saturating_mul(most.max(1));
            if most > REPEAT_MAX || self.atom > REPEAT_MAX {
                return Err(format!("invalid repeat count `{}`", &self.rest[..len]));
            }
        }
        len += usize::from(self.rest[len..].starts_with('?'));
        let written = self.take(len).to_string();
        self.out.push_str(&written);
        Ok(())
    }

    fn keep_atom(&mut self) {
        if let Some(group) = self.groups.last_mut() {
            *group = (*group).max(self.atom);
        }
        self.atom = 1;
    }

    fn group(&mut self) -> Result<(), String> {
        let name = self.rest.strip_prefix("(?P<").or_else(|| self.rest.strip_prefix("(?<"));
        if let Some(after) = name
            && !after.starts_with(['=', '!'])
        {
            return self.named_group(self.rest.len() - after.len());
        }
        if let Some(flags) = self.rest.strip_prefix("(?") {
            return self.flags(flags.to_string().as_str());
        }
        self.take(1);
        self.out.push('(');
        self.names.push(None);
        self.groups.push(1);
        Ok(())
    }

    fn named_group(&mut self, start: usize) -> Result<(), String> {
        let end = self.rest[start..].find('>').ok_or("invalid named capture")?;
        let name = self.rest[start..start + end].to_string();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("invalid named capture `{}`", &self.rest[..=start + end]));
        }
        self.take(start + end + 1);
        // The crate knows no name twice and none that begins with a digit: these groups go by their numbers.
        let known = self.names.iter().flatten().any(|n| *n == name);
        if known || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.out.push('(');
        } else {
            self.out.push_str(&format!("(?P<{name}>"));
        }
        self.names.push(Some(name));
        self.groups.push(1);
        Ok(())
    }

    /// `(?flags)` and `(?flags:`.
    fn flags(&mut self, after: &str) -> Result<(), String> {
        let end = after.find([':', ')']).ok_or("missing argument to `(?`")?;
        let bad = || Err(format!("invalid or unsupported Perl syntax `(?{}`", &after[..end]));
        let (on, off) = after[..end].split_once('-').unwrap_or((&after[..end], ""));
        let negated = after[..end].contains('-');
        if !on.chars().chain(off.chars()).all(|c| "imsU".contains(c)) || (negated && off.is_empty()) {
            return bad();
        }
        let once = |flags: &str| -> String { "imsU".chars().filter(|c| flags.contains(*c)).collect() };
        // A flag that is set and unset is unset.
        let off = once(off);
        let on: String = once(on).chars().filter(|c| !off.contains(*c)).collect();
        let flags = if off.is_empty() { on } else { format!("{on}-{off}") };
        let scoped = after[end..].starts_with(':');
        self.take(2 + end + 1);
        match (scoped, flags.is_empty()) {
            (true, _) => self.out.push_str(&format!("(?{flags}:")),
            (false, false) => self.out.push_str(&format!("(?{flags})")),
            (false, true) => {}
        }
        if scoped {
            self.groups.push(1);
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        if let Some(quoted) = self.rest.strip_prefix(r"\Q") {
            let len = quoted.find(r"\E").unwrap_or(quoted.len());
            self.out.push_str(&regex::escape(&quoted[..len]));
            self.take((len + 4).min(self.rest.len()));
            return Ok(());
        }
        let next = self.rest[1..].chars().next();
        if let Some(set) = self.set()? {
            self.out.push_str(&format!("[{set}]"));
        } else if let Some(c @ ('b' | 'B')) = next {
            self.take(2);
            self.out.push_str(&format!(r"(?-u:\{c})"));
        } else if let Some(c @ ('A' | 'z')) = next {
            self.take(2);
            self.out.push_str(&format!("\\{c}"));
        } else {
            let c = self.escaped()?;
            self.out.push_str(&code(c));
        }
        Ok(())
    }

    /// `\d`, `\pL` and the like, as members of a class.
    fn set(&mut self) -> Result<Option<String>, String> {
        let Some(c) = self.rest.strip_prefix('\\').and_then(|r| r.chars().next()) else { return Ok(None) };
        let members = match c.to_ascii_lowercase() {
            'd' => "0-9",
            'w' => "0-9A-Za-z_",
            's' => r"\t\n\f\r ",
            'p' => return self.property().map(Some),
            _ => return Ok(None),
        };
        self.take(2);
        Ok(Some(if c.is_ascii_uppercase() { format!("[^{members}]") } else { members.to_string() }))
    }

    fn property(&mut self) -> Result<String, String> {
        let outside = self.rest.starts_with(r"\P");
        let rest = &self.rest[2..];
        let (name, len) = match rest.strip_prefix('{') {
            Some(braced) => {
                let end = braced.find('}').ok_or("invalid character class range")?;
                (&braced[..end], end + 2)
            }
            None => {
                let len = rest.chars().next().map_or(0, char::len_utf8);
                (&rest[..len], len)
            }
        };
        let negated = name.starts_with('^');
        let name = name.trim_start_matches('^');
        // Go knows categories by their short names and scripts by their long ones.
        let words = name.split('_').all(|w| w.starts_with(|c: char| c.is_ascii_uppercase()));
        let is = |kind: &str| Regex::new(&format!(r"\p{{{kind}={name}}}")).is_ok();
        let letters = name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let known = name == "Any"
            || words && letters && if name.len() <= 2 { is("gc") } else { name.len() > 2 && is("Script") };
        if !known {
            return Err(format!("invalid character class range `{}`", &self.rest[..2 + len]));
        }
        let written = format!(r"\{}{{{name}}}", if outside == negated { 'p' } else { 'P' });
        self.take(2 + len);
        Ok(written)
    }

    /// An escape that stands for one character.
    fn escaped(&mut self) -> Result<char, String> {
        let Some(c) = self.rest[1..].chars().next() else { return Err("trailing backslash".into()) };
        let bad = format!("invalid escape sequence `\\{c}`");
        let simple = match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => return self.hexadecimal().ok_or(bad),
            '0'..='7' => {
                let digits = self.rest[1..].bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                // One digit that is not zero would be a reference back.
                if c != '0' && digits < 2 {
                    return Err(bad);
                }
                let value = u32::from_str_radix(&self.rest[1..=digits], 8).ok().and_then(char::from_u32);
                self.take(1 + digits);
                return value.ok_or(bad);
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            _ => return Err(bad),
        };
        self.take(2);
        Ok(simple)
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let rest = &self.rest[2..];
        let (digits, len) = match rest.strip_prefix('{') {
            Some(braced) => {
                let end = braced.find('}')?;
                (&braced[..end], end + 2)
            }
            None => (rest.get(..2)?, 2),
        };
        let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let value = hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten().and_then(char::from_u32)?;
        self.take(2 + len);
        Some(value)
    }

    fn class(&mut self) -> Result<(), String> {
        let whole = self.rest;
        let missing = || format!("missing closing ] in `{whole}`");
        let negated = self.rest.starts_with("[^");
        self.take(1 + usize::from(negated));
        self.out.push_str(if negated { "[^" } else { "[" });
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.is_empty() {
                return Err(missing());
            }
            let member = match self.posix()? {
                Some(named) => named,
                None => match self.set()? {
                    Some(set) => set,
                    None => self.range().map_err(|why| if why.is_empty() { missing() } else { why })?,
                },
            };
            self.out.push_str(&member);
        }
        self.take(1);
        self.out.push(']');
        Ok(())
    }

    /// `[:alpha:]`
    fn posix(&mut self) -> Result<Option<String>, String> {
        let Some(named) = self.rest.strip_prefix("[:") else { return Ok(None) };
        let Some(end) = named.find(":]") else { return Ok(None) };
        let written = self.take(end + 4).to_string();
        let name = named[..end].trim_start_matches('^');
        if POSIX.contains(&name) {
            Ok(Some(written))
        } else {
            Err(format!("invalid character class range `{written}`"))
        }
    }

    /// A member of a class, or two with a hyphen between them.
    fn range(&mut self) -> Result<String, String> {
        let before = self.rest;
        let low = self.member()?;
        if !self.rest.starts_with('-') || self.rest.starts_with("-]") {
            return Ok(code(low));
        }
        self.take(1);
        let high = self.member()?;
        if high < low {
            let written = &before[..before.len() - self.rest.len()];
            return Err(format!("invalid character class range `{written}`"));
        }
        Ok(format!("{}-{}", code(low), code(high)))
    }

    /// One character of a class; an empty error says that the text ends here.
    fn member(&mut self) -> Result<char, String> {
        match self.rest.chars().next() {
            Some('\\') => self.escaped(),
            Some(c) => {
                self.take(c.len_utf8());
                Ok(c)
            }
            None => Err(String::new()),
        }
    }
}

fn code(c: char) -> String {
    format!(r"\x{{{:x}}}", u32::from(c))
}

/// The length of a count such as `{2,5}`, and the largest number in it.
fn count(rest: &str) -> Option<(usize, u32)> {
    let end = rest.find('}')?;
    let (low, high) = rest[1..end].split_once(',').unwrap_or((&rest[1..end], ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if low.is_empty() || !digits(low) || !digits(high) {
        return None;
    }
    let number = |s: &str| if s.is_empty() { 0 } else { s.parse().unwrap_or(u32::MAX) };
    Some((end + 1, number(low).max(number(high))))
}
