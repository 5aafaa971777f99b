//! A JWS in compact form (RFC 7515 §3.1) with a JSON object as its payload, before its signature is checked. No part
//! of it is trusted yet. Keys that a header contains or points at (`jwk`, `jku`, `x5u`, `x5c`) never verify it; the
//! exception is a DPoP proof, which contains its own key by design.

use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::VerifyingKey;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use stepup_contract::parse_strict;
use thiserror::Error;

/// A parsed compact JWS.
pub(crate) struct Jws<'a> {
    message: &'a [u8],
    signature: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// In lower case and without `application/`: a media type (RFC 7515 §4.1.9).
    pub(crate) typ: Option<String>,
    /// The public key that a DPoP proof contains.
    pub(crate) jwk: Option<Map<String, Value>>,
    pub(crate) claims: Map<String, Value>,
    /// The claims as JSON text.
    pub(crate) payload: Vec<u8>,
}

/// Why a token is not an acceptable JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum JwsError {
    #[error("not a signed JWT")]
    Malformed,
    #[error("the header requires an extension")]
    Extension,
    #[error("the algorithm is not accepted")]
    Algorithm,
}

/// The header parameters that change how a JWS is read. No extension is supported, so any critical one is refused
/// (RFC 7515 §4.1.11).
const EXTENSIONS: [&str; 4] = ["crit", "b64", "enc", "zip"];

/// Whether a token is a JWS, or some parser could take it for one: it has three parts and starts with a JSON object,
/// or another number of parts and starts with a JWS header. Some issuers ignore an additional dot and would answer an
/// introspection of such a token with the current state of its user, although nobody verified the token here. Any
/// other token can only be opaque. A JWE (RFC 7516 §3.1) is opaque to all parties except its issuer.
pub(crate) fn looks_like_jws(token: &str) -> bool {
    let mut parts = token.split('.').skip_while(|part| part.is_empty());
    let header = parts.next().unwrap_or_default();
    let has_three_parts = token.split('.').count() == 3;
    // `ey` is base64 of `{"`, the usual start of a header.
    if has_three_parts && header.starts_with("ey") {
        return true;
    }
    // Decoded leniently, so that an unusual JWS is refused as a JWS instead of being treated as opaque.
    let lenient = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let Ok(header) = lenient.decode(header) else { return false };
    if has_three_parts {
        return header.trim_ascii_start().starts_with(b"{");
    }
    let header = serde_json::from_slice::<Map<String, Value>>(&header).unwrap_or_default();
    header.contains_key("alg") && !header.contains_key("enc")
}

impl<'a> Jws<'a> {
    /// Parses a token. Its parts must be base64url in the canonical spelling; its header and claims must be objects
    /// without duplicate keys.
    pub(crate) fn parse(token: &'a str) -> Result<Self, JwsError> {
        let (message, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(JwsError::Malformed)?;
        if payload.contains('.') {
            return Err(JwsError::Malformed);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Malformed);
        let object = |text: &[u8]| match parse_strict(text) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(JwsError::Malformed),
        };
        let header = decode(header)?;
        let payload = decode(payload)?;
        let claims = object(&payload)?;
        let Header { algorithm, kid, typ, jwk } = match Header::of_common_form(&header) {
            Some(header) => header,
            None => Header::of_object(object(&header)?)?,
        };
        let (message, signature) = (message.as_bytes(), decode(signature)?);
        Ok(Self { message, signature, algorithm, kid, typ, jwk, claims, payload })
    }

    /// Whether this key has signed it.
    pub(crate) fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.verifies(self.algorithm, self.message, &self.signature)
    }
}

/// The parameters of a header that matter here.
struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    jwk: Option<Map<String, Value>>,
}

impl Header {
    /// Reads a header that has only the three most common parameters, each once and as text, without building an
    /// object. `None` for any other header, which [`of_object`](Self::of_object) then reads or refuses.
    fn of_common_form(text: &[u8]) -> Option<Self> {
        // serde reads a struct from an array too, and a header is an object.
        if !text.starts_with(b"{") {
            return None;
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Common<'a> {
            alg: &'a str,
            #[serde(borrow, default, deserialize_with = "not_null")]
            kid: Option<&'a str>,
            #[serde(borrow, default, deserialize_with = "not_null")]
            typ: Option<&'a str>,
        }
        let Common { alg, kid, typ } = serde_json::from_slice(text).ok()?;
        let algorithm = Algorithm::named(alg)?;
        Some(Self {
            algorithm,
            kid: kid.map(str::to_owned),
            typ: typ.map(normalized_typ),
            jwk: None,
        })
    }

    fn of_object(mut header: Map<String, Value>) -> Result<Self, JwsError> {
        if EXTENSIONS.iter().any(|name| header.contains_key(*name)) {
            return Err(JwsError::Extension);
        }
        let mut text = |name: &str| match header.get_mut(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(std::mem::take(text))),
            Some(_) => Err(JwsError::Malformed),
        };
        let (algorithm, kid, typ) = (text("alg")?, text("kid")?, text("typ")?);
        let algorithm =
            algorithm.as_deref().and_then(Algorithm::named).ok_or(JwsError::Algorithm)?;
        let jwk = match header.remove("jwk") {
            Some(Value::Object(jwk)) => Some(jwk),
            _ => None,
        };
        Ok(Self { algorithm, kid, typ: typ.as_deref().map(normalized_typ), jwk })
    }
}

/// A text that may be missing but not `null`.
fn not_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de str>, D::Error> {
    <&str>::deserialize(from).map(Some)
}

/// In lower case and without `application/` (RFC 7515 §4.1.9).
fn normalized_typ(typ: &str) -> String {
    let mut typ = typ.to_ascii_lowercase();
    if typ.starts_with("application/") {
        typ.drain(.."application/".len());
    }
    typ
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_starts_like_a_jws_is_not_opaque() {
        for token in [
            "e30.e30.x",
            "eyJhbGciOiJub25lIn0..",
            "e30=.e30.",
            "IHt9.a.b",
            "eyJhbGciOiJub25lIn0",
            "eyJhbGciOiJub25lIn0.e30",
            "eyJhbGciOiJub25lIn0.e30.a.",
            ".eyJhbGciOiJub25lIn0.e30.a",
        ] {
            assert!(looks_like_jws(token), "{token}");
        }
        for token in ["opaque", "a.b", "a.b.c", "e30.e30", "e30.e30.e30.e30", "..", "W10.e30.x"] {
            assert!(!looks_like_jws(token), "{token}");
        }
    }

    /// The short path for common headers must refuse and read exactly what the general path refuses and reads.
    #[test]
    fn both_ways_to_read_a_header_agree() {
        assert!(Header::of_common_form(br#"{"alg":"ES256","kid":"k","typ":"JWT"}"#).is_some());
        for header in [
            r#"{"alg":"ES256"}"#,
            r#"{"alg":"ES256","kid":"k","typ":"application/AT+jwt"}"#,
            r#" {"typ":"JWT","kid":"\u006b","alg":"ES256"}"#,
            r#"["ES256","k","at+jwt"]"#,
            r#"["ES256"]"#,
            r#"{"alg":"ES256","kid":null}"#,
            r#"{"alg":"ES256","typ":null}"#,
            r#"{"alg":null}"#,
            r#"{"kid":"k"}"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"ES256","alg":"ES256"}"#,
            r#"{"alg":"ES256","kid":"k","\u006bid":"k"}"#,
            r#"{"alg":"ES256","crit":["exp"]}"#,
            r#"{"alg":"ES256"}x"#,
            "\u{feff}{\"alg\":\"ES256\"}",
        ] {
            let fields = |header: Header| (header.algorithm, header.kid, header.typ);
            let general = match parse_strict(header.as_bytes()) {
                Ok(Value::Object(map)) => Header::of_object(map).ok().map(fields),
                _ => None,
            };
            if let Some(common) = Header::of_common_form(header.as_bytes()) {
                assert_eq!(Some(fields(common)), general, "{header}");
            }
            let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(Jws::parse(&token).is_ok(), general.is_some(), "{header}");
        }
    }
}
