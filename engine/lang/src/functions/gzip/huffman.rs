//! Huffman codes of limited length.

/// A code with its bits in the order of writing; a length of zero is no code.
#[derive(Clone, Copy, Default)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) len: u8,
}

/// A frequency that is above all others.
const NEVER: u32 = i32::MAX as u32;

/// The codes that every decoder knows.
pub(super) fn fixed() -> (Vec<Code>, Vec<Code>) {
    let literal = |symbol: u16| match symbol {
        0..=143 => (symbol + 48, 8),
        144..=255 => (symbol - 144 + 400, 9),
        256..=279 => (symbol - 256, 7),
        _ => (symbol - 280 + 192, 8),
    };
    let code = |(bits, len)| Code { bits: reversed(bits, len), len };
    ((0..286).map(|s| code(literal(s))).collect(), (0..30).map(|s| code((s, 5))).collect())
}

fn reversed(bits: u16, len: u8) -> u16 {
    bits.reverse_bits() >> (16 - len)
}

/// Makes the best codes of at most `len_max` bits for symbols that are used so often.
pub(super) fn codes(counts: &[u32], len_max: usize) -> Vec<Code> {
    let mut made = vec![Code::default(); counts.len()];
    let mut used: Vec<(u32, usize)> =
        counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(symbol, n)| (*n, symbol)).collect();
    if used.len() <= 2 {
        for (bits, (_, symbol)) in used.iter().enumerate() {
            made[*symbol] = Code { bits: bits as u16, len: 1 };
        }
        return made;
    }
    used.sort_unstable();
    let mut code = 0u16;
    let mut rest = used.as_mut_slice();
    for (len, number) in lengths(rest, len_max).into_iter().enumerate() {
        code <<= 1;
        if len == 0 || number == 0 {
            continue;
        }
        // The rarest are last to be taken; among those of one length the symbols are in order.
        let at = rest.len() - number;
        let (left, chunk) = rest.split_at_mut(at);
        chunk.sort_unstable_by_key(|(_, symbol)| *symbol);
        for (_, symbol) in chunk.iter() {
            let len = len as u8;
            made[*symbol] = Code { bits: reversed(code, len), len };
            code += 1;
        }
        rest = left;
    }
    made
}

/// One row of the table that pairs are merged in.
#[derive(Clone, Default)]
struct Level {
    last: u32,
    next_leaf: u32,
    next_pair: u32,
    needed: usize,
    /// How many leaves stand left of each ancestor of the rightmost node.
    leaves: Vec<usize>,
}

/// How many codes have each length, by lazily merged packages: a row asks the one below for two nodes
/// whenever it takes a pair.
fn lengths(used: &[(u32, usize)], len_max: usize) -> Vec<usize> {
    let n = used.len();
    let count = |at: usize| used.get(at).map_or(NEVER, |(count, _)| *count);
    let top = len_max.min(n - 1);
    let mut levels: Vec<Level> = (0..=top + 1)
        .map(|level| {
            let mut leaves = vec![0; top + 1];
            if (1..=top).contains(&level) {
                leaves[level] = 2;
            }
            let next_pair = if level == 1 { NEVER } else { count(0) + count(1) };
            Level { last: count(1), next_leaf: count(2), next_pair, needed: 0, leaves }
        })
        .collect();
    levels[top].needed = 2 * n - 4;
    let mut level = top;
    loop {
        let row = &mut levels[level];
        if row.next_pair == NEVER && row.next_leaf == NEVER {
            // Out of leaves and of pairs: neither this row nor one below is looked at again.
            row.needed = 0;
            levels[level + 1].next_pair = NEVER;
            level += 1;
            continue;
        }
        let before = row.last;
        if row.next_leaf < row.next_pair {
            row.last = row.next_leaf;
            row.leaves[level] += 1;
            row.next_leaf = count(row.leaves[level]);
        } else {
            row.last = row.next_pair;
            let (below, above) = levels.split_at_mut(level);
            above[0].leaves[..level].copy_from_slice(&below[level - 1].leaves[..level]);
            below[level - 1].needed = 2;
        }
        let row = &mut levels[level];
        row.needed -= 1;
        if row.needed == 0 {
            if level == top {
                break;
            }
            let pair = before + row.last;
            level += 1;
            levels[level].next_pair = pair;
        } else {
            while levels[level - 1].needed > 0 {
                level -= 1;
            }
        }
    }
    let leaves = &levels[top].leaves;
    std::iter::once(0).chain((1..=top).rev().map(|level| leaves[level] - leaves[level - 1])).collect()
}
