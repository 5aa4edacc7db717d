//! The tables as SeaORM entities, one a file, without logic.
//!
//! Times are milliseconds since the Unix epoch; ids are UUIDs of version 7 as text.

pub mod access_token;
pub mod account;
pub mod api_key;
pub mod audit_event;
pub mod broker;
pub mod connection;
pub mod copy;
pub mod counter;
pub mod credential;
pub mod finding;
pub mod group;
pub mod held;
pub mod hold;
pub mod hold_cause;
pub mod installation;
pub mod inventory;
pub mod login_throttle;
pub mod loss;
pub mod membership;
pub mod oauth_client;
pub mod one_time_link;
pub mod push;
pub mod push_read;
pub mod receipt;
pub mod recompute;
pub mod rule;
pub mod rule_version;
pub mod scim_token;
pub mod session;
pub mod settled;
pub mod sign_in;
pub mod sign_in_flow;
pub mod sso;
pub mod sso_domain;
pub mod sso_link;
pub mod used_assertion;
pub mod user;
pub mod user_key;
pub mod worker;
