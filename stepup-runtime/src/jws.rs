//! A JWS in compact form (RFC 7515 §3.1) with a JSON object in it, before its signature is checked.
//! Nothing of it is believed yet. Keys that a header brings or points at (`jwk`, `jku`, `x5u`, `x5c`)
//! are never used to verify it, except by DPoP, whose proofs are made to bring their own.

use crate::algorithm::Algorithm;
use crate::jwks::Key;
use crate::refusal::Cause;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use stepup_contract::parse_strict;

/// A compact JWS, read.
pub(crate) struct Jws<'a> {
    message: &'a [u8],
    signature: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// In lower case and without `application/`: a media type (RFC 7515 §4.1.9).
    pub(crate) typ: Option<String>,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

/// The header parameters that change how a JWS is read. No extension is understood here, so that any
/// critical one is refused (RFC 7515 §4.1.11).
const EXTENSIONS: [&str; 4] = ["crit", "b64", "enc", "zip"];

impl<'a> Jws<'a> {
    /// Whether a token is a JWS, or would be one for somebody: it has three parts and begins with a JSON object, or any
    /// other number of them and begins with the header of a JWS. Issuers overlook a dot at the end, say, and would
    /// answer for the token with what they know of its user, which nobody has verified here. A token of any other
    /// form can only be opaque; that of a JWE (RFC 7516 §3.1) is, to all but its issuer.
    pub(crate) fn has_form_of(token: &str) -> bool {
        let mut parts = token.split('.').skip_while(|part| part.is_empty());
        let header = parts.next().unwrap_or_default();
        let is_whole = token.split('.').count() == 3;
        // Base64 of `{"`, which every issuer begins with.
        if is_whole && header.starts_with("ey") {
            return true;
        }
        // Leniently, so that an odd JWS is refused as one and is not taken for an opaque token.
        let engine = base64::engine::GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            base64::engine::GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
        );
        let Ok(header) = engine.decode(header) else { return false };
        if is_whole {
            return header.trim_ascii_start().starts_with(b"{");
        }
        let header = serde_json::from_slice::<Map<String, Value>>(&header).unwrap_or_default();
        header.contains_key("alg") && !header.contains_key("enc")
    }

    /// Reads a token; its parts are base64url in the one canonical spelling, its header and claims
    /// are objects in which nothing stands twice.
    pub(crate) fn read(token: &'a str) -> Result<Self, Cause> {
        const MALFORMED: Cause = Cause::InvalidToken("the token is not a signed JWT");
        let (message, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, payload) = message.split_once('.').ok_or(MALFORMED)?;
        if payload.contains('.') {
            return Err(MALFORMED);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED);
        let object = |part: &str| match parse_strict(&decode(part)?) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(MALFORMED),
        };
        let header = object(header)?;
        let claims = object(payload)?;
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(MALFORMED),
        };
        if EXTENSIONS.iter().any(|name| header.contains_key(*name)) {
            return Err(Cause::InvalidToken("the token's header asks for an extension"));
        }
        let algorithm = text("alg")?
            .and_then(Algorithm::named)
            .ok_or(Cause::InvalidToken("the token's algorithm is not accepted"))?;
        let typ = text("typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
        });
        Ok(Self {
            message: message.as_bytes(),
            signature: decode(signature)?,
            algorithm,
            kid: text("kid")?.map(str::to_owned),
            typ,
            header,
            claims,
        })
    }

    /// Whether this key has signed it.
    pub(crate) fn is_signed_by(&self, key: &Key) -> bool {
        key.verifies(self.algorithm, self.message, &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_jws_is_no_opaque_token() {
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
            assert!(Jws::has_form_of(token), "{token}");
        }
        for token in ["opaque", "a.b", "a.b.c", "e30.e30", "e30.e30.e30.e30", "..", "W10.e30.x"] {
            assert!(!Jws::has_form_of(token), "{token}");
        }
    }
}
