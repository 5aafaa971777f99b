//! Snapshots of the expansions, and a test that `crate = "…"` applies to every path.

use crate::{handler, policy, routes, service};
use expect_test::{Expect, expect};
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

/// Names that an expansion may contain only through the default path.
const BANNED: [&str; 7] =
    ["stepup_runtime", "stepup_contract", "stepup_macros", "axum", "serde", "std", "alloc"];

fn identifiers(tokens: TokenStream) -> Vec<String> {
    tokens
        .into_iter()
        .flat_map(|tree| match tree {
            TokenTree::Ident(ident) => vec![ident.to_string()],
            TokenTree::Group(group) => identifiers(group.stream()),
            _ => Vec::new(),
        })
        .collect()
}

fn formatted(tokens: TokenStream) -> String {
    let file = syn::parse2(tokens).expect("the expansion is a list of items");
    let text = prettyplease::unparse(&file);
    // The package is this crate; its version is not part of the snapshot.
    text.replace(env!("CARGO_PKG_VERSION"), "0.0.0")
}

fn check(tokens: TokenStream, expected: Expect) {
    expected.assert_eq(&formatted(tokens));
}

#[test]
fn a_handler_with_a_route_gets_a_guard_a_type_and_a_record() {
    check(
        handler::expand(
            quote!(post = "/approve", methods = ["mfa"], max_age = 300),
            quote! {
                /// Docs.
                #[cfg(feature = "x")]
                pub async fn approve(user: Principal) -> String { user.name() }
            },
        ),
        expect![[r#"
            /// Docs.
            #[cfg(feature = "x")]
            pub async fn approve(
                _: ::stepup_runtime::__private::Guard<__StepUpApprove>,
                user: Principal,
            ) -> String {
                user.name()
            }
            #[cfg(feature = "x")]
            #[doc(hidden)]
            #[allow(non_camel_case_types, reason = "named after the handler")]
            pub struct __StepUpApprove;
            #[cfg(feature = "x")]
            const _: () = {
                const __STEP_UP_RECORD: ::stepup_runtime::__private::Record = ::stepup_runtime::__private::Record::new(
                    "{\"record\":1,\"runtime\":\"0.1\",\"package\":\"stepup-macros\",\"version\":\"0.0.0\",",
                    "\"method\":\"POST\",\"path\":\"/approve\",",
                    ::core::concat!(
                        "\"handler\":\"", ::core::module_path!(),
                        "::approve\",\"summary\":\"Docs.\","
                    ),
                    ::stepup_runtime::__private::Policy::from_checked_json(
                        "\"trust\":\"sensitive\",\"security\":{\"step-up\":true,\"methods\":[\"mfa\"],\"max-age\":300",
                        "",
                    ),
                );
                #[used]
                #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__stepup"))]
                #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".stepup"))]
                static __STEP_UP_LINE: [::core::primitive::u8; __STEP_UP_RECORD.len()] = __STEP_UP_RECORD
                    .line();
                #[::stepup_runtime::__private::linkme::distributed_slice(
                    ::stepup_runtime::__private::STEPUP_RECORDS_0_1
                )]
                #[linkme(crate = ::stepup_runtime::__private::linkme)]
                static __STEP_UP_ENTRY: &'static [::core::primitive::u8] = &__STEP_UP_LINE;
                static __STEP_UP_SLOT: ::stepup_runtime::__private::Slot = ::stepup_runtime::__private::Slot::new(
                    &__STEP_UP_LINE,
                );
                impl ::stepup_runtime::__private::GuardedEndpoint for __StepUpApprove {
                    const RECORD: ::stepup_runtime::__private::Record = __STEP_UP_RECORD;
                    fn slot() -> &'static ::stepup_runtime::__private::Slot {
                        &__STEP_UP_SLOT
                    }
                }
                impl ::stepup_runtime::__private::Routed for __StepUpApprove {}
            };
        "#]],
    );
}

#[test]
fn a_handler_with_a_policy_uses_its_requirement() {
    check(
        handler::expand(
            quote!(policy = rules::PAYMENTS),
            quote!(
                async fn cancel() {}
            ),
        ),
        expect![[r#"
            async fn cancel(_: ::stepup_runtime::__private::Guard<__StepUpCancel>) {}
            #[doc(hidden)]
            #[allow(non_camel_case_types, reason = "named after the handler")]
            struct __StepUpCancel;
            const _: () = {
                const __STEP_UP_POLICY: ::stepup_runtime::__private::Policy = rules::PAYMENTS;
                const __STEP_UP_RECORD: ::stepup_runtime::__private::Record = ::stepup_runtime::__private::Record::new(
                    "{\"record\":1,\"runtime\":\"0.1\",\"package\":\"stepup-macros\",\"version\":\"0.0.0\",",
                    "",
                    ::core::concat!("\"handler\":\"", ::core::module_path!(), "::cancel\","),
                    __STEP_UP_POLICY,
                );
                #[used]
                #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__stepup"))]
                #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".stepup"))]
                static __STEP_UP_LINE: [::core::primitive::u8; __STEP_UP_RECORD.len()] = __STEP_UP_RECORD
                    .line();
                #[::stepup_runtime::__private::linkme::distributed_slice(
                    ::stepup_runtime::__private::STEPUP_RECORDS_0_1
                )]
                #[linkme(crate = ::stepup_runtime::__private::linkme)]
                static __STEP_UP_ENTRY: &'static [::core::primitive::u8] = &__STEP_UP_LINE;
                static __STEP_UP_SLOT: ::stepup_runtime::__private::Slot = ::stepup_runtime::__private::Slot::new(
                    &__STEP_UP_LINE,
                );
                impl ::stepup_runtime::__private::GuardedEndpoint for __StepUpCancel {
                    const RECORD: ::stepup_runtime::__private::Record = __STEP_UP_RECORD;
                    fn slot() -> &'static ::stepup_runtime::__private::Slot {
                        &__STEP_UP_SLOT
                    }
                }
                impl ::stepup_runtime::__private::Unrouted for __StepUpCancel {}
            };
        "#]],
    );
}

#[test]
fn a_policy_is_a_constant() {
    check(
        policy::expand(quote!(pub PAYMENTS: methods = any("hwk", custom("x")), acr = "gold")),
        expect![[r#"
            pub const PAYMENTS: ::stepup_runtime::__private::Policy = ::stepup_runtime::__private::Policy::from_checked_json(
                "\"trust\":\"sensitive\",\"security\":{\"step-up\":true,\"any-methods\":[\"hwk\",\"custom:x\"],\"acr\":[\"gold\"]",
                "",
            );
        "#]],
    );
}

#[test]
fn routes_mount_each_handler() {
    let tokens = routes::expand(quote!(profile, transfer::<A, B>, POST "/x/{id}" => cancel));
    check(
        quote!(fn app() -> Router { #tokens }),
        expect![[r#"
            fn app() -> Router {
                {
                    let router = ::stepup_runtime::__private::router();
                    let router = ::stepup_runtime::__private::mount(router, profile);
                    let router = ::stepup_runtime::__private::mount(router, transfer::<A, B>);
                    let router = {
                        const __STEP_UP_RECORD: ::stepup_runtime::__private::Record = ::stepup_runtime::__private::record_of(
                                &cancel,
                            )
                            .at("\"method\":\"POST\",\"path\":\"/x/{id}\",");
                        #[used]
                        #[cfg_attr(
                            target_vendor = "apple",
                            unsafe(link_section = "__DATA,__stepup")
                        )]
                        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".stepup"))]
                        static __STEP_UP_LINE: [::core::primitive::u8; __STEP_UP_RECORD.len()] = __STEP_UP_RECORD
                            .line();
                        #[::stepup_runtime::__private::linkme::distributed_slice(
                            ::stepup_runtime::__private::STEPUP_RECORDS_0_1
                        )]
                        #[linkme(crate = ::stepup_runtime::__private::linkme)]
                        static __STEP_UP_ENTRY: &'static [::core::primitive::u8] = &__STEP_UP_LINE;
                        ::stepup_runtime::__private::mount_at(router, cancel, &__STEP_UP_LINE)
                    };
                    router
                }
            }
        "#]],
    );
}

#[test]
fn the_crate_override_applies_to_every_path() {
    let expansions = [
        handler::expand(
            quote!(get = "/a", methods = ["mfa"], crate = "zzz"),
            quote!(
                #[debug_handler]
                async fn a(_: A, _: B, _: C, _: D, _: E, _: F, _: G) {}
            ),
        ),
        handler::expand(
            quote!(policy = P, crate = "zzz"),
            quote!(
                async fn a() {}
            ),
        ),
        policy::expand(quote!(P: max_age = 1, crate = "zzz")),
        service::expand(quote!(base = "/api", crate = "zzz")),
        routes::expand(quote!(crate = zzz, a, POST "/b" => b, ANY "/c" => c)),
    ];
    for expansion in expansions {
        let identifiers = identifiers(expansion);
        assert!(identifiers.iter().any(|ident| ident == "zzz"));
        for banned in BANNED {
            assert!(!identifiers.iter().any(|ident| ident == banned), "{banned}: {identifiers:?}");
        }
    }
}
