//! Rollcall keeps the people of a Twilio Flex contact centre in step with the company's identity provider.

/// Mapping rules: who has what, and why.
pub mod access;
/// Wiring.
pub mod app;
/// Time, randomness, ids, case folding, sealing.
pub mod base;
/// The command line.
pub mod cli;
/// Configuration.
pub mod config;
/// Roles, users, workers: pure.
pub mod domain;
/// What monitoring is told.
pub mod metrics;
/// The one outbound HTTP client.
pub mod net;
/// Brings the workers at TaskRouter in step.
pub mod reconcile;
/// The SCIM engine: pure.
pub mod scim;
/// Use cases.
pub mod service;
/// SAML and OpenID Connect.
pub mod sso;
/// The database.
pub mod store;
/// TaskRouter: the port, Twilio's client, the stand-in.
pub mod taskrouter;
/// Logs.
pub mod telemetry;
/// The HTTP server.
pub mod web;
