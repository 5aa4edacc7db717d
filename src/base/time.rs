//! Instants, as the database and the wire know them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};
use serde::{Deserialize, Serialize};

/// An instant in milliseconds since the Unix epoch, shown as ISO 8601 in UTC (`2026-01-31T08:30:00.000Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This instant moved forward; saturates at the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This instant moved back; saturates at the beginning of time.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time since `earlier`, nothing if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.of_four_digits() {
            return f.write_str(std::str::from_utf8(&text).unwrap_or_default());
        }
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl Timestamp {
    /// The instant as text if its year has four digits, as all have that anybody stores: each resource that is answered shows
    /// two, and the general way takes several times as long.
    fn of_four_digits(self) -> Option<[u8; 24]> {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0)?;
        let year = u32::try_from(time.year()).ok().filter(|year| *year <= 9_999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: usize, digits: usize, mut number: u32| {
            for place in (at..at + digits).rev() {
                text[place] = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, time.month());
        put(8, 2, time.day());
        put(11, 2, time.hour());
        put(14, 2, time.minute());
        put(17, 2, time.second());
        put(20, 3, time.timestamp_subsec_millis());
        Some(text)
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.timestamp_millis()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_reads_iso_8601() {
        let time = Timestamp::from_millis(1_769_848_200_123);
        assert_eq!(time.to_string(), "2026-01-31T08:30:00.123Z");
        assert_eq!("2026-01-31T09:30:00.123+01:00".parse(), Ok(time));
    }

    proptest::proptest! {
        #[test]
        fn shows_what_chrono_shows(millis in -100_000_000_000_000_i64..300_000_000_000_000) {
            let chrono = DateTime::<Utc>::from_timestamp_millis(millis).unwrap();
            let chrono = chrono.to_rfc3339_opts(SecondsFormat::Millis, true);
            proptest::prop_assert_eq!(Timestamp::from_millis(millis).to_string(), chrono);
        }
    }

    #[test]
    fn never_counts_backwards() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(late.since(early), Duration::from_millis(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.after(Duration::from_millis(4)), late);
    }
}
