//! Times and durations as text.

use std::io::Write;

use crate::position::Timestamp;

const SECOND: i64 = 1_000_000_000;

/// Year, month, day, hour, minute, second and nanoseconds, UTC (proleptic Gregorian calendar).
fn civil(ts: Timestamp) -> (i64, u32, u32, u32, u32, u32, u32) {
    let nanos = ts.0.rem_euclid(SECOND) as u32;
    let seconds = ts.0.div_euclid(SECOND);
    let of_day = seconds.rem_euclid(86_400) as u32;
    // Days since 0000-03-01, so that a leap day ends its year.
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month + 2) / 5 + 1) as u32;
    let month = if month < 10 { month + 3 } else { month - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60, nanos)
}

/// Appends RFC 3339 with nanoseconds, UTC: `2026-11-24T10:00:01.178000000Z`.
pub fn push_rfc3339(out: &mut Vec<u8>, ts: Timestamp) {
    let (y, mo, d, h, mi, s, n) = civil(ts);
    // Nanoseconds in 64 bits end with the year 2262.
    out.extend_from_slice(&digits::<4>(y as u32));
    for (before, two) in [(b'-', mo), (b'-', d), (b'T', h), (b':', mi), (b':', s)] {
        out.push(before);
        out.extend_from_slice(&digits::<2>(two));
    }
    out.push(b'.');
    out.extend_from_slice(&digits::<9>(n));
    out.push(b'Z');
}

/// The last `N` decimal digits, zeros before them: there is one of these times in every object.
fn digits<const N: usize>(mut number: u32) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// The date, UTC: `2026-11-24`.
pub fn date(ts: Timestamp) -> String {
    let (y, mo, d, ..) = civil(ts);
    format!("{y:04}-{mo:02}-{d:02}")
}

/// For file names: `20261124T100001.178203Z`, UTC.
pub fn compact(ts: Timestamp) -> String {
    let (y, mo, d, h, mi, s, n) = civil(ts);
    format!("{y:04}{mo:02}{d:02}T{h:02}{mi:02}{s:02}.{:06}Z", n / 1000)
}

/// For mbox (RFC 4155): `Mon Nov 24 16:00:00 2025`, UTC.
pub fn asctime(ts: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (y, mo, d, h, mi, s, _) = civil(ts);
    // 1970-01-01 was a Thursday.
    let day = DAYS[ts.0.div_euclid(SECOND * 86_400).rem_euclid(7) as usize];
    let month = MONTHS[(mo as usize).saturating_sub(1).min(11)];
    format!("{day} {month} {d:2} {h:02}:{mi:02}:{s:02} {y}")
}

/// Appends nanoseconds as a decimal number of seconds, exactly, without trailing zeros: `0.000281`.
pub fn push_seconds(out: &mut Vec<u8>, nanos: i64) {
    let (whole, fraction) = (nanos.unsigned_abs() / SECOND as u64, nanos.unsigned_abs() % SECOND as u64);
    let _ = write!(out, "{}{whole}.{fraction:09}", if nanos < 0 { "-" } else { "" });
    while out.last() == Some(&b'0') && out.get(out.len().wrapping_sub(2)) != Some(&b'.') {
        out.pop();
    }
}

/// Seconds with six digits, rounded: `0.000281`.
pub fn micros(nanos: i64) -> String {
    let micros = nanos.unsigned_abs().saturating_add(500) / 1000;
    format!("{}{}.{:06}", if nanos < 0 { "-" } else { "" }, micros / 1_000_000, micros % 1_000_000)
}

/// The time zone of what people read. JSON is always UTC.
#[derive(Clone, Debug)]
pub struct Zone(jiff::tz::TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Zone(jiff::tz::TimeZone::UTC)
    }
}

impl Zone {
    /// `UTC`, `local`, a name of the time-zone database, or an offset as in `+02:00`.
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") {
            return Some(Zone::default());
        }
        if name.eq_ignore_ascii_case("local") {
            return Some(Zone(jiff::tz::TimeZone::system()));
        }
        if let Some(offset) = parse_offset(name) {
            return Some(Zone(jiff::tz::TimeZone::fixed(offset)));
        }
        jiff::tz::TimeZone::get(name).ok().map(Zone)
    }

    /// What a heading calls it.
    pub fn name(&self) -> String {
        match (self.0.iana_name(), self.0.to_fixed_offset()) {
            (Some(name), _) => name.to_owned(),
            (None, Ok(offset)) => offset.to_string(),
            (None, Err(_)) => "local".to_owned(),
        }
    }

    fn offset_of(&self, ts: Timestamp) -> i64 {
        match jiff::Timestamp::from_nanosecond(i128::from(ts.0)) {
            Ok(at) => i64::from(self.0.to_offset(at).seconds()),
            Err(_) => 0,
        }
    }

    fn civil(&self, ts: Timestamp) -> (i64, u32, u32, u32, u32, u32, u32) {
        civil(Timestamp(ts.0.saturating_add(self.offset_of(ts).saturating_mul(SECOND))))
    }

    /// `2026-11-24 10:00:01.178`.
    pub fn millis(&self, ts: Timestamp) -> String {
        let (y, mo, d, h, mi, s, n) = self.civil(ts);
        format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}.{:03}", n / 1_000_000)
    }

    /// `2026-11-24 10:00:01`.
    pub fn seconds(&self, ts: Timestamp) -> String {
        let (y, mo, d, h, mi, s, _) = self.civil(ts);
        format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}")
    }

    /// `10:00:01.178253`.
    pub fn clock(&self, ts: Timestamp) -> String {
        let (_, _, _, h, mi, s, n) = self.civil(ts);
        format!("{h:02}:{mi:02}:{s:02}.{:06}", n / 1000)
    }

    /// `2026-11-24`.
    pub fn day(&self, ts: Timestamp) -> String {
        let (y, mo, d, ..) = self.civil(ts);
        format!("{y:04}-{mo:02}-{d:02}")
    }

    /// A time that a person typed: RFC 3339, seconds since the epoch (`@1764000000`), or `2026-11-24`,
    /// `2026-11-24 10:00`, `2026-11-24T10:00:01.5` in this zone.
    pub fn parse_time(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        if let Some(seconds) = text.strip_prefix('@') {
            return seconds.parse::<i64>().ok()?.checked_mul(SECOND).map(Timestamp);
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return i64::try_from(at.as_nanosecond()).ok().map(Timestamp);
        }
        let local: jiff::civil::DateTime = match text.parse() {
            Ok(at) => at,
            Err(_) => text.parse::<jiff::civil::Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
        };
        let at = self.0.to_timestamp(local).ok()?;
        i64::try_from(at.as_nanosecond()).ok().map(Timestamp)
    }

    /// As [`Zone::parse_time`], the last moment of what was typed: of a day its end, of `10:00` that of the minute.
    pub fn parse_end(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        let begin = self.parse_time(text)?;
        let time = text.split_once([' ', 'T', 't']).map(|(_, time)| time);
        let span = match time {
            None if text.starts_with('@') => SECOND,
            None => {
                let tomorrow = text.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
                let end = self.0.to_timestamp(tomorrow.to_datetime(jiff::civil::Time::midnight())).ok()?;
                i64::try_from(end.as_nanosecond()).ok()?.checked_sub(begin.0)?
            }
            Some(time) => {
                let zone = time.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.' | ','));
                let time = time.get(..zone.unwrap_or(time.len())).unwrap_or_default();
                let (clock, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
                match (clock.bytes().filter(u8::is_ascii_digit).count(), u32::try_from(fraction.len())) {
                    (..=2, _) => 3600 * SECOND,
                    (..=4, _) => 60 * SECOND,
                    (_, digits) => (SECOND / 10_i64.checked_pow(digits.ok()?)?).max(1),
                }
            }
        };
        begin.0.checked_add(span - 1).map(Timestamp)
    }
}

fn parse_offset(text: &str) -> Option<jiff::tz::Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((h, m)) => (h, m),
        None if rest.len() == 4 => rest.split_at_checked(2)?,
        None => (rest, "0"),
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=18).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    jiff::tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(nanos: i64) -> String {
        let mut out = Vec::new();
        push_rfc3339(&mut out, Timestamp(nanos));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn agrees_with_jiff_over_the_whole_range() {
        let step = i64::MAX / 5000;
        for i in -5000..=5000_i64 {
            let nanos = i * step;
            let expect = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            assert_eq!(rfc3339(nanos), format!("{expect:.9}"), "{nanos}");
        }
        for nanos in [i64::MIN, -1, 0, 1, i64::MAX, 951_782_400 * SECOND, 4_294_967_295 * SECOND] {
            let expect = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            assert_eq!(rfc3339(nanos), format!("{expect:.9}"), "{nanos}");
        }
    }

    #[test]
    fn durations() {
        let seconds = |n| {
            let mut out = Vec::new();
            push_seconds(&mut out, n);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(seconds(281_000), "0.000281");
        assert_eq!(seconds(0), "0.0");
        assert_eq!(seconds(-1), "-0.000000001");
        assert_eq!(seconds(12 * SECOND), "12.0");
        assert_eq!(seconds(i64::MIN), "-9223372036.854775808");
        assert_eq!(micros(281_499), "0.000281");
        assert_eq!(micros(281_500), "0.000282");
        assert_eq!(micros(-2 * SECOND), "-2.000000");
    }

    #[test]
    fn zones() {
        let ts = Timestamp(1_795_514_401_178_253_000);
        assert_eq!(Zone::default().millis(ts), "2026-11-24 10:00:01.178");
        assert_eq!(Zone::parse("+05:30").unwrap().millis(ts), "2026-11-24 15:30:01.178");
        assert_eq!(Zone::parse("-0800").unwrap().seconds(ts), "2026-11-24 02:00:01");
        assert_eq!(Zone::default().clock(ts), "10:00:01.178253");
        let names = ["utc", "+05:30", "-0800", "Europe/Paris"].map(|zone| Zone::parse(zone).map(|zone| zone.name()));
        assert_eq!(names.map(Option::unwrap_or_default), ["UTC", "+05:30", "-08", "Europe/Paris"]);
        assert!(Zone::parse("Mars/Olympus").is_none());
        assert!(Zone::parse("+99:00").is_none());
    }

    #[test]
    fn typed_times() {
        let utc = Zone::default();
        let ten = Some(Timestamp(1_795_514_400 * SECOND));
        for text in [
            "2026-11-24T10:00:00Z",
            "2026-11-24 10:00",
            "2026-11-24T10:00:00",
            "@1795514400",
            "2026-11-24T12:00:00+02:00",
        ] {
            assert_eq!(utc.parse_time(text), ten, "{text}");
        }
        assert_eq!(utc.parse_time("2026-11-24"), Some(Timestamp(1_795_478_400 * SECOND)));
        assert_eq!(Zone::parse("+02:00").unwrap().parse_time("2026-11-24 12:00"), ten);
        assert_eq!(utc.parse_time("yesterday"), None);
    }

    #[test]
    fn the_end_of_what_was_typed() {
        let zone = |name| Zone::parse(name).unwrap();
        let rfc = |text: &str| zone("UTC").parse_time(text).unwrap();
        let cases = [
            ("UTC", "2026-11-24", "2026-11-24T23:59:59.999999999Z"),
            ("+02:00", "2026-11-24", "2026-11-24T21:59:59.999999999Z"),
            // Summer time ends: this day has 25 hours.
            ("Europe/Berlin", "2026-10-25", "2026-10-25T22:59:59.999999999Z"),
            ("UTC", "2026-11-24 10:00", "2026-11-24T10:00:59.999999999Z"),
            ("UTC", "2026-11-24 02:59:01", "2026-11-24T02:59:01.999999999Z"),
            ("UTC", "2026-11-24T02:59:01+01:00", "2026-11-24T01:59:01.999999999Z"),
            ("UTC", "2026-11-24T02:59:01.178Z", "2026-11-24T02:59:01.178999999Z"),
            ("UTC", "2026-11-24T02:59:01.178000001Z", "2026-11-24T02:59:01.178000001Z"),
            ("UTC", "@1795514400", "2026-11-24T10:00:00.999999999Z"),
        ];
        for (name, text, end) in cases {
            assert_eq!(zone(name).parse_end(text), Some(rfc(end)), "{name} {text}");
        }
        assert_eq!(zone("UTC").parse_end("tomorrow"), None);
    }
}
