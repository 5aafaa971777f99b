//! The committed contract equals the contract in the program.

use stepup_runtime::testing::assert_contract_current;

#[test]
fn the_committed_contract_is_current() {
    assert_contract_current(env!("CARGO_BIN_EXE_quickstart"), "contract.json");
}
