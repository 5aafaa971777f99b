//! The token, or the claims that stand for one, as a file has them.

use super::Arguments;
use crate::failure::Failure;
use crate::input::bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::path::Path;
use stepup_contract::parse_strict;

/// What is shown in place of a request's credential.
pub(super) struct Presented {
    /// The token itself, where there is one.
    pub(super) token: Option<String>,
    pub(super) claims: Map<String, Value>,
}

impl Presented {
    pub(super) fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let Some(path) = &arguments.token else {
            let path = arguments.claims.as_deref().unwrap_or(Path::new("-"));
            return Ok(Self { token: None, claims: claims(path, &text(path)?)? });
        };
        let token = text(path)?.trim().to_owned();
        let odd = |why: &str| Failure::Usage(format!("{}: {why}", path.display()));
        let payload = match token.split('.').collect::<Vec<_>>()[..] {
            [_, payload, _] => payload,
            _ => {
                return Err(odd(
                    "not a JWT; for an opaque token, pass the introspection response with --claims",
                ));
            }
        };
        let payload = URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|_| odd("the token's payload is not base64url"))?;
        let claims = claims(path, &String::from_utf8_lossy(&payload))?;
        Ok(Self { token: Some(token), claims })
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let odd = |_| Failure::Usage(format!("{}: not UTF-8 text", path.display()));
    String::from_utf8(bytes(path)?).map_err(odd)
}

fn claims(path: &Path, text: &str) -> Result<Map<String, Value>, Failure> {
    match parse_strict(text.as_bytes()) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) => Err(Failure::Usage(format!("{}: claims must be a JSON object", path.display()))),
        Err(why) => Err(Failure::Usage(format!("{}: {why}", path.display()))),
    }
}
