//! Templates: quoted strings, heredocs and bare template texts.
//!
//! A template is first cut into pieces (literals, interpolations, directives) where strip markers are
//! applied, then the directives are nested.

use super::{Parsed, Parser};
use crate::ast::{For, Id, Kind};
use crate::lexer::{Tok, Token};
use groma_types::{Diagnostic, Value};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// Where a template ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// At the closing quote; backslashes escape.
    Quote,
    /// At the end of the text.
    Text,
    /// Before this byte, where the closing marker of a heredoc stands.
    At(usize),
}

enum Piece {
    Literal { text: String, start: usize, end: usize },
    Interp(Id),
    If { condition: Id, start: usize },
    For { body: Box<For>, start: usize },
    Else(Token),
    EndIf(Token),
    EndFor(Token),
}

impl Parser<'_> {
    /// The whole text as a template.
    pub(super) fn bare_template(&mut self) -> Parsed<Id> {
        if !self.src.contains("${") && !self.src.contains("%{") {
            let text: String = self.src.nfc().collect();
            self.at = self.src.len();
            return Ok(self.add(Kind::Literal(Value::string(text)), 0));
        }
        self.template(0, Ends::Text)
    }

    pub(super) fn quoted(&mut self) -> Parsed<Id> {
        let open = self.read();
        self.template(open.start, Ends::Quote)
    }

    pub(super) fn heredoc(&mut self) -> Parsed<Id> {
        let open = self.read();
        let marker = self.slice(open).trim_start_matches('<');
        let flush = marker.starts_with('-');
        let marker = marker.trim_start_matches('-').trim_end();
        let mut line = self.at;
        loop {
            let end = self.src[line..].find('\n').map_or(self.src.len(), |n| line + n);
            if self.src[line..end].trim() == marker {
                return self.heredoc_body(open, line, end, flush);
            }
            if end == self.src.len() {
                return Err(self.fault(
                    open,
                    "Unterminated template string",
                    "No closing marker was found for the string.",
                ));
            }
            line = end + 1;
        }
    }

    fn heredoc_body(
        &mut self,
        open: Token,
        marker_line: usize,
        marker_end: usize,
        flush: bool,
    ) -> Parsed<Id> {
        let mut pieces = self.pieces(open.start, Ends::At(marker_line))?;
        if flush {
            flush_indent(&mut pieces);
        }
        self.at = marker_end;
        self.build(pieces, open.start)
    }

    fn template(&mut self, start: usize, ends: Ends) -> Parsed<Id> {
        let pieces = self.pieces(start, ends)?;
        self.build(pieces, start)
    }

    /// Cuts the template into pieces and applies the strip markers.
    fn pieces(&mut self, start: usize, ends: Ends) -> Parsed<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut strip = false;
        loop {
            let rest = &self.src[self.at..];
            let at_end = match ends {
                Ends::Quote => rest.starts_with('"'),
                Ends::Text => rest.is_empty(),
                Ends::At(end) => self.at >= end,
            };
            if at_end {
                self.at += usize::from(ends == Ends::Quote);
                return Ok(pieces);
            }
            if rest.starts_with("${") || rest.starts_with("%{") {
                if rest[2..].starts_with('~')
                    && let Some(Piece::Literal { text, .. }) = pieces.last_mut()
                {
                    text.truncate(text.trim_end().len());
                }
                let (piece, strips) = self.sequence(start, ends)?;
                pieces.push(piece);
                strip = strips;
            } else {
                let literal = self.literal(start, ends, std::mem::take(&mut strip))?;
                pieces.push(literal);
            }
        }
    }

    /// One run of literal text; outside quotes it ends with its line.
    fn literal(&mut self, open: usize, ends: Ends, strip: bool) -> Parsed<Piece> {
        let start = self.at;
        let stop = if let Ends::At(end) = ends { end } else { self.src.len() };
        let mut text = String::new();
        while self.at < stop {
            let rest = &self.src[self.at..];
            let Some(c) = rest.chars().next() else { break };
            if rest.starts_with("$${") || rest.starts_with("%%{") {
                text.push_str(&rest[1..3]);
                self.at += 3;
                continue;
            }
            if rest.starts_with("${") || rest.starts_with("%{") || (ends == Ends::Quote && c == '"') {
                break;
            }
            match (ends, c) {
                (Ends::Quote, '\\') => text.push_str(&self.escape()?),
                (Ends::Quote, '\n') => return Err(self.broken_line(open)),
                _ => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
            if c == '\n' && ends != Ends::Quote {
                break;
            }
        }
        if self.at >= self.src.len() && ends == Ends::Quote {
            return Err(self.unterminated(open));
        }
        let text = if strip { text.trim_start().to_string() } else { text };
        Ok(Piece::Literal { text, start, end: self.at })
    }

    fn unterminated(&self, open: usize) -> Box<Diagnostic> {
        Box::new(
            Diagnostic::error("G0102", "Unterminated template string")
                .detail("No closing marker was found for the string.")
                .at(self.text.span(open, open + 1), "opened here"),
        )
    }

    fn broken_line(&self, open: usize) -> Box<Diagnostic> {
        Box::new(
            Diagnostic::error("G0102", "Invalid multi-line string")
                .detail("Quoted strings may not be split over multiple lines.")
                .help("use \\n for a line break, or a heredoc")
                .at(self.text.span(open, self.at), "the line ends inside this string"),
        )
    }

    fn escape(&mut self) -> Parsed<String> {
        let rest = &self.src[self.at + 1..];
        let (decoded, len) = match rest.chars().next() {
            Some('n') => (Some('\n'), 1),
            Some('r') => (Some('\r'), 1),
            Some('t') => (Some('\t'), 1),
            Some('"') => (Some('"'), 1),
            Some('\\') => (Some('\\'), 1),
            Some('u') => (code_point(rest, 4), 5),
            Some('U') => (code_point(rest, 8), 9),
            other => (None, other.map_or(0, char::len_utf8)),
        };
        let Some(decoded) = decoded else {
            let end = (self.at + 1 + len).min(self.src.len());
            return Err(Box::new(
                Diagnostic::error("G0102", "Invalid escape sequence")
                    .detail("Allowed are \\n, \\r, \\t, \\\", \\\\, \\uNNNN and \\UNNNNNNNN.")
                    .help("write \\\\ for a backslash")
                    .at(self.text.span(self.at, end), "not an escape"),
            ));
        };
        self.at += 1 + len;
        Ok(decoded.to_string())
    }

    /// `${…}` or `%{…}`; also says whether it ends with a strip marker.
    fn sequence(&mut self, open: usize, ends: Ends) -> Parsed<(Piece, bool)> {
        let start = self.at;
        let directive = self.src[start..].starts_with('%');
        self.at += 2;
        if self.src[self.at..].starts_with('~') && !self.src[self.at..].starts_with("~}") {
            self.at += 1;
        }
        let outer = std::mem::replace(&mut self.newlines, false);
        let piece = self.nested(start, |p| {
            if directive { p.directive(start) } else { p.expression().map(Piece::Interp) }
        })?;
        let next = self.peek();
        if !matches!(next.tok, Tok::CloseBrace | Tok::CloseStrip) {
            return Err(self.unclosed(next, open, start, ends, directive));
        }
        self.read();
        self.newlines = outer;
        let piece = match piece {
            Piece::Else(t) => Piece::Else(Token { end: self.at, ..t }),
            Piece::EndIf(t) => Piece::EndIf(Token { end: self.at, ..t }),
            Piece::EndFor(t) => Piece::EndFor(Token { end: self.at, ..t }),
            other => other,
        };
        Ok((piece, next.tok == Tok::CloseStrip))
    }

    fn unclosed(
        &self,
        next: Token,
        open: usize,
        start: usize,
        ends: Ends,
        directive: bool,
    ) -> Box<Diagnostic> {
        if directive {
            let summary = match self.slice(crate::lexer::token(self.src, start + 2)) {
                "for" => "Extra characters in for marker",
                "else" => "Extra characters in else marker",
                "endif" => "Extra characters in endif marker",
                "endfor" => "Extra characters in endfor marker",
                _ => "Extra characters in template directive",
            };
            return self.fault(
                next,
                summary,
                "Expected a closing brace (\"}\") to mark the end of the template directive.",
            );
        }
        let ended = next.tok == Tok::End || (next.tok == Tok::Quote && ends == Ends::Quote);
        if ended {
            let _ = open;
            return Box::new(
                Diagnostic::error("G0102", "Unclosed template interpolation sequence")
                    .detail("There is no closing brace for this interpolation sequence.")
                    .help("close it with `}`; for a literal ${ write $${")
                    .at(self.text.span(start, start + 2), "opened here"),
            );
        }
        self.fault(
            next,
            "Extra characters after interpolation expression",
            "Expected a closing brace to end the interpolation expression, but found extra characters. \
             A sequence that is meant for another language, such as a shell, is escaped by writing $${ for ${.",
        )
    }

    fn directive(&mut self, start: usize) -> Parsed<Piece> {
        let word = self.peek();
        if word.tok != Tok::Ident {
            return Err(self.bad_directive(word));
        }
        self.read();
        let whole = Token { start, ..word };
        match self.slice(word) {
            "if" => Ok(Piece::If { condition: self.expression()?, start }),
            "for" => {
                let (key_var, value_var, source) = self.for_intro("Invalid 'for' directive")?;
                let body =
                    For { key_var, value_var, source, key: None, value: 0, condition: None, group: false };
                Ok(Piece::For { body: Box::new(body), start })
            }
            "else" => Ok(Piece::Else(whole)),
            "endif" => Ok(Piece::EndIf(whole)),
            "endfor" => Ok(Piece::EndFor(whole)),
            _ => Err(self.bad_directive(word)),
        }
    }

    fn bad_directive(&self, word: Token) -> Box<Diagnostic> {
        Box::new(
            Diagnostic::error(
                "G0102",
                if word.tok == Tok::Ident {
                    "Invalid template control keyword"
                } else {
                    "Invalid template directive"
                },
            )
            .detail("A directive begins with one of the words if, else, endif, for, endfor.")
            .help("for a literal %{ write %%{")
            .at(self.span_of(word), "not a directive"),
        )
    }

    /// Nests the directives and makes the node of the template.
    fn build(&mut self, pieces: Vec<Piece>, start: usize) -> Parsed<Id> {
        let end = self.at;
        // A literal beside an interpolation makes a string of it, also one that a strip marker emptied.
        let single = pieces.len() == 1;
        let mut pieces = meld(pieces).into_iter().peekable();
        let mut parts = Vec::new();
        while let Some(piece) = pieces.next() {
            parts.push(self.part(piece, &mut pieces, end)?);
        }
        let whole = self.text.span(start, self.at);
        let parts = self.join_literals(parts);
        match parts.as_slice() {
            [] => Ok(self.tree.push(Kind::Literal(Value::string("")), whole)),
            [one] if matches!(self.tree.kind(*one), Kind::TemplateIf(..) | Kind::TemplateFor(_)) => {
                Ok(self.tree.push(Kind::Template(parts), whole))
            }
            [one] if single || self.is_text(*one) => {
                if matches!(self.tree.kind(*one), Kind::Literal(_)) {
                    self.tree.spans[*one as usize] = whole;
                }
                Ok(*one)
            }
            // Something empty stood beside the only interpolation: the result is a string all the same.
            [one] => {
                let empty = self.tree.push(Kind::Literal(Value::string("")), whole);
                Ok(self.tree.push(Kind::Template(vec![empty, *one]), whole))
            }
            _ => Ok(self.tree.push(Kind::Template(parts), whole)),
        }
    }

    fn is_text(&self, id: Id) -> bool {
        matches!(self.tree.kind(id), Kind::Literal(value) if value.as_str().is_some())
    }

    /// Joins constant strings that stand side by side, also interpolated ones, and drops empty ones.
    fn join_literals(&mut self, parts: Vec<Id>) -> Vec<Id> {
        let mut out: Vec<Id> = Vec::with_capacity(parts.len());
        for id in parts {
            let (Kind::Literal(value), span) = (self.tree.kind(id), self.tree.span(id)) else {
                out.push(id);
                continue;
            };
            let text = match value.as_str() {
                Some("") => continue,
                Some(text) => text.to_string(),
                None => {
                    out.push(id);
                    continue;
                }
            };
            match out.last().copied().filter(|last| self.is_text(*last)) {
                Some(last) => {
                    let before = self.tree.kind(last).as_text().unwrap_or_default();
                    let joined: String = format!("{before}{text}").nfc().collect();
                    let span = self.tree.span(last).to(span);
                    out.pop();
                    out.push(self.tree.push(Kind::Literal(Value::string(joined)), span));
                }
                None => out.push(id),
            }
        }
        out
    }

    fn part(
        &mut self,
        piece: Piece,
        rest: &mut std::iter::Peekable<std::vec::IntoIter<Piece>>,
        end: usize,
    ) -> Parsed<Id> {
        match piece {
            Piece::Literal { text, start, end } => {
                let span = self.text.span(start, end);
                Ok(self.tree.push(Kind::Literal(Value::string(text.nfc().collect::<String>())), span))
            }
            Piece::Interp(id) => Ok(id),
            Piece::If { condition, start } => {
                self.nested(start, |p| p.template_if(condition, start, rest, end))
            }
            Piece::For { body, start } => self.nested(start, |p| p.template_for(body, start, rest, end)),
            Piece::Else(t) => Err(self.unexpected("Unexpected else directive", t)),
            Piece::EndIf(t) => Err(self.unexpected("Unexpected endif directive", t)),
            Piece::EndFor(t) => Err(self.unexpected("Unexpected endfor directive", t)),
        }
    }

    fn unexpected(&self, summary: &'static str, t: Token) -> Box<Diagnostic> {
        self.fault(t, summary, "The control directives within this template are unbalanced.")
    }

    fn template_if(
        &mut self,
        condition: Id,
        start: usize,
        rest: &mut std::iter::Peekable<std::vec::IntoIter<Piece>>,
        end: usize,
    ) -> Parsed<Id> {
        let mut arms = vec![Vec::new()];
        loop {
            match rest.next() {
                None => {
                    return Err(self.missing_end(
                        "The if directive is missing its corresponding endif directive.",
                        start,
                    ));
                }
                Some(Piece::EndIf(_)) => break,
                Some(Piece::Else(t)) if arms.len() > 1 => {
                    return Err(self.unexpected("Unexpected else directive", t));
                }
                Some(Piece::Else(_)) => arms.push(Vec::new()),
                Some(piece) => {
                    let part = self.part(piece, rest, end)?;
                    if let Some(arm) = arms.last_mut() {
                        arm.push(part);
                    }
                }
            }
        }
        let mut arms = arms.into_iter();
        let then = self.body(arms.next().unwrap_or_default(), start, end);
        let otherwise = self.body(arms.next().unwrap_or_default(), start, end);
        let span = self.text.span(start, end);
        Ok(self.tree.push(Kind::TemplateIf(condition, then, otherwise), span))
    }

    fn template_for(
        &mut self,
        mut body: Box<For>,
        start: usize,
        rest: &mut std::iter::Peekable<std::vec::IntoIter<Piece>>,
        end: usize,
    ) -> Parsed<Id> {
        let mut parts = Vec::new();
        loop {
            match rest.next() {
                None => {
                    return Err(self.missing_end(
                        "The for directive is missing its corresponding endfor directive.",
                        start,
                    ));
                }
                Some(Piece::EndFor(_)) => break,
                Some(piece) => parts.push(self.part(piece, rest, end)?),
            }
        }
        body.value = self.body(parts, start, end);
        let span = self.text.span(start, end);
        Ok(self.tree.push(Kind::TemplateFor(body), span))
    }

    /// The content of a directive: always a string, so a single interpolation stays a template.
    fn body(&mut self, parts: Vec<Id>, start: usize, end: usize) -> Id {
        let span = self.text.span(start, end);
        let parts = self.join_literals(parts);
        match parts.as_slice() {
            [] => self.tree.push(Kind::Literal(Value::string("")), span),
            [one] if self.is_text(*one) => *one,
            _ => self.tree.push(Kind::Template(parts), span),
        }
    }

    fn missing_end(&self, detail: &str, start: usize) -> Box<Diagnostic> {
        Box::new(
            Diagnostic::error("G0102", "Unexpected end of template")
                .detail(detail)
                .at(self.text.span(start, start + 2), "this directive is not closed"),
        )
    }
}

fn code_point(rest: &str, digits: usize) -> Option<char> {
    let hex = rest.get(1..=digits)?;
    if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    char::from_u32(u32::from_str_radix(hex, 16).ok()?)
}

/// Joins neighbouring literals and drops empty ones.
fn meld(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (out.last_mut(), piece) {
            (_, Piece::Literal { text, .. }) if text.is_empty() => {}
            (Some(Piece::Literal { text, end, .. }), Piece::Literal { text: more, end: until, .. }) => {
                text.push_str(&more);
                *end = until;
            }
            (_, piece) => out.push(piece),
        }
    }
    out
}

/// Takes the common indentation off the lines of a `<<-` heredoc. A line that holds nothing but blanks
/// neither counts nor changes.
fn flush_indent(pieces: &mut [Piece]) {
    let mut least = usize::MAX;
    let mut indented: Vec<usize> = Vec::new();
    let mut line_start = true;
    for (at, piece) in pieces.iter().enumerate() {
        let Piece::Literal { text, .. } = piece else {
            least = if line_start { 0 } else { least };
            line_start = false;
            continue;
        };
        let inner = text.trim_start();
        if line_start && !(inner.is_empty() && text.ends_with('\n')) {
            least = least.min(text[..text.len() - inner.len()].graphemes(true).count());
            indented.push(at);
        }
        line_start = text.ends_with('\n');
    }
    for at in indented {
        if let Piece::Literal { text, .. } = &mut pieces[at] {
            let cut = text.grapheme_indices(true).nth(least).map_or(text.len(), |(cut, _)| cut);
            text.replace_range(..cut, "");
        }
    }
}
