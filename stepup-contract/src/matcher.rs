//! Which endpoint takes a request, for an enforcer that stands in front of the program: it must not be led
//! past the contract by a request that the program reads in another way than it does.

use crate::contract::{Contract, Unlisted};
use crate::endpoint::Endpoint;
use crate::http_method::HttpMethod;
use crate::path::{Segment, segment};
use crate::spelling::{Ambiguous, careless, plain_path};
use crate::table::Table;
use std::ptr;

/// Finds the endpoint of a request as [`Table`] does, and refuses what a program could read as a request
/// for another endpoint. There are as many ways to read a path as there are servers: as it is written, with
/// what needs no encoding decoded, or with all of it decoded, with or without regard to case and to what
/// stands at its end; and where a path does not take the method, some go on looking. Whichever of them stand
/// behind the enforcer, they must find the same endpoint.
#[derive(Debug, Clone)]
pub struct Matcher {
    exact: Table,
    /// As a careless server has it; `None` where it would be the same.
    careless: Option<Table>,
    unlisted: Unlisted,
}

const METHOD: Ambiguous =
    Ambiguous::new("the method is one that some servers read as another, for its case");
const ENCODED: Ambiguous = Ambiguous::new(
    "the path is encoded where it need not be, and is another endpoint's as it is written",
);
const NEAR: Ambiguous = Ambiguous::new(
    "the path is another endpoint's for a server that overlooks case, encodings, or what is at its end",
);
const ELSEWHERE: Ambiguous = Ambiguous::new(
    "the path does not take this method, and is that of a more general endpoint which does",
);

impl Matcher {
    /// Finds the endpoints of this contract.
    pub fn new(contract: &Contract) -> Self {
        let exact = contract.table();
        let differs = |path: &str| path != "/" && careless(path) != path;
        let differ = contract.base().is_some_and(differs)
            || contract.endpoints().iter().any(|endpoint| differs(&endpoint.path));
        let careless = differ.then(|| exact.carelessly(contract));
        Self { exact, careless, unlisted: contract.unlisted() }
    }

    /// What happens to requests that no endpoint takes.
    pub fn unlisted(&self) -> Unlisted {
        self.unlisted
    }

    /// The endpoint that takes this request, if there is one. `method` is the request's method, `path` its
    /// path as it stands in the request line, without the query.
    ///
    /// # Errors
    /// When a program could take the request for another endpoint's.
    pub fn find(&self, method: &str, path: &str) -> Result<Option<&Endpoint>, Ambiguous> {
        let plain = plain_path(path)?;
        if HttpMethod::ALL
            .iter()
            .any(|known| known.as_str().eq_ignore_ascii_case(method) && known.as_str() != method)
        {
            return Err(METHOD);
        }
        let found = self.exact.find(method, &plain);
        // Where it is nobody's as it is written, no other endpoint is meant.
        let written = if plain == path { None } else { self.exact.find(method, path) };
        if written.is_some() && !same(written, found) {
            return Err(ENCODED);
        }
        if found.is_none() && !self.exact.falling_through(method, &plain).is_empty() {
            return Err(ELSEWHERE);
        }
        let read = careless(path);
        if read != plain || self.careless.is_some() {
            self.check_near(method, &read, found)?;
        }
        // Few paths have an extension, and only for those the endpoint itself is looked at.
        if let Some(stems) = without_extension(&read)
            && !found.is_some_and(ends_as_written)
        {
            for stem in stems {
                self.check_near(method, stem, found)?;
            }
        }
        Ok(found)
    }

    /// Refuses a path that a careless server reads like this and takes for another endpoint's than was found.
    fn check_near(
        &self,
        method: &str,
        read: &str,
        found: Option<&Endpoint>,
    ) -> Result<(), Ambiguous> {
        let near = self.careless.as_ref().unwrap_or(&self.exact).falling_through(method, read);
        if near.is_empty() || near.into_iter().any(|near| same(Some(near), found)) {
            Ok(())
        } else {
            Err(NEAR)
        }
    }
}

/// Whether they are one endpoint. The tables share their endpoints, so that one is known by its address.
fn same(one: Option<&Endpoint>, other: Option<&Endpoint>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => ptr::eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// The path without the extension of its last segment, and without all of them where it has several: some
/// servers take them for the form of the answer.
fn without_extension(path: &str) -> Option<[&str; 2]> {
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    let name = path.get(last..)?;
    let (first, one) = (name.find('.')?, name.rfind('.')?);
    // A name that begins with a dot is hidden, and has no extension.
    Some([path.get(..last + one)?, path.get(..last + first)?]).filter(|_| first > 0)
}

/// Whether the end of an endpoint's path is fixed: then its extension is part of it.
fn ends_as_written(endpoint: &Endpoint) -> bool {
    matches!(endpoint.path.rsplit('/').next().map(segment), Some(Segment::Fixed(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matcher(paths: &[&str]) -> Matcher {
        let endpoints =
            paths.iter().map(|path| json!({"path": path, "security": {"step-up": false}}));
        Matcher::new(
            &Contract::parse(endpoints.collect::<serde_json::Value>().to_string()).unwrap(),
        )
    }

    fn found<'a>(
        matcher: &'a Matcher,
        method: &str,
        path: &str,
    ) -> Result<Option<&'a str>, Ambiguous> {
        Ok(matcher.find(method, path)?.map(|endpoint| endpoint.path.as_str()))
    }

    #[test]
    fn a_request_is_found_by_its_one_spelling() {
        let matcher = matcher(&["/pay", "/users/{id}", "/users/me"]);
        assert_eq!(found(&matcher, "POST", "/p%61y"), Ok(Some("/pay")));
        assert_eq!(found(&matcher, "POST", "/users/Me-too"), Ok(Some("/users/{id}")));
        assert_eq!(found(&matcher, "POST", "/other/"), Ok(None));
        assert!(found(&matcher, "POST", "/x/../pay").is_err());
    }

    #[test]
    fn what_a_careless_server_takes_for_another_endpoint_is_refused() {
        let lower = matcher(&["/pay", "/users/{id}", "/users/me"]);
        for path in ["/Pay", "/pay/", "/PAY/", "/users/ME", "/users/me/"] {
            assert_eq!(found(&lower, "POST", path), Err(NEAR), "{path}");
        }
        let upper = matcher(&["/Pay", "/list/"]);
        assert_eq!(found(&upper, "POST", "/Pay"), Ok(Some("/Pay")));
        assert_eq!(found(&upper, "POST", "/pay"), Err(NEAR));
        assert_eq!(found(&upper, "POST", "/list/"), Ok(Some("/list/")));
        assert_eq!(found(&upper, "POST", "/list"), Err(NEAR));
        for method in ["post", "Post"] {
            assert_eq!(found(&upper, method, "/Pay"), Err(METHOD), "{method}");
        }
        assert_eq!(found(&upper, "purge", "/Pay"), Ok(Some("/Pay")));
    }

    #[test]
    fn every_way_to_read_a_path_must_lead_to_the_same_endpoint() {
        let overlapping =
            matcher(&["/public/delete", "/{tenant}/delete", "/users/{id}", "/users/@me"]);
        // As it is written it is a tenant, for axum.
        assert_eq!(found(&overlapping, "POST", "/p%75blic/delete"), Err(ENCODED));
        assert_eq!(found(&overlapping, "POST", "/bank/delete"), Ok(Some("/{tenant}/delete")));
        // Decoded it is the fixed one, for most others.
        assert_eq!(found(&overlapping, "POST", "/users/%40me"), Err(NEAR));
        assert_eq!(found(&overlapping, "POST", "/users/a%40b"), Ok(Some("/users/{id}")));
        let hexadecimal = matcher(&["/files/caf%C3%A9", "/files/{*rest}"]);
        assert_eq!(found(&hexadecimal, "GET", "/files/caf%c3%a9"), Err(ENCODED));
        assert_eq!(found(&hexadecimal, "GET", "/files/caf%C3%A9"), Ok(Some("/files/caf%C3%A9")));
        assert_eq!(found(&hexadecimal, "GET", "/files/caf%C3%89"), Err(NEAR));
    }

    #[test]
    fn an_extension_and_what_counts_for_nothing_at_the_end_are_seen_through() {
        let matcher = matcher(&["/pay", "/docs/{name}", "/docs/secret", "/openapi.json"]);
        for path in [
            "/pay.json",
            "/pay.",
            "/pay%20",
            "/pay%20.",
            "/PAY.JSON",
            "/docs/secret.html",
            "/pay.a.b",
        ] {
            assert_eq!(found(&matcher, "GET", path), Err(NEAR), "{path}");
        }
        assert_eq!(found(&matcher, "GET", "/docs/report.html"), Ok(Some("/docs/{name}")));
        assert_eq!(found(&matcher, "GET", "/openapi.json"), Ok(Some("/openapi.json")));
        assert_eq!(found(&matcher, "GET", "/.well-known"), Ok(None));
    }

    #[test]
    fn a_method_that_a_more_general_path_takes_is_refused() {
        let endpoint = |method: &str, path: &str| json!({"method": method, "path": path, "security": {"step-up": false}});
        let list = json!([endpoint("DELETE", "/users/{id}"), endpoint("GET", "/users/me")]);
        let matcher = Matcher::new(&Contract::parse(list.to_string()).unwrap());
        assert_eq!(found(&matcher, "DELETE", "/users/me"), Err(ELSEWHERE));
        assert_eq!(found(&matcher, "DELETE", "/users/5"), Ok(Some("/users/{id}")));
        assert_eq!(found(&matcher, "HEAD", "/users/me"), Ok(Some("/users/me")));
        assert_eq!(found(&matcher, "PUT", "/users/me"), Ok(None));
    }

    #[test]
    fn a_contract_that_tells_them_apart_is_believed() {
        let both = matcher(&["/a", "/a/", "/A"]);
        for path in ["/a", "/a/", "/A"] {
            assert_eq!(found(&both, "POST", path), Ok(Some(path)));
        }
        assert_eq!(found(&both, "POST", "/A/"), Err(NEAR));
    }
}
