//! Two texts, line by line, as `diff -u` shows them.

use super::text;

/// Lines around what differs.
const CONTEXT: usize = 3;
/// Above this many pairs of lines the middle is shown as one change.
const PAIRS_MAX: usize = 4_000_000;

pub(crate) fn unified(name: &str, old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let edits = edits(&a, &b);
    let mut out = format!("--- old/{name}\n+++ new/{name}\n");
    let is_kept = |i: usize| edits[i].0 == ' ';
    let mut at = 0;
    let (mut line_a, mut line_b) = (0, 0);
    while at < edits.len() {
        let Some(first) = (at..edits.len()).find(|i| !is_kept(*i)) else { break };
        let start = first.saturating_sub(CONTEXT).max(at);
        line_a += start - at;
        line_b += start - at;
        let mut last = first;
        while let Some(next) = (last + 1..edits.len().min(last + 2 * CONTEXT + 2)).find(|i| !is_kept(*i)) {
            last = next;
        }
        let end = (last + 1 + CONTEXT).min(edits.len());
        let count = |without: char| edits[start..end].iter().filter(|(sign, _)| *sign != without).count();
        let (len_a, len_b) = (count('+'), count('-'));
        out.push_str(&format!("@@ -{},{len_a} +{},{len_b} @@\n", line_a + 1, line_b + 1));
        for (sign, line) in &edits[start..end] {
            out.push_str(&format!("{sign}{}\n", text::clean(line)));
        }
        (line_a, line_b, at) = (line_a + len_a, line_b + len_b, end);
    }
    out
}

/// Each line with its sign: kept, gone or new.
fn edits<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<(char, &'a str)> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&a[head..], &b[head..]);
    let tail = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (mid_a, mid_b) = (&rest_a[..rest_a.len() - tail], &rest_b[..rest_b.len() - tail]);
    let mut out: Vec<(char, &str)> = a[..head].iter().map(|line| (' ', *line)).collect();
    if mid_a.len().saturating_mul(mid_b.len()) > PAIRS_MAX {
        out.extend(mid_a.iter().map(|line| ('-', *line)));
        out.extend(mid_b.iter().map(|line| ('+', *line)));
    } else {
        middle(mid_a, mid_b, &mut out);
    }
    out.extend(a[a.len() - tail..].iter().map(|line| (' ', *line)));
    out
}

fn middle<'a>(a: &[&'a str], b: &[&'a str], out: &mut Vec<(char, &'a str)>) {
    let mut longest = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = match a[i] == b[j] {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push((' ', a[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || longest[i + 1][j] >= longest[i][j + 1]) {
            out.push(('-', a[i]));
            i += 1;
        } else {
            out.push(('+', b[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn changes_far_apart_are_shown_apart() {
        let old: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n4\n", "\nfour\n").replace("\n18\n", "\n");
        let expected = "--- old/f\n+++ new/f\n@@ -1,7 +1,7 @@\n 1\n 2\n 3\n-4\n+four\n 5\n 6\n 7\n\
                        @@ -15,6 +15,5 @@\n 15\n 16\n 17\n-18\n 19\n 20\n";
        assert_eq!(unified("f", &old, &new), expected);
    }
}
