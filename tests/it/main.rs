//! All integration tests are one program: it is linked once.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails, and says why")]

mod architecture;
mod conformance;
mod demo;
mod docs;
mod fuzz;
mod guard;
mod inventory;
mod model;
mod monitoring;
mod pipeline;
mod program;
mod scim;
mod sessions;
mod sign_on;
mod sso;
mod sso_oidc;
mod support;
