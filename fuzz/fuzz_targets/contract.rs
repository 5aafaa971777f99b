//! Every accepted contract is unchanged after it is printed and parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepup_contract::{Contract, ContractView};

fuzz_target!(|text: &[u8]| {
    let _ = Contract::from_section(text);
    let _ = ContractView::parse(text);
    if let Ok(contract) = Contract::parse(text) {
        let printed = contract.to_json();
        let again = Contract::parse(&printed).expect("a printed contract is valid");
        assert_eq!(again, contract);
        assert_eq!(again.to_json(), printed);
    }
});
