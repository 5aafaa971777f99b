//! Which endpoint takes a request, for an enforcer that stands in front of the program: it must not be led
//! past the contract by a request that the program reads in another way than it does.

use crate::contract::Contract;
use crate::endpoint::Endpoint;
use crate::http_method::HttpMethod;
use crate::spelling::{Ambiguous, folded, plain_path};
use crate::table::Table;
use std::ptr;

/// Finds the endpoint of a request as [`Table`] does, and refuses what a program could read as a request
/// for another endpoint.
#[derive(Debug, Clone)]
pub struct Matcher {
    exact: Table,
    /// As a server would that overlooks case and a slash at the end; `None` where no template has any.
    folding: Option<Table>,
}

const METHOD: Ambiguous =
    Ambiguous::new("the method is one that some servers read as another, for its case");
const NEAR: Ambiguous = Ambiguous::new(
    "the path differs from a listed one in case or in a slash at the end, which some servers overlook",
);

impl Matcher {
    /// Finds the endpoints of this contract.
    pub fn new(contract: &Contract) -> Self {
        let exact = contract.table();
        let folds = |endpoint: &Endpoint| folded(&endpoint.path) != endpoint.path;
        let folds = contract.base().is_some_and(|base| folded(base) != base)
            || contract.endpoints().iter().any(folds);
        let folding = folds.then(|| exact.folding(contract));
        Self { exact, folding }
    }

    /// The endpoint that takes this request, if there is one. `method` is the request's method, `path` its
    /// path as it stands in the request line, without the query.
    ///
    /// # Errors
    /// When a program could take the request for another endpoint's.
    pub fn find(&self, method: &str, path: &str) -> Result<Option<&Endpoint>, Ambiguous> {
        let path = plain_path(path)?;
        if HttpMethod::ALL
            .iter()
            .any(|known| known.as_str().eq_ignore_ascii_case(method) && known.as_str() != method)
        {
            return Err(METHOD);
        }
        let found = self.exact.find(method, &path);
        let folded = folded(&path);
        if folded == path && self.folding.is_none() {
            return Ok(found);
        }
        // The tables share their endpoints, so that one is known by its address.
        let mut near =
            self.folding.as_ref().unwrap_or(&self.exact).taking(method, &folded).peekable();
        let none = near.peek().is_none();
        if none || near.any(|near| found.is_some_and(|found| ptr::eq(found, near))) {
            Ok(found)
        } else {
            Err(NEAR)
        }
    }
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
    fn a_contract_that_tells_them_apart_is_believed() {
        let both = matcher(&["/a", "/a/", "/A"]);
        for path in ["/a", "/a/", "/A"] {
            assert_eq!(found(&both, "POST", path), Ok(Some(path)));
        }
        assert_eq!(found(&both, "POST", "/A/"), Err(NEAR));
    }
}
