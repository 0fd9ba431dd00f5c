//! Text that is safe to show, and words with numbers.

use std::time::Duration;

/// Characters that change what a terminal shows beside themselves: controls, and those that turn text around.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// The text without control and bidi characters; line breaks and tabs stay.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_harmful(*c)).collect()
}

/// The text on one line, harmful characters gone.
pub(crate) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text in quotes, as a string of the language would be written; harmful characters as escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_harmful(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `1 object`, `2 objects`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `12s`, `3m5s`, `1h2m0s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, m) => format!("{m}m{s}s"),
        (h, m) => format!("{h}h{m}m{s}s"),
    }
}

/// Names in a sentence, the first few of them.
pub(crate) fn listing(names: &[String]) -> String {
    const SHOWN: usize = 4;
    match names.len() {
        0 => String::new(),
        1..=SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, elapsed, quote};
    use std::time::Duration;

    #[test]
    fn a_terminal_gets_nothing_that_moves_it() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\n"), "a[31mbc\n");
        assert_eq!(quote("a\u{1b}\"\n"), "\"a\\u001b\\\"\\n\"");
    }

    #[test]
    fn spans_of_time_are_short() {
        for (seconds, text) in [(0, "0s"), (62, "1m2s"), (3600, "1h0m0s")] {
            assert_eq!(elapsed(Duration::from_secs(seconds)), text);
        }
    }
}
