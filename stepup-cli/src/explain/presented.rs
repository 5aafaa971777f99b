//! The token, or the claims of one, in a file.

use crate::contract_file::input::bytes;
use crate::report::failure::Failure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::path::Path;
use stepup_contract::parse_strict;

/// The credential that is explained.
pub(crate) struct Presented {
    /// The token itself, if the file contains one.
    pub(crate) token: Option<String>,
    pub(crate) claims: Map<String, Value>,
}

impl Presented {
    /// Reads a token from one file, or claims from another.
    pub(crate) fn read(token: Option<&Path>, claims_file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = token else {
            let path = claims_file.unwrap_or(Path::new("-"));
            return Ok(Self { token: None, claims: claims(path, &text(path)?)? });
        };
        if looks_like_token(path) {
            return Err(Failure::Usage(
                "--token takes a file; write the token into a file, or pass it on standard input with `--token -`, so \
                 that it does not stay in the shell's history"
                    .into(),
            ));
        }
        let token = text(path)?.trim().to_owned();
        let odd = |reason: &str| Failure::Usage(format!("{}: {reason}", path.display()));
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

/// Whether a token was passed instead of the name of a file.
fn looks_like_token(path: &Path) -> bool {
    let text = path.to_str().unwrap_or_default();
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    text.starts_with("eyJ") && text.split('.').count() == 3 && !path.exists()
}

fn text(path: &Path) -> Result<String, Failure> {
    let odd = |_| Failure::Usage(format!("{}: not UTF-8 text", path.display()));
    String::from_utf8(bytes(path)?).map_err(odd)
}

fn claims(path: &Path, text: &str) -> Result<Map<String, Value>, Failure> {
    match parse_strict(text.as_bytes()) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) => Err(Failure::Usage(format!("{}: claims must be a JSON object", path.display()))),
        Err(error) => Err(Failure::Usage(format!("{}: {error}", path.display()))),
    }
}
