//! A contract in other forms: a page, a Markdown table, OpenAPI, and gateways' configurations.
//!
//! Not here: the subcommand's arguments that choose a form (`commands`). Uses `settings`, `contract_file` and `report`.

pub(crate) mod gateways;
mod host_port;
pub(crate) mod html;
pub(crate) mod markdown;
pub(crate) mod openapi;
