//! Finds what was there before: text as literals and matches, cut into blocks.

const WINDOW: usize = 1 << 15;
const MATCH_MIN: usize = 4;
const MATCH_MAX: usize = 258;
const BLOCK_TOKENS: usize = 1 << 14;
const HASH_BITS: u32 = 17;
/// A match of this length is good enough not to look for a better one at the next byte.
const LAZY: usize = 16;
/// A match of this length ends the search.
const NICE: usize = 128;
/// So many earlier places are looked at.
const CHAIN: usize = 128;
/// The shortest match is not worth its code from farther away.
const NEAR: usize = 4096;

pub(super) enum Token {
    Literal(u8),
    Match { length: usize, offset: usize },
}

/// Tokens, and the bytes that they stand for as long as the window holds them.
pub(super) struct Block<'a> {
    pub(super) tokens: Vec<Token>,
    pub(super) raw: Option<&'a [u8]>,
}

pub(super) fn blocks(data: &[u8]) -> Vec<Block<'_>> {
    let mut finder = Finder {
        data,
        heads: vec![0; 1 << HASH_BITS],
        before: vec![0; WINDOW],
        base: 0,
        block_start: Some(0),
        tokens: Vec::new(),
        blocks: Vec::new(),
    };
    finder.run();
    finder.blocks
}

struct Finder<'a> {
    data: &'a [u8],
    /// The last place of each hash, counted from one; zero is none.
    heads: Vec<usize>,
    /// The place before each one with the same hash, likewise.
    before: Vec<usize>,
    /// Where the window begins: nothing before it is there any more.
    base: usize,
    /// Where the block begins, if the window still holds it.
    block_start: Option<usize>,
    tokens: Vec<Token>,
    blocks: Vec<Block<'a>>,
}

impl<'a> Finder<'a> {
    /// Remembers a place; returns the one before it with the same hash, counted from one.
    fn insert(&mut self, at: usize) -> usize {
        let four = [self.data[at], self.data[at + 1], self.data[at + 2], self.data[at + 3]];
        let hash = u32::from_be_bytes(four).wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS);
        let head = std::mem::replace(&mut self.heads[hash as usize], at + 1);
        self.before[at % WINDOW] = head;
        head
    }

    fn finish_block(&mut self, end: usize) {
        let raw = self.block_start.filter(|start| *start <= end).map(|start| &self.data[start..end]);
        self.block_start = Some(end);
        self.blocks.push(Block { tokens: std::mem::take(&mut self.tokens), raw });
    }

    fn push(&mut self, token: Token, end: usize) {
        self.tokens.push(token);
        if self.tokens.len() == BLOCK_TOKENS {
            self.finish_block(end);
        }
    }

    /// Moves the window on when its end comes near and there is more; returns the new end.
    fn slide(&mut self, at: usize, window_end: usize) -> usize {
        if window_end - at >= MATCH_MIN + MATCH_MAX || window_end == self.data.len() {
            return window_end;
        }
        self.base += WINDOW;
        self.block_start = self.block_start.filter(|start| *start >= self.base);
        (window_end + WINDOW).min(self.data.len())
    }

    fn run(&mut self) {
        let mut window_end = self.data.len().min(2 * WINDOW);
        let (mut at, mut head) = (0, 0);
        let (mut length, mut offset) = (MATCH_MIN - 1, 0);
        let mut pending = false;
        loop {
            window_end = self.slide(at, window_end);
            let ahead = window_end - at;
            if ahead == 0 {
                break;
            }
            if at + MATCH_MIN <= window_end {
                head = self.insert(at);
            }
            let (last_length, last_offset) = (length, offset);
            (length, offset) = (MATCH_MIN - 1, 0);
            let least = at.saturating_sub(WINDOW).max(self.base);
            if head > least && ahead > last_length && last_length < LAZY {
                (length, offset) = self.find(at, head - 1, ahead).unwrap_or((length, offset));
            }
            if last_length >= MATCH_MIN && length <= last_length {
                let end = at + last_length - 1;
                for place in at + 1..end {
                    if place + MATCH_MIN <= window_end {
                        self.insert(place);
                    }
                }
                at = end;
                pending = false;
                length = MATCH_MIN - 1;
                self.push(Token::Match { length: last_length, offset: last_offset }, at);
                continue;
            }
            if pending {
                self.push(Token::Literal(self.data[at - 1]), at);
            }
            at += 1;
            pending = true;
        }
        if pending {
            self.tokens.push(Token::Literal(self.data[at - 1]));
        }
        if !self.tokens.is_empty() {
            self.finish_block(at);
        }
    }

    /// The longest match of what stands at `at` among the earlier places, from `place` on.
    fn find(&self, at: usize, place: usize, ahead: usize) -> Option<(usize, usize)> {
        let most = ahead.min(MATCH_MAX);
        let nice = most.min(NICE);
        let oldest = at.checked_sub(WINDOW);
        let (mut best, mut place) = (MATCH_MIN - 1, place);
        let mut found = None;
        for _ in 0..CHAIN {
            if self.data[at + best] == self.data[place + best] {
                let n = (0..most).take_while(|i| self.data[place + i] == self.data[at + i]).count();
                if n > best && (n > MATCH_MIN || at - place <= NEAR) {
                    best = n;
                    found = Some((n, at - place));
                    if n >= nice {
                        break;
                    }
                }
            }
            if Some(place) == oldest {
                break;
            }
            let before = self.before[place % WINDOW];
            if before <= self.base.max(oldest.unwrap_or(0)) {
                break;
            }
            place = before - 1;
        }
        found
    }
}
