//! Why an answer of an identity provider is refused.

use std::fmt;

/// The check that failed. Its name stands in the sign-in log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// The message cannot be read, or holds what no identity provider sends.
    Malformed,
    /// The message is longer, deeper or wider than any that is meant.
    Limit,
    /// What is read is not covered by a valid signature.
    Signature,
    /// An algorithm that is not allowed.
    Algorithm,
    /// Decryption, or an encryption that is not allowed.
    Encryption,
    /// Another identity provider than the connection's.
    Issuer,
    /// Meant for another service: `Destination`, `Recipient`.
    Destination,
    /// Meant for another service: `Audience`, `aud`, `azp`.
    Audience,
    /// Too early or too late.
    Time,
    /// Not the answer to what this browser asked: `InResponseTo`, `state`, `nonce`.
    Request,
    /// Used before.
    Replay,
    /// The identity provider itself said no.
    Status,
    /// No subject, or not the same one everywhere.
    Subject,
    /// A claim or attribute that the connection needs is missing or of another tenant.
    Claim,
    /// The sign-in is older, or weaker, than was asked for.
    Freshness,
    /// The connection is not set up for this.
    Configuration,
    /// The identity provider could not be asked.
    Unreachable,
}

impl Check {
    /// The name of the check.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Limit => "limit",
            Self::Signature => "signature",
            Self::Algorithm => "algorithm",
            Self::Encryption => "encryption",
            Self::Issuer => "issuer",
            Self::Destination => "destination",
            Self::Audience => "audience",
            Self::Time => "time",
            Self::Request => "request",
            Self::Replay => "replay",
            Self::Status => "status",
            Self::Subject => "subject",
            Self::Claim => "claim",
            Self::Freshness => "freshness",
            Self::Configuration => "configuration",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An answer is refused.
///
/// The text is for an administrator (`the audience is "X", expected "Y"`) and holds no secret; the person who signs in sees
/// only a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SsoError {
    /// What failed.
    pub check: Check,
    /// What was found and what was expected.
    pub detail: String,
}

impl SsoError {
    /// A refusal by that check.
    #[must_use]
    pub fn new(check: Check, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into() }
    }
}
