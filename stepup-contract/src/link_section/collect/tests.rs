//! Tests of the assembly of contracts from lines.

use crate::Contract;

fn line(rest: &str) -> String {
    format!(
        "{{\"record\":1,\"runtime\":\"0.1\",\"package\":\"bank\",\"version\":\"1.2.3\",{rest}}}\n"
    )
}

fn endpoint(route: &str, handler: &str) -> String {
    line(&format!(
        "{route}\"trust\":\"sensitive\",\"handler\":\"{handler}\",\
         \"security\":{{\"step-up\":true,\"max-age\":60}}"
    ))
}

fn errors(section: &str) -> Vec<String> {
    let errors = Contract::from_section(section.as_bytes()).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

const A: &str = "\"method\":\"GET\",\"path\":\"/a\",";
const B: &str = "\"path\":\"/b\",";

#[test]
fn the_single_package_is_the_service() {
    let section = endpoint(A, "bank::a") + "\0\0" + &endpoint(B, "bank::b");
    let contract = Contract::from_section(section.as_bytes()).unwrap();
    assert_eq!((contract.service(), contract.version()), ("bank", "1.2.3"));
    assert_eq!(contract.endpoints().len(), 2);
}

#[test]
fn several_packages_need_a_service() {
    let other = endpoint(B, "lib::b").replace("\"package\":\"bank\"", "\"package\":\"lib\"");
    let section = endpoint(A, "bank::a") + &other;
    assert!(errors(&section)[0].contains("several packages are linked (bank, lib)"));
    let service = "\"service\":\"bank\",\"unlisted\":\"allow\",\"base\":\"/api\",\"program\":true";
    let with = section + &line(service);
    let contract = Contract::from_section(with.as_bytes()).unwrap();
    assert_eq!(contract.service(), "bank");
    assert_eq!(contract.unlisted(), crate::Unlisted::Allow);
    assert_eq!(contract.base(), Some("/api"));
    let twice =
        line("\"service\":\"a\",\"program\":true") + &line("\"service\":\"b\",\"program\":true");
    assert!(errors(&twice)[0].contains("service!() is written in several"), "{:?}", errors(&twice));
}

/// The line as a record of another package.
fn of(package: &str, line: &str) -> String {
    line.replace("\"package\":\"bank\"", &format!("\"package\":\"{package}\""))
}

#[test]
fn a_library_does_not_state_the_service_of_the_program_that_links_it() {
    let own = endpoint(A, "bank::a");
    let service = "\"service\":\"lib\",\"unlisted\":\"allow\",\"base\":\"/lib\"";
    let library = of("lib", &line(service));
    // The library has no endpoints, so the program's package is the service.
    let contract = Contract::from_section((own.clone() + &library).as_bytes()).unwrap();
    assert_eq!((contract.service(), contract.base()), ("bank", None));
    assert_eq!(contract.unlisted(), crate::Unlisted::Deny);
    // The library has endpoints too, so somebody must decide.
    let both = own.clone() + &library + &of("lib", &endpoint(B, "lib::b"));
    let errors = errors(&both);
    assert!(errors[0].contains("service!() is written in a library (lib)"), "{errors:?}");
    let program = line("\"service\":\"bank\",\"base\":\"/api\",\"program\":true");
    let contract = Contract::from_section((both.clone() + &program).as_bytes()).unwrap();
    assert_eq!((contract.service(), contract.base()), ("bank", Some("/api")));
    // The library of a program's package can state the service for tests, which link only the library.
    let included = "\"service\":\"bank\",\"base\":\"/api\",\"includes\":[\"lib\"]";
    let contract = Contract::from_section((both + &line(included)).as_bytes()).unwrap();
    assert_eq!((contract.service(), contract.base()), ("bank", Some("/api")));
    let alone = own + &line("\"service\":\"bank\",\"base\":\"/api\"");
    let contract = Contract::from_section(alone.as_bytes()).unwrap();
    assert_eq!(contract.base(), Some("/api"));
}

#[test]
fn a_program_and_its_library_cannot_both_state_the_service() {
    let section = endpoint(A, "bank::a")
        + &line("\"service\":\"bank\",\"program\":true")
        + &line("\"service\":\"bank\",\"base\":\"/api\"");
    assert!(errors(&section)[0].contains("service!() is written in several crates (bank)"));
}

#[test]
fn a_record_without_route_is_dropped_if_its_handler_has_a_route() {
    let section = endpoint("", "bank::a") + &endpoint(A, "bank::a") + &endpoint(B, "bank::a");
    assert_eq!(Contract::from_section(section.as_bytes()).unwrap().endpoints().len(), 2);
    assert!(errors(&endpoint("", "bank::a"))[0].contains("bank::a has no route"));
    let namesake = endpoint("", "bank::a").replace("\"max-age\":60", "\"max-age\":5");
    assert!(errors(&(endpoint(A, "bank::a") + &namesake))[0].contains("bank::a has no route"));
}

#[test]
fn the_same_endpoint_mounted_twice_is_one_endpoint() {
    let section = endpoint(A, "bank::a").repeat(3);
    assert_eq!(Contract::from_section(section.as_bytes()).unwrap().endpoints().len(), 1);
}

#[test]
fn two_handlers_on_one_route_are_an_error_that_names_both() {
    let section = endpoint(A, "bank::a") + &endpoint(A, "bank::z");
    let errors = errors(&section);
    assert!(
        errors[0].starts_with("GET /a (bank::z) matches the same requests as GET /a (bank::a)"),
        "{errors:?}"
    );
}

#[test]
fn two_versions_of_the_runtime_are_an_error() {
    let other = endpoint(B, "b").replace("\"runtime\":\"0.1\"", "\"runtime\":\"0.2\"");
    assert!(errors(&(endpoint(A, "a") + &other))[0].contains("(0.1, 0.2)"));
}

#[test]
fn every_error_is_reported() {
    let odd = endpoint(A, "a").replace("\"max-age\":60", "\"max-age\":-1,\"colour\":1");
    let section = endpoint(B, "b").replace("\"record\":1", "\"record\":2") + "nonsense\n" + &odd;
    let errors = errors(&section);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().any(|e| e.contains("/security/max-age") && e.contains("colour")));
}

#[test]
fn a_program_without_endpoints_gets_an_error_with_the_fix() {
    assert!(errors("")[0].contains("no step-up endpoint is linked in"));
    let contract = Contract::from_section(line("\"service\":\"bank\"").as_bytes()).unwrap();
    assert!(contract.endpoints().is_empty(), "a service may have no endpoint yet");
}

#[test]
fn the_slice_is_named_after_its_version() {
    let name = format!("STEPUP_RECORDS_{}", crate::link_section::record::RUNTIME.replace('.', "_"));
    let source = include_str!("../collect.rs");
    assert!(source.contains(&format!("pub static {name}:")), "rename the slice to {name}");
}
