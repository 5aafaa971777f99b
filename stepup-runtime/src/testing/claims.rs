//! The setters of common claims, which the builders for tokens and for callers share.

/// Adds the setters to a builder with a map `claims`.
macro_rules! claim_setters {
    ($builder:ty) => {
        impl $builder {
            /// Sets a claim of the token.
            pub fn claim(mut self, name: &str, value: impl Into<::serde_json::Value>) -> Self {
                self.claims.insert(name.to_owned(), value.into());
                self
            }

            /// Sets the user (`sub`).
            pub fn subject(self, subject: &str) -> Self {
                self.claim("sub", subject)
            }

            /// Sets the granted scopes.
            pub fn scopes<'a>(self, scopes: impl IntoIterator<Item = &'a str>) -> Self {
                let scopes: Vec<&str> = scopes.into_iter().collect();
                self.claim("scope", scopes.join(" "))
            }

            /// Sets the authentication methods.
            pub fn amr<'a>(self, amr: impl IntoIterator<Item = &'a str>) -> Self {
                self.claim("amr", amr.into_iter().collect::<Vec<_>>())
            }

            /// Sets the authentication context class.
            pub fn acr(self, acr: &str) -> Self {
                self.claim("acr", acr)
            }

            /// Sets how many seconds before the token was issued the user authenticated.
            pub fn logged_in_ago(self, seconds: u64) -> Self {
                let issued = self.claims.get("iat").and_then(::serde_json::Value::as_u64);
                self.claim("auth_time", issued.unwrap_or_default().saturating_sub(seconds))
            }
        }
    };
}

pub(crate) use claim_setters;
