//! Numbers that follow from a seed, and changes of bytes by them.

/// SplitMix64: the same numbers on every machine.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 of nothing.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let from = self.below(len + 1);
        from..from + self.below((len - from).min(200) + 1)
    }
}

/// Texts that readers have rules for.
const WORDS: &[&str] = &[
    "\0",
    "\u{feff}",
    "\r\n",
    "\r",
    "\u{85}",
    "\u{2028}",
    "\t",
    "e\u{301}",
    "😀",
    "\u{202e}",
    "${",
    "%{",
    "$${",
    "}",
    "{",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "'",
    "\\",
    "\\u",
    "\\uD800",
    "\\UFFFFFFFF",
    "<<EOT\n",
    "<<-EOT\n",
    "EOT\n",
    "/*",
    "*/",
    "//",
    "#",
    " # ",
    ": ",
    "- ",
    "? ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!t ",
    "|",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "null",
    "~",
    "true",
    "0644",
    "1e999999999",
    "-0",
    ".inf",
    ".5",
    "99999999999999999999999999999999999999",
    "1e-400",
    "0x1p-1074",
    "each.key",
    "count.index",
    "self.id",
    "var.x",
    "local.x[*].y.*.z",
    "for x in y : x => x...",
    "if",
    "else",
    "%{ if true }",
    "%{ for x in y }",
    "%{ endfor }",
    "${~ 1 ~}",
    "? :",
    "&& ||",
    "==",
    "...",
    "count: 1000000000",
    "for_each: ${toset([1])}",
    "dynamic",
    "lifecycle",
    "module",
    "resource",
    "variable",
    "moved",
    "import",
    "templatestring(\"${x}\", {})",
    "try(",
    "can(",
    "range(0, 1e9)",
    "setproduct(",
    "format(\"%999999d\", 1)",
    "repeat",
    "regexall(\"(a*)*b\", \"",
];

/// What stands inside itself.
const NESTS: &[(&str, &str)] = &[
    ("[", "]"),
    ("{a: ", "}"),
    ("{\"a\":", "}"),
    ("(", ")"),
    ("\"${", "}\""),
    ("%{ if true }", "%{ endif }"),
    ("a {\n", "}\n"),
    ("!", ""),
    ("-", ""),
    ("- ", ""),
    ("? ", ""),
    ("a:\n ", ""),
    ("f(", ")"),
    ("x ? y : ", ""),
    ("[for a in b : ", "]"),
    ("{for a, b in c : a => ", "}"),
    ("list(", ")"),
    ("<<A\n${", "}\nA\n"),
    ("x[", "]"),
];

/// Changes a text some times.
pub(super) fn change(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    for _ in 0..=chance.below(6) {
        change_once(bytes, other, chance);
        // What doubles again and again ends somewhere.
        bytes.truncate(1 << 18);
    }
}

fn change_once(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let put = |bytes: &mut Vec<u8>, new: &[u8]| drop(bytes.splice(at..at, new.iter().copied()));
    match chance.below(16) {
        0..=2 if !bytes.is_empty() => {
            let at = chance.below(bytes.len());
            bytes[at] ^= 1 << chance.below(8);
        }
        3 => drop(bytes.drain(chance.range(bytes.len()))),
        4 => bytes.truncate(at),
        5 => {
            let again = bytes[chance.range(bytes.len())].to_vec();
            put(bytes, &again);
        }
        6 => {
            let again = bytes[chance.range(bytes.len())].repeat(chance.below(300));
            put(bytes, &again);
        }
        7 => put(bytes, &other[chance.range(other.len())]),
        8 => {
            let (open, close) = chance.pick(NESTS);
            let deep = [3, 70, 300, 5000][chance.below(4)];
            put(bytes, format!("{}1{}", open.repeat(deep), close.repeat(deep)).as_bytes());
        }
        9 => put(bytes, &b"x0_9-"[chance.below(4)..].repeat(chance.below(20_000))),
        10 => put(bytes, format!("{}{}", chance.next(), "7".repeat(chance.below(3000))).as_bytes()),
        11 => put(bytes, &[[0xff], [0xc0], [0x80], [0xed]][chance.below(4)]),
        12 => put(bytes, bomb(chance).as_bytes()),
        13 => {
            let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
            *bytes = text.into_bytes();
        }
        _ => put(bytes, chance.pick(WORDS).as_bytes()),
    }
}

/// Anchors that each stand for several of the one before.
fn bomb(chance: &mut Chance) -> String {
    let mut text = String::from("\nx-a0: &a0 [1, 1]\n");
    for i in 0..chance.below(60) {
        let next = i + 1;
        text += &format!("x-a{next}: &a{next} [*a{i}, *a{i}, *a{i}]\n");
    }
    text
}
