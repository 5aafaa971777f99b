//! Which endpoint takes a request, for an enforcer that stands in front of the program: it must not be led
//! past the contract by a request that the program reads in another way than it does.

use crate::contract::{Contract, Unlisted};
use crate::endpoint::Endpoint;
use crate::http_method::HttpMethod;
use crate::path::parameters;
use crate::readings::{decoded, folded, is_read_alike, readings};
use crate::spelling::{Ambiguous, plain_path};
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
    /// As a careless server has it that decodes; `None` where it would be the same.
    careless: Option<Table>,
    /// As a careless server has it that does not; `None` where it would be the same as `careless`.
    undecoded: Option<Table>,
    unlisted: Unlisted,
    /// See [`Matcher::as_written`].
    as_written: bool,
}

const METHOD: Ambiguous =
    Ambiguous::new("the method is not in upper case, which some servers overlook");
const ENCODED: Ambiguous = Ambiguous::new(
    "the path is encoded where it need not be, and some servers route it to another endpoint",
);
const NEAR: Ambiguous = Ambiguous::new(
    "the path is not spelled as in the contract, and some servers route it to another endpoint: look at its case, its \
     encoding and its end",
);
const ELSEWHERE: Ambiguous = Ambiguous::new(
    "the path does not take this method, and some servers go on to a more general one that does",
);

impl Matcher {
    /// Finds the endpoints of this contract.
    pub fn new(contract: &Contract) -> Self {
        let exact = contract.table();
        let any = |is: fn(&str) -> bool| {
            let endpoints = contract.endpoints().iter();
            endpoints.map(|endpoint| contract.whole_path(endpoint)).any(|path| is(&path))
        };
        // A wildcard that takes nothing is a careless server's, too.
        let differ = any(|path| !is_read_alike(path) || path.contains("{*"));
        let careless = differ.then(|| exact.carelessly(contract, true));
        let undecoded = any(|path| path.contains('%')).then(|| exact.carelessly(contract, false));
        Self { exact, careless, undecoded, unlisted: contract.unlisted(), as_written: false }
    }

    /// For a program that finds its endpoints by the path as it is written, as axum does. Where the contract refuses
    /// what it does not list, a path that is an endpoint's only when it is decoded is refused as well: such a program
    /// takes it for another one's, which may not be listed.
    pub fn as_written(self) -> Self {
        Self { as_written: true, ..self }
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
        // Where it is nobody's as it is written, no other endpoint of the contract is meant.
        let strictly = self.as_written && self.unlisted == Unlisted::Deny;
        let differs = || match strictly {
            true => !same(self.exact.find(method, path), found),
            false => leads_elsewhere(&self.exact, method, path, found),
        };
        if plain != path && differs() {
            return Err(ENCODED);
        }
        if found.is_none() && !self.exact.falling_through(method, &plain).is_empty() {
            return Err(ELSEWHERE);
        }
        let careless = self.careless.as_ref().unwrap_or(&self.exact);
        let near = if is_read_alike(path) {
            self.careless.is_some() && leads_elsewhere(careless, method, path, found)
        } else {
            // Where the contract has this very path, its extension is part of it.
            let stated =
                found.is_some_and(|found| parameters(&found.path).is_ok_and(|p| p.is_empty()));
            let any = |table: &Table, text: &str| {
                let text = folded(text);
                let mut readings = readings(&text, stated).into_iter();
                readings.any(|reading| leads_elsewhere(table, method, &reading, found))
            };
            let undecoded = self.undecoded.as_ref().unwrap_or(careless);
            any(careless, &decoded(path))
                || (path.contains('%') && (any(undecoded, path) || any(undecoded, &plain)))
        };
        if near { Err(NEAR) } else { Ok(found) }
    }
}

/// Whether a server with this table, that goes on looking where a path does not take the method, takes this path for
/// an endpoint's, and for another's than was found.
fn leads_elsewhere(table: &Table, method: &str, path: &str, found: Option<&Endpoint>) -> bool {
    let reached = table.falling_through(method, path);
    !reached.is_empty() && !reached.into_iter().any(|reached| same(Some(reached), found))
}

/// Whether they are one endpoint. The tables share their endpoints, so that one is known by its address.
fn same(one: Option<&Endpoint>, other: Option<&Endpoint>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => ptr::eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
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

    /// A contract of routes, and how it takes requests that only some servers take for another's.
    fn all_refused(unlisted: &str, routes: &[&str], requests: &[&str]) {
        let endpoints = routes.iter().map(|route| {
            let (method, path) = route.split_once(' ').unwrap();
            json!({"method": method, "path": path, "security": {"step-up": false}})
        });
        let matcher = Matcher::new(
            &Contract::parse(
                json!({"contract": 1, "service": "s", "version": "1", "unlisted": unlisted,
                       "endpoints": endpoints.collect::<Vec<_>>()})
                .to_string(),
            )
            .unwrap(),
        );
        for request in requests {
            let (method, path) = request.split_once(' ').unwrap();
            let found = found(&matcher, method, path);
            assert!(found.is_err(), "{request} in {routes:?}: {found:?}");
        }
    }

    #[test]
    fn several_habits_of_one_server_are_seen_through() {
        // Not decoded, and without case, and going on where the method is not taken.
        let teams = ["POST /teams/{team}/delete", "POST /teams/public/{action}"];
        all_refused(
            "deny",
            &teams,
            &["POST /teams/p%75blic/DELETE", "POST /teams/p%75blic/delete/"],
        );
        let me = ["GET /x/{id}", "DELETE /x/me", "DELETE /x/{*rest}"];
        all_refused("deny", &me, &["DELETE /x/m%65"]);
        // Letters of other alphabets.
        let settings = ["POST /p/{name}", "POST /p/settings", "POST /p/admin"];
        let letters = [
            "POST /p/%c5%bfettings",
            "POST /p/adm%c4%b1n",
            "POST /p/adm%c4%b0n",
            "POST /p/%ef%bc%a1dmin",
            "POST /p/%c3%a1dmin",
        ];
        all_refused("deny", &settings, &letters);
        // An extension that only a part of the contract states, and what is in front of it.
        let report = ["GET /r/admin/report", "GET /r/{tenant}/report.json"];
        all_refused("deny", &report, &["GET /r/admin/report.json"]);
        let pay = ["POST /pay", "DELETE /orders/{id}", "GET /admin/{*rest}"];
        let ends = [
            "POST /pay%20.json",
            "POST /pay.json%20",
            "POST /pay%c2%a0",
            "POST /pay.%20/",
            "POST /Pay/.json",
            "GET /ADMIN/%20",
            "DELETE /ORDERS/...",
            "GET /admin./users",
            "GET /Admin%20/users",
            "GET /admin",
            "GET /admin/",
            "GET /admin.json",
        ];
        all_refused("allow", &pay, &ends);
        // An extension in front of the last segment, and what is the server's.
        let servers = [
            "GET /admin.php/users",
            "DELETE /orders.v1/5",
            "POST /index.php/pay",
            "GET /(S(x))/admin/users",
            "POST /(S(x))/pay",
        ];
        all_refused("allow", &pay, &servers);
        // A space in a form.
        all_refused("allow", &["GET /my%20file"], &["GET /my+file", "GET /MY+file"]);
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
