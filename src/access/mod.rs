//! Mapping rules: from what the identity provider says of a person to what the person has in the contact centre.
//!
//! A rule file is read by [`file`], each rule checked and bound by [`rule`], evaluated over a person by [`evaluate()`] with
//! its reasons, and turned into the worker that should exist by [`desired_worker`]. Pure: no clock, no I/O.

mod contact;
mod definition;
mod desired;
mod evaluate;
mod evidence;
pub mod file;
mod loss;
mod nearest;
pub mod rule;
mod said;
mod source;

pub use contact::contact_uri;
pub use definition::{Grant, Level, RuleDefinition};
pub use desired::{DesiredError, desired_worker};
pub use evaluate::{Access, Because, ConnectionGrants, Granted, SkipReason, Skipped, evaluate};
pub use evidence::{Evidence, evidence};
pub use file::{FileProblem, RuleFile, RuleFileError};
pub use loss::{Has, Loss, loss};
pub use rule::{Problem, Rule, RuleSet, RuleSetError};
pub use said::{ClaimMapping, RawClaims, Said, SignInClaims};

#[cfg(test)]
mod properties;
