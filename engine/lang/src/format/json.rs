//! JSON with two blanks a level. Strings and numbers keep their text.

pub(super) fn format(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '"' => string_len(rest),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(len);
        rest = after.trim_start();
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(close) = rest.strip_prefix(if c == '{' { '}' } else { ']' }) {
                    out.push(if c == '{' { '}' } else { ']' });
                    rest = close.trim_start();
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push_str(token),
        }
    }
    out.push('\n');
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// The length of the string that begins here, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}
