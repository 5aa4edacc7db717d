//! Rollcall keeps the people of a Twilio Flex contact centre in step with the company's identity provider.

/// Time, randomness, ids, case folding, sealing.
pub mod base;
/// The SCIM engine: pure.
pub mod scim;
