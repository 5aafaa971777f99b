//! Tests for the endpoint that matches a request, and for ambiguous contracts.

use stepup_contract::{Contract, Endpoint, Method, Requirement};

fn endpoint(route: &str) -> Endpoint {
    let (method, path) = route.split_once(' ').unwrap();
    let method = (method != "ANY").then(|| method.parse().unwrap());
    with!(Endpoint::new(path, Requirement::default()); method)
}

fn contract(routes: &[&str]) -> Contract {
    Contract::new("s", "1", routes.iter().map(|route| endpoint(route))).unwrap()
}

#[test]
fn static_text_precedes_parameters_and_parameters_precede_wildcards() {
    let table = contract(&[
        "GET /users/me",
        "GET /users/{id}",
        "GET /users/{id}/posts",
        "GET /{*rest}",
        "GET /files/v-{version}",
        "GET /",
    ])
    .table();
    for (path, expected) in [
        ("/users/me", "/users/me"),
        ("/users/7", "/users/{id}"),
        ("/users/me/posts", "/users/{id}/posts"),
        ("/users/me/comments", "/{*rest}"),
        ("/users/", "/{*rest}"),
        ("/users", "/{*rest}"),
        ("/Users/me", "/{*rest}"),
        ("/users/me/", "/{*rest}"),
        ("/files/v-2", "/files/v-{version}"),
        ("/files/2", "/{*rest}"),
        ("/", "/"),
    ] {
        assert_eq!(table.find("GET", path).unwrap().path, expected, "{path}");
    }
    assert!(contract(&["GET /a"]).table().find("GET", "/b").is_none());
}

#[test]
fn escaped_braces_match_braces() {
    let table = contract(&["GET /{{a}}", "GET /{{x{id}/y"]).table();
    assert_eq!(table.find("GET", "/{a}").unwrap().path, "/{{a}}");
    assert_eq!(table.find("GET", "/{x7/y").unwrap().path, "/{{x{id}/y");
    assert!(table.find("GET", "/{{a}}").is_none());
}

#[test]
fn an_exact_method_precedes_get_for_head_and_both_precede_any_method() {
    let table = contract(&["GET /a", "ANY /a", "GET /b", "HEAD /b", "ANY /c", "POST /d"]).table();
    let found = |method, path| table.find(method, path).map(Endpoint::route);
    assert_eq!(found("GET", "/a").unwrap(), "GET /a");
    assert_eq!(found("HEAD", "/a").unwrap(), "GET /a");
    assert_eq!(found("POST", "/a").unwrap(), "any method /a");
    assert_eq!(found("HEAD", "/b").unwrap(), "HEAD /b");
    assert_eq!(found("PROPFIND", "/c").unwrap(), "any method /c");
    assert_eq!(found("get", "/a").unwrap(), "any method /a", "methods are case-sensitive");
    assert_eq!(found("GET", "/d"), None);
    assert_eq!(found("HEAD", "/d"), None);
}

#[test]
fn the_path_decides_before_the_method_as_in_axum() {
    let table = contract(&["POST /users/me", "GET /users/{id}"]).table();
    assert!(table.find("GET", "/users/me").is_none());
    assert!(table.find("GET", "/users/7").is_some());
}

#[test]
fn the_base_is_a_prefix_of_every_path() {
    let text = r#"{"contract": 1, "service": "s", "version": "1", "base": "/api",
        "endpoints": [{"path": "/a", "security": {"step-up": false}}]}"#;
    let table = Contract::parse(text).unwrap().table();
    assert!(table.find("GET", "/api/a").is_some());
    assert!(table.find("GET", "/a").is_none());
    for base in ["api", "/api/", "/{tenant}", "/"] {
        assert!(Contract::parse(text.replace("\"/api\"", &format!("{base:?}"))).is_err(), "{base}");
    }
}

#[test]
fn the_root_path_under_a_base_is_the_base_as_in_axum() {
    let text = r#"{"contract": 1, "service": "s", "version": "1", "base": "/api",
        "endpoints": [{"path": "/", "security": {"step-up": false}}]}"#;
    let table = Contract::parse(text).unwrap().table();
    assert!(table.find("GET", "/api").is_some());
    assert!(table.find("GET", "/api/").is_none());
}

#[test]
fn a_custom_method_that_does_not_parse_again_is_an_error() {
    for value in ["pwd", "", "a\", scope=\"x"] {
        let mut odd = endpoint("GET /a");
        odd.requirement.methods = vec![Method::Custom(value.into())];
        assert!(Contract::new("s", "1", [odd]).is_err(), "{value:?}");
    }
}

#[test]
fn two_endpoints_of_equal_precedence_for_one_request_are_an_error() {
    for (one, two) in [
        ("GET /a", "GET /a"),
        ("ANY /a", "ANY /a"),
        ("GET /a/{id}", "GET /a/{name}"),
        ("POST /{*rest}", "POST /{*all}"),
        ("GET /a/{id}/b", "GET /a/{x}/b"),
    ] {
        let both = [endpoint(one), endpoint(two)];
        assert!(Contract::new("s", "1", both).is_err(), "{one} and {two}");
    }
    for (one, two) in [
        ("GET /a", "POST /a"),
        ("GET /a", "ANY /a"),
        ("GET /a", "GET /a/"),
        ("GET /a", "GET /A"),
        ("GET /a/{id}", "POST /a/{name}"),
        ("GET /a/{id}", "GET /a/b"),
        ("GET /a/{id}/b", "GET /a/{name}/c"),
        ("GET /a/{id}", "GET /a/{*rest}"),
    ] {
        let both = [endpoint(one), endpoint(two)];
        assert!(Contract::new("s", "1", both).is_ok(), "{one} and {two}");
    }
}
