//! The typed reasons of refusals, each with the text that the client receives. The texts use only the characters of
//! RFC 6750 §3 and disclose no requirement before the token is valid.

use crate::jose::jws::JwsError;
use http::StatusCode;
use std::fmt;

/// Declares an enum of reasons and the text of each.
macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $reason:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $reason,)+
        }

        impl $name {
            /// The text that the client receives.
            pub fn text(self) -> &'static str {
                match self { $(Self::$reason => $text,)+ }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$reason,)+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

reasons! {
    /// Why a token is not accepted.
    TokenError {
        /// Not a compact JWS with JSON objects, and no issuer introspects opaque tokens.
        Malformed => "the token is not a signed JWT",
        /// The header has `crit`, `b64`, `enc` or `zip`.
        HeaderExtension => "the token's header requires an extension",
        /// `alg` is missing, symmetric, `none` or unknown.
        Algorithm => "the token's algorithm is not accepted",
        /// `iss` names no configured issuer.
        UnknownIssuer => "the token's issuer is not trusted here",
        /// `typ` or another claim says that the token is not an access token.
        NotAnAccessToken => "the token is not an access token",
        /// `typ` does not say what the token is, and no claim marks it as an access token.
        NotMarkedAsAccessToken => "the token is not marked as an access token",
        /// None of the issuer's keys has the token's `kid`.
        UnknownKey => "the token's key is not known",
        /// No candidate key confirms the signature.
        WrongSignature => "the token's signature is wrong",
        /// No `sub`.
        NoSubject => "the token has no subject",
        /// `aud` does not name this API.
        Audience => "the token is for another audience",
        /// A signed token without `exp`.
        NeverExpires => "the token never expires",
        /// `exp`, `nbf` or `iat` is not a number of seconds.
        InvalidDate => "a date in the token is not a number of seconds",
        /// `exp` has passed.
        Expired => "the token has expired",
        /// `nbf` or `iat` is in the future.
        NotYetValid => "the token is not valid yet",
        /// `cnf` is not a DPoP thumbprint, or binds the token in another way too.
        UnsupportedConfirmation => "the token is bound to a key in a way that is not supported",
        /// The token is declared to be a DPoP token, and has no `cnf`.
        DeclaredBoundWithoutKey => "the token is declared to be bound to a key but names no key",
        /// The issuer or the endpoint requires DPoP, and the token is not bound.
        NotBound => "the token must be bound to a key",
        /// A bound token in the Bearer scheme.
        BoundTokenAsBearer => "the token is bound to a key; send it with its DPoP proof",
        /// An unbound token in the DPoP scheme.
        UnboundTokenAsDpop => "the token is not bound to a key; send it as Bearer",
        /// DPoP proofs cannot be checked, because the API's address is not configured.
        ProofsNotSupported => "the token is bound to a key, and this API cannot check proofs",
        /// Introspection says that the token is not active.
        Inactive => "the token is not active",
        /// The session has ended.
        SessionRevoked => "the session has ended; log in again",
        /// The account is disabled.
        AccountDisabled => "the account is disabled",
        /// The user authenticated longer ago than notices about sessions are kept, or at an unknown time.
        OutlivesNotices => "the user logged in too long ago, or at an unknown time; log in again",
        /// The introspection response names another issuer.
        IntrospectionIssuer => "the introspection response names another issuer",
        /// The introspection response has no `sub`.
        IntrospectionSubject => "the introspection response names no subject",
        /// The introspection response names another audience.
        IntrospectionAudience => "the introspection response names another audience",
        /// The introspection response has another subject, key, scope or authentication than the token.
        IntrospectionMismatch => "the introspection response contradicts the token",
        /// The introspection response says that the token is bound, and the token is not.
        IntrospectionBinding => "the introspection response says that the token is bound to a key",
    }
}

reasons! {
    /// Why a DPoP proof is not accepted (RFC 9449 §4.3).
    ProofError {
        /// No `DPoP` header.
        Missing => "the request has no DPoP proof",
        /// More than one `DPoP` header.
        Repeated => "the request has more than one DPoP proof",
        /// Not a compact JWS.
        Malformed => "the DPoP proof is not a signed JWT",
        /// `alg` is missing, symmetric, `none` or unknown.
        Algorithm => "the DPoP proof's algorithm is not accepted",
        /// The header has `crit`, `b64`, `enc` or `zip`.
        HeaderExtension => "the DPoP proof's header requires an extension",
        /// `jwk` has a private number.
        PrivateKey => "the DPoP proof contains a private key",
        /// `jwk` is not a valid public key for the proof's algorithm.
        InvalidKey => "the DPoP proof's key does not fit its algorithm",
        /// Longer than 8 KiB.
        TooLong => "the DPoP proof is too long",
        /// `typ` is not `dpop+jwt`.
        Type => "the DPoP proof's typ is not dpop+jwt",
        /// No `jwk` in the header.
        NoKey => "the DPoP proof contains no key",
        /// The thumbprint of `jwk` is not the token's `cnf.jkt`.
        OtherKey => "the DPoP proof is signed by another key than the token's",
        /// The signature does not verify.
        WrongSignature => "the DPoP proof's signature is wrong",
        /// `htm` is not the request's method.
        Method => "the DPoP proof is for another HTTP method",
        /// `htu` is not the request's address.
        Address => "the DPoP proof is for another address",
        /// `ath` is not the hash of the token.
        OtherToken => "the DPoP proof is for another token",
        /// `iat` is outside the accepted window.
        NotRecent => "the DPoP proof was not created recently",
        /// No `jti`, or one that is too long.
        Identifier => "the DPoP proof has no jti, or its jti is too long",
        /// The same `jti` was used before.
        Replayed => "the DPoP proof was used before",
    }
}

reasons! {
    /// Why a request is malformed or ambiguous.
    InvalidRequest {
        /// More than one `Authorization` header.
        RepeatedAuthorization => "the request has more than one Authorization header",
        /// A token in the header and another one in the query.
        TokenInQuery => "the request has a token in the header and one in the query",
        /// Several credentials in one `Authorization` header.
        SeveralCredentials => "the Authorization header contains more than one credential",
        /// No scheme in the `Authorization` header.
        NoScheme => "the Authorization header has no scheme",
        /// A scheme without a token.
        NoToken => "the Authorization header contains no token",
        /// Characters outside `b64token` (RFC 6750 §2.1).
        TokenCharacters => "the token contains characters that are not allowed in a token",
        /// A header or query parameter that overrides the method.
        MethodOverride => "the request names a second HTTP method",
        /// A header that overrides the path.
        TargetOverride => "the request names a second target",
        /// A forwarded prefix that was not removed from the path.
        ForwardedPrefix => "the request names a prefix of its path that is still part of the path",
        /// A path in a header that names the host.
        PathInHost => "the request contains a path in a header that names the host",
        /// CONNECT.
        Connect => "CONNECT opens a tunnel whose requests cannot be checked",
        /// An upgrade to another protocol than WebSocket.
        Upgrade => "the request asks for another protocol, in which requests cannot be checked",
        /// The method's name is not valid.
        Method => "the method cannot be parsed",
        /// The target is not in origin form (RFC 9112 §3.2.1).
        Target => "the request's target cannot be parsed",
        /// A header's name or value is not valid.
        Header => "a header cannot be parsed",
        /// More headers than can be stored.
        TooManyHeaders => "the request has too many headers",
        /// The headers exceed the configured size.
        HeadersTooLong => "the headers are too long",
        /// The token is longer than [`RequestLimits`](crate::RequestLimits) allow.
        TokenTooLong => "the token is too long",
        /// The target is longer than [`RequestLimits`](crate::RequestLimits) allow.
        TargetTooLong => "the target is too long",
        /// A header name that a server could read as an identity header.
        IdentityHeader => "a header name could be mistaken for an identity header",
    }
}

reasons! {
    /// Why a call is refused although the token is valid, without a way to recover.
    Denial {
        /// The issuer's users may not call sensitive endpoints.
        IssuerBarred => "users of this issuer may not call this endpoint",
        /// The session's risk is too high.
        Risk => "the session's risk is too high",
        /// Another rule of the contract refuses the call.
        Other => "the call is not allowed",
    }
}

reasons! {
    /// How the service is misconfigured. The log says how to fix it.
    Misconfiguration {
        /// The endpoint's record in the program cannot be parsed.
        UnreadableEndpoint => "the endpoint's requirement cannot be parsed",
        /// This version, as it is configured, cannot enforce the endpoint's requirement.
        UnenforceableEndpoint => "the endpoint cannot be enforced",
        /// `strict_routes`, and the handler is mounted at another route than its attribute declares.
        OtherRoute => "the handler is mounted at another route",
        /// Middleware changed the path between the outermost router and the contract layer.
        PathRewritten => "the path was changed inside the service",
        /// A handler takes a `Principal` and has no guard.
        NotGuarded => "the handler is not guarded",
        /// A gateway did not send the method and the target of its client's request.
        GatewayHeaders => "the gateway did not send the client's request",
    }
}

impl InvalidRequest {
    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TokenTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<JwsError> for TokenError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Malformed => Self::Malformed,
            JwsError::Extension => Self::HeaderExtension,
            JwsError::Algorithm => Self::Algorithm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6750 §3: %x20-21 / %x23-5B / %x5D-7E.
    #[test]
    fn every_text_may_stand_in_an_error_description() {
        let texts = TokenError::ALL.iter().map(|reason| reason.text());
        let texts = texts.chain(ProofError::ALL.iter().map(|reason| reason.text()));
        let texts = texts.chain(InvalidRequest::ALL.iter().map(|reason| reason.text()));
        let texts = texts.chain(Denial::ALL.iter().map(|reason| reason.text()));
        let texts = texts.chain(Misconfiguration::ALL.iter().map(|reason| reason.text()));
        for text in texts {
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(!text.is_empty() && text.bytes().all(allowed), "{text}");
        }
    }
}
