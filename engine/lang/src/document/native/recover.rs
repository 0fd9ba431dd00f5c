//! After a fault: where the next argument or block begins. And where the comments are.
//!
//! A faulty argument or block is skipped by its brackets. Where those don't balance, reading goes on at the next line that
//! opens a block at the margin, and without one it stops: so no part of a text is skipped twice.

use super::{AfterFault, Reader};
use crate::lexer::{Tok, token};
use std::ops::Range;

impl Reader<'_> {
    /// Skips what begins at `from`, up to the end of its last line.
    pub(super) fn recover(&mut self, from: usize) {
        let mut at = from;
        let mut depth = 0_usize;
        loop {
            let next = token(self.text, at);
            match next.tok {
                Tok::End | Tok::OpenComment => {
                    if depth > 0 || next.tok == Tok::OpenComment {
                        self.after_fault = AfterFault::Stop;
                    }
                    at = self.text.len();
                    break;
                }
                Tok::OpenBrace | Tok::OpenBracket | Tok::OpenParen => depth += 1,
                Tok::CloseBrace if depth == 0 => {
                    at = next.start;
                    break;
                }
                Tok::CloseBrace | Tok::CloseBracket | Tok::CloseParen => depth = depth.saturating_sub(1),
                Tok::Newline if depth == 0 => {
                    at = next.start;
                    break;
                }
                Tok::Newline if self.opens_block(next.end) => {
                    self.after_fault = AfterFault::ToTheTop;
                    at = next.end;
                    break;
                }
                Tok::Quote => {
                    at = string_end(self.text, next.end);
                    continue;
                }
                Tok::Heredoc => match heredoc_end(self.text, next.start, next.end) {
                    Some(end) => {
                        at = end;
                        continue;
                    }
                    None => {
                        self.after_fault = AfterFault::Stop;
                        at = self.text.len();
                        break;
                    }
                },
                _ => {}
            }
            at = next.end;
        }
        self.parser.restart(at);
    }

    /// Whether the line at `at` has no indentation and is the first of a block.
    fn opens_block(&self, at: usize) -> bool {
        let rest = &self.text[at..];
        let line = rest[..rest.find('\n').unwrap_or(rest.len())].trim_end();
        let Some(head) = line.strip_suffix('{') else { return false };
        let mut words = head.split_whitespace();
        let is_name = |word: &str| crate::lexer::is_ident(word.trim_matches('"'));
        !line.starts_with([' ', '\t'])
            && words.next().is_some_and(crate::lexer::is_ident)
            && words.all(is_name)
    }
}

/// The end of a quoted string, at the latest the end of its line.
fn string_end(text: &str, start: usize) -> usize {
    let mut escaped = false;
    let mut inside = Vec::new();
    for (i, c) in text[start..].char_indices() {
        let at = start + i;
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if inside.last() == Some(&'"') => {
                inside.pop();
            }
            '"' if inside.is_empty() => return at + 1,
            '"' => inside.push('"'),
            '{' if inside.last() == Some(&'{') || text[..at].ends_with(['$', '%']) => {
                inside.push('{');
            }
            '}' if inside.last() == Some(&'{') => {
                inside.pop();
            }
            _ => {}
        }
    }
    text.len()
}

/// The end of the line that closes a heredoc.
fn heredoc_end(text: &str, open: usize, body: usize) -> Option<usize> {
    let marker = text[open..body].trim_start_matches('<').trim_start_matches('-').trim();
    let mut line = body;
    for row in text[body..].split('\n') {
        if row.trim() == marker {
            return Some(line + row.len());
        }
        line += row.len() + 1;
    }
    None
}

/// The comments of a text without faults, but for those inside of strings' interpolations.
pub fn native_comments(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let next = token(text, at);
        gaps(text, at..next.start, &mut found);
        at = match next.tok {
            Tok::End | Tok::OpenComment => return found,
            Tok::Quote => string_end(text, next.end),
            Tok::Heredoc => heredoc_end(text, next.start, next.end).unwrap_or(text.len()),
            _ => next.end,
        };
    }
}

/// The comments between two tokens.
fn gaps(text: &str, gap: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut at = gap.start;
    while at < gap.end {
        let rest = &text[at..gap.end];
        let len = if rest.starts_with('#') || rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        found.push(at..at + len);
        at += len;
    }
}
