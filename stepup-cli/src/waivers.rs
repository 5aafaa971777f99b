//! What was found and may stay, for a reason and for a time.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// A waiver, as the settings have it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Waiver {
    /// What it waives, by its fingerprint.
    #[serde(deserialize_with = "fingerprint")]
    pub(crate) fingerprint: String,
    /// Why it may stay.
    #[serde(deserialize_with = "reason")]
    pub(crate) reason: String,
    /// The last day on which it may.
    #[serde(deserialize_with = "date")]
    expires: jiff::civil::Date,
}

/// What a waiver does for a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waived {
    No,
    /// For this reason.
    Yes(String),
    /// Not any more: the day is over.
    Expired(String),
}

impl Waived {
    /// What these waivers say of a finding today.
    pub(crate) fn by(waivers: &[Waiver], fingerprint: &str) -> Self {
        let today = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let mut expired = Self::No;
        for waiver in waivers.iter().filter(|waiver| waiver.fingerprint == fingerprint) {
            if today <= waiver.expires {
                return Self::Yes(waiver.reason.clone());
            }
            expired = Self::Expired(waiver.expires.to_string());
        }
        expired
    }

    /// The reason of a waiver that holds, and the last day of one that does not any more.
    pub(crate) fn told(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::No => (None, None),
            Self::Yes(reason) => (Some(reason), None),
            Self::Expired(day) => (None, Some(day)),
        }
    }

    pub(crate) fn is_waived(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

fn fingerprint<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text);
    }
    Err(D::Error::custom(format!(
        "{text:?} is no fingerprint; copy the 16 hexadecimal digits that stand beside a finding"
    )))
}

fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom("a waiver needs a reason; say why it may stay"));
    }
    Ok(text)
}

fn date<'de, D: Deserializer<'de>>(from: D) -> Result<jiff::civil::Date, D::Error> {
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
    date.ok_or_else(|| D::Error::custom(format!("{text:?} is no date; write it as in 2027-01-31")))
}
