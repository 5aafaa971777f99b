//! The headers that tell the upstream who calls. Every one of those that are told is in every answer that lets a
//! request through, with an empty value where nothing is known, so that what a client sent under its name is gone.
//! Those that are not told are the gateway's to take away: Envoy is asked to, and what `stepup render` prints does.

use crate::failure::Failure;
use http::HeaderName;
use hyper::body::Bytes;
use serde::Deserialize;
use std::fmt::Write;
use std::str::FromStr;
use stepup_runtime::{Admission, Principal, reads_as};

/// What a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Subject,
    Issuer,
    Client,
    Scopes,
    Amr,
    Acr,
    AuthTime,
}

/// How many things there are to tell.
const THINGS: usize = 7;

const ALL: [(What, &str, HeaderName); THINGS] = [
    (What::Subject, "subject", HeaderName::from_static("x-step-up-subject")),
    (What::Issuer, "issuer", HeaderName::from_static("x-step-up-issuer")),
    (What::Client, "client", HeaderName::from_static("x-step-up-client")),
    (What::Scopes, "scopes", HeaderName::from_static("x-step-up-scopes")),
    (What::Amr, "amr", HeaderName::from_static("x-step-up-amr")),
    (What::Acr, "acr", HeaderName::from_static("x-step-up-acr")),
    (What::AuthTime, "auth-time", HeaderName::from_static("x-step-up-auth-time")),
];

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = ALL.into_iter().find(|(_, name, _)| *name == text);
        known.map(|(what, ..)| what).ok_or_else(|| {
            let known = ALL.map(|(_, name, _)| name).join(", ");
            format!("unknown {text:?}; one of {known}")
        })
    }
}

/// One thing to tell, or that nothing is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Told {
    /// `nothing`
    Nothing,
    /// `subject`, for example
    What(What),
}

impl FromStr for Told {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "nothing" {
            return Ok(Self::Nothing);
        }
        text.parse().map(Self::What).map_err(|why| format!("{why}, or nothing"))
    }
}

impl TryFrom<String> for Told {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The header of one thing: `subject=X-User`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Named {
    what: What,
    header: HeaderName,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, header) = text.split_once('=').ok_or("write it as subject=X-User")?;
        let what = what.parse()?;
        // Other signs are read in several ways, and not by every gateway.
        if header.is_empty() || !header.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!("{header:?} is not a header name; use letters, digits and `-`"));
        }
        let header = header.parse().map_err(|_| format!("{header:?} is not a header name"))?;
        Ok(Self { what, header })
    }
}

impl TryFrom<String> for Named {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Headers that a gateway or a server needs for itself.
const TAKEN: [&str; 14] = [
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dpop",
    "host",
    "set-cookie",
    "step-up-problem",
    "te",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// The headers' names.
#[derive(Debug)]
pub(crate) struct Identity {
    told: Vec<(What, HeaderName)>,
    untold: Vec<HeaderName>,
}

impl Identity {
    /// The usual names, and those that were given; all is told unless `tell` names what is.
    pub(crate) fn new(given: &[Named], tell: &[Told]) -> Result<Self, Failure> {
        if tell.len() > 1 && tell.contains(&Told::Nothing) {
            let why = "`nothing` cannot be combined with something to tell; remove one of them";
            return Err(Failure::Usage(why.into()));
        }
        let mut headers: Vec<(What, HeaderName)> =
            ALL.into_iter().map(|(what, _, header)| (what, header)).collect();
        for named in given {
            for (what, header) in &mut headers {
                if *what == named.what {
                    *header = named.header.clone();
                }
            }
        }
        for (index, (_, header)) in headers.iter().enumerate() {
            let twice = headers.iter().skip(index + 1).any(|(_, other)| other == header);
            if twice || TAKEN.contains(&header.as_str()) {
                let why = format!(
                    "`{header}` is needed for something else; choose another identity header"
                );
                return Err(Failure::Usage(why));
            }
        }
        let is_told = |what| tell.is_empty() || tell.contains(&Told::What(what));
        let (told, untold): (Vec<_>, Vec<_>) =
            headers.into_iter().partition(|(what, _)| is_told(*what));
        let untold = untold.into_iter().map(|(_, header)| header).collect();
        Ok(Self { told, untold })
    }

    /// Every header that is told, with what it tells of a request that is let through, in visible ASCII and
    /// spaces. All the values are parts of one text.
    pub(crate) fn of(&self, admission: &Admission) -> impl Iterator<Item = (&HeaderName, Bytes)> {
        let mut text = String::with_capacity(if self.told.is_empty() { 0 } else { 256 });
        let mut ends = [0; THINGS];
        if let Some(principal) = admission.principal() {
            for ((what, _), end) in self.told.iter().zip(&mut ends) {
                tell(*what, principal, &mut text);
                *end = text.len();
            }
        }
        let (text, mut start) = (Bytes::from(text), 0);
        self.told.iter().zip(ends).map(move |((_, header), end)| {
            (header, text.slice(std::mem::replace(&mut start, end)..end))
        })
    }

    /// Whether the upstream is told a subject and not whose it is, which is enough for one issuer only.
    pub(crate) fn is_of_one_issuer(&self) -> bool {
        let tells = |one| self.told.iter().any(|(what, _)| *what == one);
        tells(What::Subject) && !tells(What::Issuer)
    }

    /// The names of the headers that are told.
    pub(crate) fn told(&self) -> impl ExactSizeIterator<Item = &HeaderName> {
        self.told.iter().map(|(_, header)| header)
    }

    /// The names of the headers that no client may send although nothing is told in them: a service may
    /// still read them.
    pub(crate) fn untold(&self) -> impl ExactSizeIterator<Item = &HeaderName> {
        self.untold.iter()
    }

    /// The names of all the headers that no client may send.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.told().chain(self.untold())
    }

    /// Whether a server may take this for one of the headers, although it is written otherwise. What is written as
    /// they are is taken away, and what is not is refused.
    pub(crate) fn is_mimicked_by(&self, name: &str) -> bool {
        self.names().any(|header| header != name && reads_as(name, header.as_str()))
    }
}

fn tell(what: What, principal: &Principal, text: &mut String) {
    match what {
        What::Subject => escape([principal.subject()], text),
        What::Issuer => escape([principal.issuer()], text),
        What::Client => escape(principal.client(), text),
        What::Scopes => escape(principal.scopes().iter().map(String::as_str), text),
        What::Amr => escape(principal.amr().iter().map(String::as_str), text),
        What::Acr => escape(principal.acr(), text),
        What::AuthTime => {
            if let Some(time) = principal.auth_time() {
                // Writing to a string does not fail.
                let _ = write!(text, "{time}");
            }
        }
    }
}

/// Values as words of a header, with spaces between them: what is not visible ASCII is percent-encoded, and so is
/// a percent sign, so that no value can be taken for two, or for another's.
fn escape<'a>(values: impl IntoIterator<Item = &'a str>, text: &mut String) {
    let mut between = "";
    for value in values {
        text.push_str(between);
        between = " ";
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%' && byte != b',';
        if value.bytes().all(plain) {
            text.push_str(value);
            continue;
        }
        for byte in value.bytes() {
            if plain(byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_of_visible_ascii() {
        for (value, text) in [
            ("alice", "alice"),
            ("auth0|1/2@x", "auth0|1/2@x"),
            ("a b", "a%20b"),
            ("a,b%", "a%2Cb%25"),
            ("é\r\nX-Admin: 1", "%C3%A9%0D%0AX-Admin:%201"),
        ] {
            let mut escaped = String::new();
            escape([value, value], &mut escaped);
            assert_eq!(escaped, format!("{text} {text}"));
        }
    }

    #[test]
    fn every_header_stands_in_every_answer() {
        let identity = Identity::new(&["subject=X-User".parse().unwrap()], &[]).unwrap();
        let headers: Vec<_> = identity.of(&Admission::Unlisted).collect();
        assert_eq!(headers.len(), ALL.len());
        assert!(headers.iter().all(|(_, value)| value.is_empty()));
        assert_eq!(headers[0].0, "x-user");
    }

    #[test]
    fn what_is_not_told_is_still_no_clients_to_send() {
        let told: Vec<Told> = ["amr", "subject"].map(|told| told.parse().unwrap()).into();
        let identity = Identity::new(&["client=X-Client".parse().unwrap()], &told).unwrap();
        let told: Vec<_> = identity.of(&Admission::Unlisted).map(|(name, _)| name).collect();
        assert_eq!(told, ["x-step-up-subject", "x-step-up-amr"]);
        assert_eq!(identity.names().count(), ALL.len());
        assert!(identity.is_of_one_issuer());
        assert!(identity.untold().any(|name| name == "x-client"));
        assert!(identity.is_mimicked_by("x_client"));

        let nothing = Identity::new(&[], &[Told::Nothing]).unwrap();
        assert_eq!(nothing.of(&Admission::Unlisted).count(), 0);
        assert!(!nothing.is_of_one_issuer());
        assert_eq!(nothing.untold().len(), ALL.len());
        assert!(Identity::new(&[], &[Told::Nothing, Told::What(What::Acr)]).is_err());
        assert!("who".parse::<Told>().unwrap_err().contains("auth-time, or nothing"));
    }

    #[test]
    fn a_header_is_known_behind_other_signs() {
        let identity = Identity::new(&[], &[]).unwrap();
        for name in ["x_step_up_subject", "x-step_up-subject", "x.step-up~subject"] {
            assert!(identity.is_mimicked_by(name), "{name}");
        }
        for name in ["x-step-up-subject", "x_other", "x-step-up-subjects"] {
            assert!(!identity.is_mimicked_by(name), "{name}");
        }
    }

    #[test]
    fn a_name_with_another_use_is_refused() {
        for given in ["subject=Authorization", "subject=Cookie", "subject=X-Step-Up-Acr"] {
            assert!(Identity::new(&[given.parse().unwrap()], &[]).is_err(), "{given}");
        }
        assert!("who=X".parse::<Named>().unwrap_err().contains("subject, issuer"));
        for odd in ["subject=a b", "subject=X_User", "subject=X.User", "subject="] {
            assert!(odd.parse::<Named>().is_err(), "{odd}");
        }
    }
}
