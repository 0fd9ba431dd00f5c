//! Tokens of the expression language.
//!
//! The parser asks for one token at a time from a byte offset: whether a quote opens a string or a brace
//! closes an interpolation is known to the parser alone, so there are no modes here.

/// What a token is. Texts of names and numbers are read from the source by the range of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tok {
    Ident,
    Number,
    Quote,
    /// `<<NAME` or `<<-NAME` up to and with the line break.
    Heredoc,
    Newline,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    /// `~}`: ends an interpolation and eats the white space after it.
    CloseStrip,
    Dot,
    Comma,
    Colon,
    DoubleColon,
    Question,
    Ellipsis,
    Assign,
    Arrow,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Not,
    /// One of `& | ^ ~`: operators that the language does not have.
    Bitwise,
    /// `/*` without an end.
    OpenComment,
    Invalid,
    End,
}

/// A token and its range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) tok: Tok,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) fn is_ident_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub(crate) fn is_ident_part(c: char) -> bool {
    c == '-' || c == '_' || c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c)
}

/// Whether a text is a name that can be written without quotes.
pub(crate) fn is_ident(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_ident_start) && chars.all(is_ident_part)
}

/// Returns the token at `at` or after the blanks and comments there.
pub(crate) fn token(text: &str, at: usize) -> Token {
    let start = skip_blank(text, at);
    let rest = &text[start..];
    let done = |tok, len: usize| Token { tok, start, end: start + len };
    let Some(first) = rest.chars().next() else { return done(Tok::End, 0) };
    if is_ident_start(first) {
        return done(Tok::Ident, rest.find(|c| !is_ident_part(c)).unwrap_or(rest.len()));
    }
    if first.is_ascii_digit() {
        return done(Tok::Number, number_len(rest));
    }
    if let Some(len) = heredoc_len(rest) {
        return done(Tok::Heredoc, len);
    }
    for (word, tok) in LONG {
        if rest.starts_with(word) {
            return done(*tok, word.len());
        }
    }
    done(single(first), first.len_utf8())
}

const LONG: &[(&str, Tok)] = &[
    // A comment that is closed was skipped.
    ("/*", Tok::OpenComment),
    ("...", Tok::Ellipsis),
    ("==", Tok::Equal),
    ("!=", Tok::NotEqual),
    ("<=", Tok::LessEqual),
    (">=", Tok::GreaterEqual),
    ("&&", Tok::And),
    ("||", Tok::Or),
    ("::", Tok::DoubleColon),
    ("=>", Tok::Arrow),
    ("~}", Tok::CloseStrip),
    ("\r\n", Tok::Newline),
];

fn single(first: char) -> Tok {
    match first {
        '\n' => Tok::Newline,
        '"' => Tok::Quote,
        '(' => Tok::OpenParen,
        ')' => Tok::CloseParen,
        '[' => Tok::OpenBracket,
        ']' => Tok::CloseBracket,
        '{' => Tok::OpenBrace,
        '}' => Tok::CloseBrace,
        '.' => Tok::Dot,
        ',' => Tok::Comma,
        ':' => Tok::Colon,
        '?' => Tok::Question,
        '=' => Tok::Assign,
        '+' => Tok::Plus,
        '-' => Tok::Minus,
        '*' => Tok::Star,
        '/' => Tok::Slash,
        '%' => Tok::Percent,
        '<' => Tok::Less,
        '>' => Tok::Greater,
        '!' => Tok::Not,
        '&' | '|' | '^' | '~' => Tok::Bitwise,
        _ => Tok::Invalid,
    }
}

/// Skips blanks and comments. The line break that ends a `#` comment stays, as a token; so does a comment without end.
fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        if rest.starts_with([' ', '\t']) {
            at += 1;
        } else if rest.starts_with('#') || rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if let Some(body) = rest.strip_prefix("/*") {
            match body.find("*/") {
                Some(end) => at += end + 4,
                None => return at,
            }
        } else {
            return at;
        }
    }
}

fn number_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |mut i: usize| {
        while bytes.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        i
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    end
}

fn heredoc_len(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("<<")?;
    let body = body.strip_prefix('-').unwrap_or(body);
    let line_end = body.find('\n')?;
    let name = body[..line_end].trim_end_matches('\r');
    is_ident(name).then_some(rest.len() - body.len() + line_end + 1)
}
