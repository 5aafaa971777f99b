//! Finds the endpoint of a request, for an enforcer that runs outside the program. A request that the program could
//! read in another way than the enforcer must not bypass the contract.

use crate::model::{Contract, Endpoint, HttpMethod, Unlisted};
use crate::path::canonical::{PathAmbiguity, canonical_path};
use crate::path::template::parameters;
use crate::path::variants::{decoded, folded_start, has_one_reading, variants};
use crate::routing::table::Table;
use std::ptr;

/// Finds the endpoint of a request as [`Table`] does, and refuses a request that a program could route to another
/// endpoint. Servers read paths in different ways: as written, with needless encodings decoded or completely decoded,
/// with or without regard to case and to the end; and if a path does not accept the method, some continue with a less
/// specific path. All of these readings must lead to the same endpoint, for any kind of server.
#[derive(Debug, Clone)]
pub struct Matcher {
    exact: Table,
    /// The table of a lenient server that decodes; `None` if equal to `exact`.
    lenient: Option<Table>,
    /// The table of a lenient server that does not decode; `None` if equal to `lenient`.
    undecoded: Option<Table>,
    unlisted: Unlisted,
    /// Whether the program routes by the path as written.
    as_written: bool,
}

impl Matcher {
    /// A matcher for the endpoints of this contract.
    pub fn new(contract: &Contract) -> Self {
        let exact = contract.table();
        let any = |condition: fn(&str) -> bool| {
            let endpoints = contract.endpoints().iter();
            endpoints.map(|endpoint| contract.whole_path(endpoint)).any(|path| condition(&path))
        };
        // A lenient server's wildcard also matches an empty remainder.
        let differs = any(|path| !has_one_reading(path) || path.contains("{*"));
        let lenient = differs.then(|| exact.lenient(contract, true));
        let undecoded = any(|path| path.contains('%')).then(|| exact.lenient(contract, false));
        Self { exact, lenient, undecoded, unlisted: contract.unlisted(), as_written: false }
    }

    /// For a program that routes by the path as written, as axum does. If the contract denies unlisted requests, a path
    /// that matches an endpoint only when it is decoded is refused too, because such a program may route it to a
    /// handler that is not listed.
    pub fn as_written(self) -> Self {
        Self { as_written: true, ..self }
    }

    /// What happens to requests that no endpoint matches.
    pub fn unlisted(&self) -> Unlisted {
        self.unlisted
    }

    /// The endpoint that this request matches, if there is one. `method` is the request's method, `path` the path of
    /// its request line, without the query.
    ///
    /// # Errors
    /// If a program could route the request to another endpoint.
    pub fn find(&self, method: &str, path: &str) -> Result<Option<&Endpoint>, PathAmbiguity> {
        let canonical = canonical_path(path)?;
        if HttpMethod::ALL
            .iter()
            .any(|known| known.as_str().eq_ignore_ascii_case(method) && known.as_str() != method)
        {
            return Err(PathAmbiguity::MethodCase);
        }
        let found = self.exact.find(method, &canonical);
        // An encoded path that matches no endpoint as written cannot reach another listed endpoint either.
        let strictly = self.as_written && self.unlisted == Unlisted::Deny;
        let differs = || match strictly {
            true => !same(self.exact.find(method, path), found),
            false => reaches_another(&self.exact, method, path, found),
        };
        if canonical != path && differs() {
            return Err(PathAmbiguity::NeedlessEncoding);
        }
        if found.is_none() && !self.exact.falling_through(method, &canonical).is_empty() {
            return Err(PathAmbiguity::MethodFallthrough);
        }
        let lenient = self.lenient.as_ref().unwrap_or(&self.exact);
        let similar = if has_one_reading(path) {
            self.lenient.is_some() && reaches_another(lenient, method, path, found)
        } else {
            // If the contract lists exactly this path, its extension is part of it.
            let listed =
                found.is_some_and(|found| parameters(&found.path).is_ok_and(|p| p.is_empty()));
            let any = |table: &Table, text: &str| {
                let text = folded_start(text, table.extent());
                let mut variants = variants(&text, listed).into_iter();
                variants.any(|variant| reaches_another(table, method, &variant, found))
            };
            let undecoded = self.undecoded.as_ref().unwrap_or(lenient);
            any(lenient, &decoded(path))
                || (path.contains('%') && (any(undecoded, path) || any(undecoded, &canonical)))
        };
        if similar { Err(PathAmbiguity::SimilarToEndpoint) } else { Ok(found) }
    }
}

/// Whether a server with this table, which continues with less specific paths if a path does not accept the method,
/// routes this path to an endpoint other than `found`.
fn reaches_another(table: &Table, method: &str, path: &str, found: Option<&Endpoint>) -> bool {
    let reached = table.falling_through(method, path);
    !reached.is_empty() && !reached.into_iter().any(|reached| same(Some(reached), found))
}

/// Whether both are the same endpoint. The tables share their endpoints, so comparing pointers is enough.
fn same(one: Option<&Endpoint>, other: Option<&Endpoint>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => ptr::eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::variants::folded;
    use proptest::prelude::*;
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
    ) -> Result<Option<&'a str>, PathAmbiguity> {
        Ok(matcher.find(method, path)?.map(|endpoint| endpoint.path.as_str()))
    }

    #[test]
    fn a_request_is_found_by_its_canonical_path() {
        let matcher = matcher(&["/pay", "/users/{id}", "/users/me"]);
        assert_eq!(found(&matcher, "POST", "/p%61y"), Ok(Some("/pay")));
        assert_eq!(found(&matcher, "POST", "/users/Me-too"), Ok(Some("/users/{id}")));
        assert_eq!(found(&matcher, "POST", "/other/"), Ok(None));
        assert!(found(&matcher, "POST", "/x/../pay").is_err());
    }

    #[test]
    fn a_request_that_a_lenient_server_routes_elsewhere_is_refused() {
        let lower = matcher(&["/pay", "/users/{id}", "/users/me"]);
        for path in ["/Pay", "/pay/", "/PAY/", "/users/ME", "/users/me/"] {
            assert_eq!(
                found(&lower, "POST", path),
                Err(PathAmbiguity::SimilarToEndpoint),
                "{path}"
            );
        }
        let upper = matcher(&["/Pay", "/list/"]);
        assert_eq!(found(&upper, "POST", "/Pay"), Ok(Some("/Pay")));
        assert_eq!(found(&upper, "POST", "/pay"), Err(PathAmbiguity::SimilarToEndpoint));
        assert_eq!(found(&upper, "POST", "/list/"), Ok(Some("/list/")));
        assert_eq!(found(&upper, "POST", "/list"), Err(PathAmbiguity::SimilarToEndpoint));
        for method in ["post", "Post"] {
            assert_eq!(found(&upper, method, "/Pay"), Err(PathAmbiguity::MethodCase), "{method}");
        }
        assert_eq!(found(&upper, "purge", "/Pay"), Ok(Some("/Pay")));
    }

    #[test]
    fn every_reading_of_a_path_must_lead_to_the_same_endpoint() {
        let overlapping =
            matcher(&["/public/delete", "/{tenant}/delete", "/users/{id}", "/users/@me"]);
        // For axum, which does not decode it, the segment is a tenant.
        assert_eq!(
            found(&overlapping, "POST", "/p%75blic/delete"),
            Err(PathAmbiguity::NeedlessEncoding)
        );
        assert_eq!(found(&overlapping, "POST", "/bank/delete"), Ok(Some("/{tenant}/delete")));
        // Most other servers decode it and match the fixed segment.
        assert_eq!(
            found(&overlapping, "POST", "/users/%40me"),
            Err(PathAmbiguity::SimilarToEndpoint)
        );
        assert_eq!(found(&overlapping, "POST", "/users/a%40b"), Ok(Some("/users/{id}")));
        let hexadecimal = matcher(&["/files/caf%C3%A9", "/files/{*rest}"]);
        assert_eq!(
            found(&hexadecimal, "GET", "/files/caf%c3%a9"),
            Err(PathAmbiguity::NeedlessEncoding)
        );
        assert_eq!(found(&hexadecimal, "GET", "/files/caf%C3%A9"), Ok(Some("/files/caf%C3%A9")));
        assert_eq!(
            found(&hexadecimal, "GET", "/files/caf%C3%89"),
            Err(PathAmbiguity::SimilarToEndpoint)
        );
    }

    #[test]
    fn extensions_and_ignored_endings_are_recognized() {
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
            assert_eq!(
                found(&matcher, "GET", path),
                Err(PathAmbiguity::SimilarToEndpoint),
                "{path}"
            );
        }
        assert_eq!(found(&matcher, "GET", "/docs/report.html"), Ok(Some("/docs/{name}")));
        assert_eq!(found(&matcher, "GET", "/openapi.json"), Ok(Some("/openapi.json")));
        assert_eq!(found(&matcher, "GET", "/.well-known"), Ok(None));
    }

    #[test]
    fn a_method_that_only_a_more_general_path_accepts_is_refused() {
        let endpoint = |method: &str, path: &str| json!({"method": method, "path": path, "security": {"step-up": false}});
        let list = json!([endpoint("DELETE", "/users/{id}"), endpoint("GET", "/users/me")]);
        let matcher = Matcher::new(&Contract::parse(list.to_string()).unwrap());
        assert_eq!(found(&matcher, "DELETE", "/users/me"), Err(PathAmbiguity::MethodFallthrough));
        assert_eq!(found(&matcher, "DELETE", "/users/5"), Ok(Some("/users/{id}")));
        assert_eq!(found(&matcher, "HEAD", "/users/me"), Ok(Some("/users/me")));
        assert_eq!(found(&matcher, "PUT", "/users/me"), Ok(None));
    }

    /// Asserts that a contract of these routes refuses these requests, which some servers route elsewhere.
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
    fn combined_habits_of_one_server_are_recognized() {
        // Not decoded, case-insensitive, and continuing if the method is not accepted.
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
        // An extension that only one endpoint lists.
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
        // An extension of an inner segment, and segments of the server itself.
        let servers = [
            "GET /admin.php/users",
            "DELETE /orders.v1/5",
            "POST /index.php/pay",
            "GET /(S(x))/admin/users",
            "POST /(S(x))/pay",
        ];
        all_refused("allow", &pay, &servers);
        // Longer than every text of the contract.
        let session = format!("POST /(S({}))/pay", "lit3py55".repeat(4));
        let script = format!("POST /{}.php%20/pay", "index".repeat(20));
        all_refused("allow", &pay, &[&session, &script]);
        let many = format!("POST {}{}/a.php%20/pay", "/z.php".repeat(4), "/%20".repeat(4));
        all_refused("allow", &["POST /a.php/pay"], &[&many]);
        // A space in a form.
        all_refused("allow", &["GET /my%20file"], &["GET /my+file", "GET /MY+file"]);
    }

    #[test]
    fn a_contract_that_lists_both_forms_is_followed() {
        let both = matcher(&["/a", "/a/", "/A"]);
        for path in ["/a", "/a/", "/A"] {
            assert_eq!(found(&both, "POST", path), Ok(Some(path)));
        }
        assert_eq!(found(&both, "POST", "/A/"), Err(PathAmbiguity::SimilarToEndpoint));
    }

    fn path() -> impl Strategy<Value = String> {
        let segment = prop_oneof![
            3 => "[a-c]{1,2}",
            1 => "[aA]( |\\.|\\.json|\\.php|\u{e9}){0,2}",
            1 => prop_oneof![
                Just(" "), Just(" .x"), Just("(x)"), Just("a.php"), Just("\u{fdfa}"), Just("z.php"), Just("a.php "),
            ]
                .prop_map(str::to_owned),
            // Longer than every text of the templates.
            1 => ("(a|\\(|\\.| |b\\.)", "[a-c.x ]{40,60}", "(\\.php|\\)|\\.| |\\.json|)( {0,40})")
                .prop_map(|(start, middle, end)| format!("{start}{middle}{end}")),
        ];
        (proptest::collection::vec(segment, 1..14), prop_oneof![3 => "", 1 => "/"])
            .prop_map(|(segments, end)| format!("/{}{end}", segments.join("/")))
    }

    proptest! {
        /// The start of a long path leads to the same endpoints as the whole path.
        #[test]
        fn the_start_of_a_path_decides(path in path(), listed in any::<bool>()) {
            let paths = ["/a", "/a/b/c", "/{p}/a", "/b/v-{p}", "/c/{*rest}", "/a.php/b"];
            let lenient = matcher(&paths).lenient.unwrap();
            let reached = |text: &str| {
                let mut reached: Vec<*const Endpoint> = variants(text, listed)
                    .iter()
                    .flat_map(|variant| lenient.falling_through("GET", variant))
                    .map(ptr::from_ref)
                    .collect();
                reached.sort_unstable();
                reached.dedup();
                reached
            };
            let start = folded_start(&path, lenient.extent());
            let (whole, start_reaches) = (reached(&folded(&path)), reached(&start));
            prop_assert!(
                whole.iter().all(|endpoint| start_reaches.contains(endpoint)),
                "{}: {}", path, start
            );
            // Only without the middle of a long segment, the start may have variants that the path has not.
            if path.split('/').all(|segment| segment.len() < 20) {
                prop_assert_eq!(whole, start_reaches, "{}: {}", path, start);
            }
        }
    }
}
