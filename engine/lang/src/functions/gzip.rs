//! gzip, byte for byte as Terraform compresses: what is compressed is compared, in the state and by clouds.
//!
//! DEFLATE leaves the choice of matches and blocks to the compressor. These are the choices of Go's library at
//! its usual level: hash chains of four bytes, lazy matching, blocks of up to 16,384 tokens, each written
//! in the smallest of the three forms. After the data follow an empty block (a flush) and an empty last one.

mod huffman;
mod matches;

use huffman::{Code, codes};
use matches::Token;

/// The last of the literals, and the code that ends a block.
const END_OF_BLOCK: usize = 256;
const LITERALS: usize = 286;
const OFFSETS: usize = 30;
/// The longest block that can be stored.
const STORED_MAX: usize = 65_535;
/// The order in which lengths of codes for lengths are written.
const CODEGEN_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Compresses, without time and name.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut bits = Bits { out: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], ahead: 0, count: 0 };
    for block in matches::blocks(data) {
        write_block(&mut bits, &block.tokens, block.raw);
    }
    bits.stored_header(0, false);
    bits.stored_header(0, true);
    bits.out.extend(crc32(data).to_le_bytes());
    // The length counts modulo 2^32.
    bits.out.extend((data.len() as u32).to_le_bytes());
    bits.out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

/// Bits in the order of DEFLATE: the lowest first.
struct Bits {
    out: Vec<u8>,
    ahead: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: usize, bits: u32) {
        self.ahead |= (value as u64) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push((self.ahead & 0xff) as u8);
            self.ahead >>= 8;
            self.count -= 8;
        }
    }

    fn code(&mut self, code: Code) {
        self.put(usize::from(code.bits), u32::from(code.len));
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }

    fn stored_header(&mut self, len: usize, last: bool) {
        self.put(usize::from(last), 3);
        self.align();
        self.put(len, 16);
        self.put(!len & 0xffff, 16);
    }
}

/// How often each code is used, the lengths of the codes for that, and what the block takes.
struct Plan {
    literal_counts: Vec<u32>,
    offset_counts: Vec<u32>,
    literals: usize,
    offsets: usize,
}

impl Plan {
    fn of(tokens: &[Token]) -> Plan {
        let mut literal_counts = vec![0; LITERALS];
        let mut offset_counts = vec![0; OFFSETS];
        literal_counts[END_OF_BLOCK] = 1;
        for token in tokens {
            match token {
                Token::Literal(byte) => literal_counts[usize::from(*byte)] += 1,
                Token::Match { length, offset } => {
                    literal_counts[length_code(*length).0] += 1;
                    offset_counts[offset_code(*offset).0] += 1;
                }
            }
        }
        let used = |counts: &[u32]| counts.iter().rposition(|n| *n > 0).map_or(0, |at| at + 1);
        if used(&offset_counts) == 0 {
            // A table of offsets can not be empty.
            offset_counts[0] = 1;
        }
        let (literals, offsets) = (used(&literal_counts), used(&offset_counts));
        Plan { literal_counts, offset_counts, literals, offsets }
    }

    fn size(&self, literals: &[Code], offsets: &[Code]) -> usize {
        let sum = |counts: &[u32], codes: &[Code]| -> usize {
            counts.iter().zip(codes).map(|(n, c)| *n as usize * usize::from(c.len)).sum()
        };
        sum(&self.literal_counts, literals) + sum(&self.offset_counts, offsets)
    }
}

fn write_block(bits: &mut Bits, tokens: &[Token], raw: Option<&[u8]>) {
    let plan = Plan::of(tokens);
    let (fixed_literals, fixed_offsets) = huffman::fixed();
    let (literals, offsets) = (codes(&plan.literal_counts, 15), codes(&plan.offset_counts, 15));
    let header = Header::new(&plan, &literals, &offsets);
    let stored = raw.filter(|r| r.len() <= STORED_MAX);
    // The extra bits are the same in both forms: they count where the data could be stored instead.
    let extra: usize = if stored.is_some() { tokens.iter().map(Token::extra_bits).sum() } else { 0 };
    let fixed_size = 3 + plan.size(&fixed_literals, &fixed_offsets) + extra;
    let own_size = header.size() + plan.size(&literals, &offsets) + extra;
    if let Some(raw) = stored.filter(|r| (r.len() + 5) * 8 < own_size.min(fixed_size)) {
        bits.stored_header(raw.len(), false);
        bits.out.extend(raw);
    } else if own_size < fixed_size {
        header.write(bits);
        write_tokens(bits, tokens, &literals, &offsets);
    } else {
        bits.put(0b010, 3);
        write_tokens(bits, tokens, &fixed_literals, &fixed_offsets);
    }
}

/// The head of a block with codes of its own: the lengths of the codes, themselves encoded.
struct Header {
    literals: usize,
    offsets: usize,
    /// Symbols, and what stands behind the three that repeat.
    symbols: Vec<(usize, usize)>,
    counts: Vec<u32>,
    codes: Vec<Code>,
    written: usize,
}

impl Header {
    fn new(plan: &Plan, literals: &[Code], offsets: &[Code]) -> Header {
        let lengths: Vec<u8> =
            literals[..plan.literals].iter().chain(&offsets[..plan.offsets]).map(|c| c.len).collect();
        let symbols = repeated(&lengths);
        let mut counts = vec![0; CODEGEN_ORDER.len()];
        symbols.iter().for_each(|(symbol, _)| counts[*symbol] += 1);
        let codes = codes(&counts, 7);
        let written = CODEGEN_ORDER.iter().rposition(|s| counts[*s] > 0).map_or(4, |at| (at + 1).max(4));
        Header { literals: plan.literals, offsets: plan.offsets, symbols, counts, codes, written }
    }

    fn size(&self) -> usize {
        let symbols: usize =
            self.counts.iter().zip(&self.codes).map(|(n, c)| *n as usize * usize::from(c.len)).sum();
        let repeats = self.counts[16] * 2 + self.counts[17] * 3 + self.counts[18] * 7;
        3 + 5 + 5 + 4 + 3 * self.written + symbols + repeats as usize
    }

    fn write(&self, bits: &mut Bits) {
        bits.put(0b100, 3);
        bits.put(self.literals - 257, 5);
        bits.put(self.offsets - 1, 5);
        bits.put(self.written - 4, 4);
        for symbol in &CODEGEN_ORDER[..self.written] {
            bits.put(usize::from(self.codes[*symbol].len), 3);
        }
        for (symbol, more) in &self.symbols {
            bits.code(self.codes[*symbol]);
            match symbol {
                16 => bits.put(*more, 2),
                17 => bits.put(*more, 3),
                18 => bits.put(*more, 7),
                _ => {}
            }
        }
    }
}

/// Runs of lengths as symbols: 16 repeats the last, 17 and 18 are zeros.
fn repeated(lengths: &[u8]) -> Vec<(usize, usize)> {
    let mut symbols = Vec::new();
    for run in lengths.chunk_by(|a, b| a == b) {
        let size = usize::from(run[0]);
        let mut left = run.len();
        if size != 0 {
            symbols.push((size, 0));
            left -= 1;
            while left >= 3 {
                let n = left.min(6);
                symbols.push((16, n - 3));
                left -= n;
            }
        } else {
            while left >= 11 {
                let n = left.min(138);
                symbols.push((18, n - 11));
                left -= n;
            }
            if left >= 3 {
                symbols.push((17, left - 3));
                left = 0;
            }
        }
        symbols.extend(std::iter::repeat_n((size, 0), left));
    }
    symbols
}

fn write_tokens(bits: &mut Bits, tokens: &[Token], literals: &[Code], offsets: &[Code]) {
    for token in tokens {
        match token {
            Token::Literal(byte) => bits.code(literals[usize::from(*byte)]),
            Token::Match { length, offset } => {
                let (code, extra, base) = length_code(*length);
                bits.code(literals[code]);
                bits.put(length - base, extra);
                let (code, extra, base) = offset_code(*offset);
                bits.code(offsets[code]);
                bits.put(offset - base, extra);
            }
        }
    }
    bits.code(literals[END_OF_BLOCK]);
}

impl Token {
    fn extra_bits(&self) -> usize {
        match self {
            Token::Literal(_) => 0,
            Token::Match { length, offset } => (length_code(*length).1 + offset_code(*offset).1) as usize,
        }
    }
}

/// The code of a length, how many bits follow it, and the least length that it stands for.
fn length_code(length: usize) -> (usize, u32, usize) {
    if length == 258 {
        return (285, 0, 258);
    }
    let above = length - 3;
    if above < 8 {
        return (257 + above, 0, length);
    }
    let extra = above.ilog2() - 2;
    let code = 4 * extra as usize + (above >> extra);
    (257 + code, extra, 3 + (above >> extra << extra))
}

/// The same for an offset.
fn offset_code(offset: usize) -> (usize, u32, usize) {
    let above = offset - 1;
    if above < 4 {
        return (above, 0, offset);
    }
    let extra = above.ilog2() - 1;
    let code = 2 * extra as usize + (above >> extra);
    (code, extra, 1 + (above >> extra << extra))
}
