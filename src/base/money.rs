//! Amounts of money, exact: no float ever takes part in a sum.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Serialize, Serializer};

/// Billionths of a thousandth: how finely a dollar is divided. A price of 0.000001 USD per million tokens is one for
/// each token.
pub const PICO: i128 = 1_000_000_000_000;

/// An amount in US dollars, in whole picodollars. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

impl Usd {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i128::MAX);

    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    pub const fn pico(self) -> i128 {
        self.0
    }

    /// As one column of a table holds it.
    pub fn pico_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }

    /// Reads a decimal number: `12`, `0.0375`, `5e-07`. `None` when it is none, is negative, is 10^18 or more, or is
    /// finer than a picodollar.
    pub fn parse(text: &str) -> Option<Self> {
        scaled(text, 12).map(Self)
    }

    /// What so many tokens cost at this price for each.
    #[must_use]
    pub fn times(self, tokens: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(tokens)))
    }

    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// For metrics, which know nothing else.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PICO as f64
    }
}

/// A decimal number times `10^places`, where that is whole.
pub fn scaled(text: &str, places: i32) -> Option<i128> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0
        || whole.len() + fraction.len() > 40
        || !all_digits(whole)
        || !all_digits(fraction)
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mantissa = format!("{whole}{fraction}");
    let mantissa: i128 = mantissa
        .trim_start_matches('0')
        .parse()
        .or_else(|error| {
            // Nothing but zeros.
            if mantissa.bytes().all(|b| b == b'0') {
                Ok(0)
            } else {
                Err(error)
            }
        })
        .ok()?;
    if mantissa == 0 {
        return Some(0);
    }
    let shift = exponent
        .checked_add(places)?
        .checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let scaled = if shift >= 0 {
        mantissa.checked_mul(10_i128.checked_pow(shift.cast_unsigned())?)?
    } else {
        let divisor = 10_i128.checked_pow(shift.unsigned_abs())?;
        (mantissa % divisor == 0).then_some(mantissa / divisor)?
    };
    (scaled < PICO * 1_000_000_000_000_000_000).then_some(scaled)
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// All its digits and no more: `0.0375`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (
            self.0.unsigned_abs() / PICO.unsigned_abs(),
            self.0.unsigned_abs() % PICO.unsigned_abs(),
        );
        if rest == 0 {
            return f.pad(&format!("{sign}{whole}"));
        }
        let rest = format!("{rest:012}");
        f.pad(&format!("{sign}{whole}.{}", rest.trim_end_matches('0')))
    }
}

/// A JSON number with all its digits.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::value::RawValue::from_string(self.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_written_exactly() {
        for (text, pico, written) in [
            ("0", 0, "0"),
            ("0.0", 0, "0"),
            ("12", 12 * PICO, "12"),
            ("0.0375", 37_500_000_000, "0.0375"),
            ("5e-07", 500_000, "0.0000005"),
            ("1.25E-6", 1_250_000, "0.00000125"),
            ("0.000000000001", 1, "0.000000000001"),
            (".5", PICO / 2, "0.5"),
            ("1.10", PICO + PICO / 10, "1.1"),
            ("1e3", 1000 * PICO, "1000"),
        ] {
            let usd = Usd::parse(text).unwrap_or_else(|| panic!("{text} is a number"));
            assert_eq!(
                (usd.pico(), usd.to_string().as_str()),
                (pico, written),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_amount_is_not_read() {
        for text in [
            "",
            ".",
            "-1",
            "+1",
            "1,5",
            "0x1",
            "NaN",
            "inf",
            "1e",
            "1e99",
            "1e18",
            "1e-13",
            "0.0000000000001",
            "1 ",
            "1e2147483648",
            "1e-2147483648",
            "00000000000000000000000000000000000000000001",
        ] {
            assert_eq!(Usd::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_amount_is_a_json_number() {
        let json = serde_json::to_string(&Usd::from_pico(37_500_000)).expect("an amount");
        assert_eq!(json, "0.0000375");
    }
}
