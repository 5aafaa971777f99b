//! The values of the identity headers. Every response that allows a request contains all of them, with an empty value
//! if nothing is known, so that a value from the client never reaches the upstream.

use crate::settings::identity::{FIELDS, Identity, IdentityField};
use http::HeaderName;
use hyper::body::Bytes;
use std::fmt::Write;
use stepup_runtime::{Admission, Principal};

/// Every header that is sent, with its value for this request in visible ASCII and spaces. All values share one buffer.
pub(crate) fn identity_headers<'a>(
    identity: &'a Identity,
    admission: &Admission,
) -> impl Iterator<Item = (&'a HeaderName, Bytes)> {
    let fields = identity.fields();
    let mut text = String::with_capacity(if fields.is_empty() { 0 } else { 256 });
    let mut ends = [0; FIELDS];
    if let Some(principal) = admission.principal() {
        for ((field, _), end) in fields.iter().zip(&mut ends) {
            write_value(*field, principal, &mut text);
            *end = text.len();
        }
    }
    let (text, mut start) = (Bytes::from(text), 0);
    fields.iter().zip(ends).map(move |((_, header), end)| {
        (header, text.slice(std::mem::replace(&mut start, end)..end))
    })
}

fn write_value(field: IdentityField, principal: &Principal, text: &mut String) {
    match field {
        IdentityField::Subject => escape([principal.subject()], text),
        IdentityField::Issuer => escape([principal.issuer()], text),
        IdentityField::Client => escape(principal.client(), text),
        IdentityField::Scopes => escape(principal.scopes().iter().map(String::as_str), text),
        IdentityField::Amr => escape(principal.amr().iter().map(String::as_str), text),
        IdentityField::Acr => escape(principal.acr(), text),
        IdentityField::AuthTime => {
            if let Some(time) = principal.auth_time() {
                // Writing to a string does not fail.
                let _ = write!(text, "{time}");
            }
        }
    }
}

/// Values as space-separated words of a header. Other characters than visible ASCII are percent-encoded, and so are
/// commas and percent signs, so that no value can be read as two values or as another value.
fn escape<'a>(values: impl IntoIterator<Item = &'a str>, text: &mut String) {
    let mut separator = "";
    for value in values {
        text.push_str(separator);
        separator = " ";
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
    use crate::settings::identity::FieldSelection;

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
    fn every_response_contains_every_header_that_is_sent() {
        let identity = Identity::new(&["subject=X-User".parse().unwrap()], &[]).unwrap();
        let headers: Vec<_> = identity_headers(&identity, &Admission::Unlisted).collect();
        assert_eq!(headers.len(), FIELDS);
        assert!(headers.iter().all(|(_, value)| value.is_empty()));
        assert_eq!(headers[0].0, "x-user");
        let nothing = Identity::new(&[], &[FieldSelection::Nothing]).unwrap();
        assert_eq!(identity_headers(&nothing, &Admission::Unlisted).count(), 0);
    }
}
