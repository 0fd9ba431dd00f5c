//! The natural logarithm and its inverse, to the last digit as Terraform's runtime computes them.
//!
//! The platform's own functions differ by a digit here and there, also between platforms; a plan must not.

/// Coefficients of the series of the logarithm, odd and even terms.
const ODD: [f64; 4] = [
    1.479_819_860_511_658_6e-1,
    1.818_357_216_161_805e-1,
    2.857_142_874_366_239e-1,
    6.666_666_666_666_735e-1,
];
const EVEN: [f64; 3] = [1.531_383_769_920_937_3e-1, 2.222_219_843_214_978_4e-1, 3.999_999_999_940_942e-1];
/// ln 2 in two parts, for the logarithm and for its inverse.
const LN2_PARTS: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
const LN2_HALVES: (f64, f64) = (0.693_147_180_559_663, 2.823_529_056_303_157_7e-13);
/// Reciprocals of the factorials from 8 down to 1.
const TAYLOR: [f64; 8] = [
    2.480_158_730_158_73e-5,
    1.984_126_984_126_984e-4,
    1.388_888_888_888_889e-3,
    8.333_333_333_333_333e-3,
    4.166_666_666_666_666_4e-2,
    1.666_666_666_666_666_6e-1,
    0.5,
    1.0,
];
/// Above it the result is infinite.
const EXP_MAX: f64 = 7.097_827_128_933_84e2;

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

pub(super) fn ln(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() || !x.is_normal() {
        return x.ln();
    }
    // The fraction lies between the roots of a half and of two.
    let mut exponent = f64::from(i32::try_from(x.to_bits() >> 52).unwrap_or(0) - 0x3fe);
    let mut fraction = f64::from_bits(x.to_bits() & 0x000f_ffff_ffff_ffff | 0x3fe0_0000_0000_0000);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        exponent -= 1.0;
        fraction *= 2.0;
    }
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let series = s2 * polynomial(&ODD, s4) + s4 * polynomial(&EVEN, s4);
    let half_square = 0.5 * f * f;
    exponent * LN2_PARTS.0 - ((half_square - (s * (half_square + series) + exponent * LN2_PARTS.1)) - f)
}

pub(super) fn exp(x: f64) -> f64 {
    if !x.is_finite() || x > EXP_MAX {
        return x.exp();
    }
    let exponent = (std::f64::consts::LOG2_E * x).round_ties_even();
    let rest = (-exponent).mul_add(LN2_HALVES.1, (-exponent).mul_add(LN2_HALVES.0, x)) * 0.0625;
    let series = TAYLOR[1..].iter().fold(TAYLOR[0], |sum, c| sum.mul_add(rest, *c));
    let mut less_one = rest * series;
    for _ in 0..3 {
        less_one *= less_one + 2.0;
    }
    let fraction = (less_one + 2.0).mul_add(less_one, 1.0);
    if exponent <= -1023.0 { 0.0 } else { fraction * 2f64.powf(exponent) }
}

#[cfg(test)]
mod tests {
    use super::{exp, ln};

    #[test]
    fn they_are_near_the_platforms() {
        for i in 1..2000 {
            let x = f64::from(i) * 0.37;
            assert!((ln(x) - x.ln()).abs() <= 2e-15 * x.ln().abs().max(1.0), "{x}");
            let y = f64::from(i - 1000) * 0.7;
            assert!((exp(y) - y.exp()).abs() <= 4e-15 * y.exp(), "{y}");
        }
    }
}
