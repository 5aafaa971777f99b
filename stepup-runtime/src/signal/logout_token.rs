//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4 to §2.6): the session at the identity provider has ended.

use crate::issuer::trusted::TrustedIssuer;
use crate::jose::jws::Jws;
use crate::refusal::Cause;
use crate::session::notice::{Notice, NoticeEffect, NoticeSource, NoticeTarget};
use crate::token::claims::names_audience;
use crate::token::times::TokenTimes;
use serde_json::Value;
use std::sync::Arc;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Why a logout token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogoutRefusal {
    /// The token is not valid; the reason.
    Invalid(&'static str),
    /// The issuer's keys cannot be fetched at the moment.
    Unavailable,
}

/// Verifies a logout token. The notice ends the session that the token names, else all sessions of its subject.
pub(crate) async fn read(
    token: &str,
    issuers: &[Arc<TrustedIssuer>],
    audiences: &[String],
    now: u64,
) -> Result<Notice, LogoutRefusal> {
    use LogoutRefusal::Invalid;
    let jws = Jws::parse(token).map_err(|_| Invalid("it is not a signed JWT"))?;
    let text = |name: &str| jws.claims.get(name).and_then(Value::as_str);
    let issuer = issuers.iter().find(|issuer| text("iss") == Some(issuer.name.as_str()));
    let issuer = issuer.ok_or(Invalid("its issuer is not trusted here"))?;
    if !matches!(jws.typ.as_deref(), None | Some("logout+jwt" | "jwt")) {
        return Err(Invalid("its typ is not logout+jwt"));
    }
    if names_audience(jws.claims.get("aud"), audiences) != Some(true) {
        return Err(Invalid("its audience is not a client whose logouts this API receives"));
    }
    issuer.keys.verify(&jws).await.map_err(|cause| match cause {
        Cause::Unavailable { .. } => LogoutRefusal::Unavailable,
        _ => Invalid("no key of its issuer has signed it"),
    })?;
    // An ID token has a nonce, and no events.
    let event = jws.claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(Invalid("its events do not contain a logout"));
    }
    if jws.claims.contains_key("nonce") {
        return Err(Invalid("it has a nonce"));
    }
    if text("jti").is_none_or(str::is_empty) {
        return Err(Invalid("it has no jti"));
    }
    let times = TokenTimes::of(&jws.claims, false).map_err(|_| Invalid("a date is not valid"))?;
    let issued_at = times.issued_at().ok_or(Invalid("it has no iat"))?;
    times
        .check(now, issuer.profile.skew())
        .map_err(|_| Invalid("it has expired, or is not valid yet"))?;
    let id = |name| text(name).filter(|id| !id.is_empty());
    let target = match (id("sid"), id("sub")) {
        (Some(sid), _) => NoticeTarget::session(&issuer.name, sid),
        (None, Some(subject)) => NoticeTarget::subject(&issuer.name, subject),
        (None, None) => return Err(Invalid("it has neither sid nor sub")),
    };
    let effect = NoticeEffect::Revoked { except: None };
    let notice =
        Notice::new(target, effect, issued_at, NoticeSource::Logout, "a logout at the issuer");
    notice.check().map_err(|_| Invalid("its sid or sub is too long"))?;
    Ok(notice)
}
