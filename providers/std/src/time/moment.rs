//! Moments as RFC 3339 text and their parts; spans of calendar and clock.

use crate::kit::{int, invalid, problem};
use groma_provider::{Problem, ProviderError};
use groma_types::schema::{Attribute, Block};
use groma_types::{Timestamp, Type, Value};
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, tz::TimeZone};

/// A moment with whole seconds, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(jiff::Timestamp);

/// How far: years, months, days, hours, minutes, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(pub(super) [i64; 6]);

const UNITS: [&str; 6] = ["years", "months", "days", "hours", "minutes", "seconds"];
const PARTS: [&str; 7] = ["year", "month", "day", "hour", "minute", "second", "unix"];

impl Moment {
    pub(super) fn at(now: Timestamp) -> Moment {
        Moment(jiff::Timestamp::from_second(now.0.div_euclid(1000)).unwrap_or_default())
    }

    pub(super) fn parse(text: &str) -> Result<Moment, ProviderError> {
        let wrong = |why: String| {
            invalid(format!("{text:?} is not a moment as RFC 3339 has it{why}"))
                .help("Write it like 2020-02-12T06:36:13Z.")
        };
        // The parser knows more forms than RFC 3339, which has a date, a T, a time and an offset.
        if text.as_bytes().get(10) != Some(&b'T') {
            return Err(wrong(String::new()));
        }
        let parsed: jiff::Timestamp = text.parse().map_err(|e| wrong(format!(": {e}")))?;
        Ok(Moment(jiff::Timestamp::from_second(parsed.as_second()).unwrap_or_default()))
    }

    pub(super) fn text(self) -> String {
        self.0.to_string()
    }

    pub(super) fn is_after(self, other: Moment) -> bool {
        self > other
    }

    /// Years and months first, where a day that the month does not have runs over into the next one; then the rest.
    pub(super) fn plus(self, span: Span) -> Result<Moment, ProviderError> {
        let far = || invalid(format!("{} and {span:?} leave the calendar", self.text()));
        let [years, months, days, hours, minutes, seconds] = span.0;
        let civil = self.0.to_zoned(TimeZone::UTC).datetime();
        let month = i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1;
        let month =
            years.checked_mul(12).and_then(|y| month.checked_add(y)?.checked_add(months)).ok_or_else(far)?;
        let year = i16::try_from(month.div_euclid(12)).map_err(|_| far())?;
        let number = i8::try_from(month.rem_euclid(12) + 1).map_err(|_| far())?;
        let first = Date::new(year, number, 1).map_err(|_| far())?;
        let start = DateTime::from_parts(first, civil.time());
        let over = |count: i64, seconds: i64| count.checked_mul(seconds).ok_or_else(far);
        let rest = [
            over(i64::from(civil.day()) - 1, 86_400)?,
            over(days, 86_400)?,
            over(hours, 3600)?,
            over(minutes, 60)?,
            seconds,
        ];
        let rest = rest.into_iter().try_fold(0_i64, i64::checked_add).ok_or_else(far)?;
        let end = start.checked_add(SignedDuration::from_secs(rest)).map_err(|_| far())?;
        end.to_zoned(TimeZone::UTC).map(|z| Moment(z.timestamp())).map_err(|_| far())
    }

    /// Year, month, day, hour, minute, second, and the seconds since the epoch.
    pub(super) fn parts(self) -> [(&'static str, Value); 7] {
        let civil = self.0.to_zoned(TimeZone::UTC).datetime();
        let numbers = [
            i64::from(civil.year()),
            i64::from(civil.month()),
            i64::from(civil.day()),
            i64::from(civil.hour()),
            i64::from(civil.minute()),
            i64::from(civil.second()),
            self.0.as_second(),
        ];
        std::array::from_fn(|i| (PARTS[i], numbers[i].into()))
    }
}

impl Span {
    /// The arguments `<prefix>years` and so on, as far as there are such.
    pub(super) fn of(value: &Value, prefix: &str) -> Span {
        Span(std::array::from_fn(|i| int(value, &format!("{prefix}{}", UNITS[i])).unwrap_or(0)))
    }

    /// The numbers of an import id; an empty one is 0.
    pub(super) fn parse(parts: &[&str]) -> Option<Span> {
        let mut span = Span::default();
        for (place, text) in parts.iter().enumerate() {
            *span.0.get_mut(place)? = if text.is_empty() { 0 } else { text.trim().parse().ok()? };
        }
        Some(span)
    }

    /// The arguments that say this span; null where it says nothing.
    pub(super) fn arguments(self, names: [&'static str; 6]) -> [(&'static str, Value); 6] {
        std::array::from_fn(|i| {
            let number = if self.0[i] == 0 { Value::null(Type::Number) } else { self.0[i].into() };
            (names[i], number)
        })
    }
}

/// The computed parts of a moment, as attributes. They follow `args`.
pub(super) fn with_parts(block: Block, args: &[&str]) -> Block {
    PARTS.iter().fold(block, |block, part| {
        let doc = match *part {
            "unix" => "Seconds since 1970.".to_string(),
            part => format!("The {part} of the moment, in UTC."),
        };
        block.attr(part, Attribute::computed(Type::Number, &doc).changes_with(args))
    })
}

/// `triggers`: whatever else should lead to a new moment.
pub(super) fn triggers() -> Attribute {
    Attribute::optional(Type::map(Type::String), "Any values; when they change, the resource is replaced.")
        .replaces()
}

/// Arguments that must be moments, where they are known.
pub(super) fn check(config: &Value, names: &[&str]) -> Vec<Problem> {
    let texts = names.iter().filter_map(|n| Some((*n, config.str_attr(n)?)));
    let faults = texts.filter_map(|(n, text)| Moment::parse(text).err().map(|e| (n, e)));
    faults.map(|(name, error)| Problem { help: error.help, ..problem(name, error.message) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_spans_run_over_as_terraforms() {
        let check = |from: &str, span: [i64; 6], to: &str| {
            let moment = Moment::parse(from).unwrap();
            assert_eq!(moment.plus(Span(span)).unwrap().text(), to, "{from} + {span:?}");
        };
        check("2020-02-12T06:36:13Z", [0, 0, 7, 0, 0, 0], "2020-02-19T06:36:13Z");
        check("2021-01-31T00:00:00Z", [0, 1, 0, 0, 0, 0], "2021-03-03T00:00:00Z");
        check("2020-02-29T12:00:00Z", [1, 0, 0, 0, 0, 0], "2021-03-01T12:00:00Z");
        check("2020-01-01T00:00:00Z", [0, -1, 0, 0, 0, -1], "2019-11-30T23:59:59Z");
        check("2020-12-31T23:59:59Z", [0, 0, 0, 1, 61, 61], "2021-01-01T02:02:00Z");
        assert!(Moment::parse("2020-02-12T06:36:13Z").unwrap().plus(Span([99_999, 0, 0, 0, 0, 0])).is_err());
    }

    #[test]
    fn only_rfc_3339_is_taken() {
        assert_eq!(Moment::parse("2020-02-12T08:36:13+02:00").unwrap().text(), "2020-02-12T06:36:13Z");
        for bad in ["", "2020-02-12", "2020-02-12 06:36:13Z", "2020-13-12T06:36:13Z", "2020-02-12T06:36:13"] {
            assert!(Moment::parse(bad).is_err(), "{bad}");
        }
    }
}
