//! Whether an issuer can satisfy a contract.

/// What an issuer publishes of its own abilities (OpenID Connect Discovery §3). Each list is `None`
/// where the issuer says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// `acr_values_supported`.
    pub acr_values: Option<Vec<String>>,
    /// `claims_supported`.
    pub claims: Option<Vec<String>>,
    /// `id_token_signing_alg_values_supported`, the nearest thing to what access tokens are signed
    /// with.
    pub signing_algorithms: Option<Vec<String>>,
    /// `dpop_signing_alg_values_supported` (RFC 9449 §5.1).
    pub dpop_algorithms: Option<Vec<String>>,
}
