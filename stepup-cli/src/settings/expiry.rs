//! Reasons and last days of exceptions, as the settings file has them.

use crate::report::waived::Waived;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// Whether an exception applies today.
pub(crate) fn waived(reason: &str, last_day: jiff::civil::Date) -> Waived {
    let today = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    match today <= last_day {
        true => Waived::Yes(reason.to_owned()),
        false => Waived::Expired(last_day.to_string()),
    }
}

pub(super) fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom(
            "the reason is empty; write why this exception is acceptable",
        ));
    }
    Ok(text)
}

pub(super) fn date<'de, D: Deserializer<'de>>(from: D) -> Result<jiff::civil::Date, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a date, as in 2027-01-31")]
    enum Written {
        Text(String),
        Date(toml::value::Datetime),
    }
    let text = match Written::deserialize(from)? {
        Written::Text(text) => text,
        Written::Date(date) => date.to_string(),
    };
    let date = text.parse().ok().filter(|date: &jiff::civil::Date| date.to_string() == text);
    date.ok_or_else(|| D::Error::custom(format!("{text:?} is not a date; write it as 2027-01-31")))
}
