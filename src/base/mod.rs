//! What every layer may use: time, randomness, typed ids, case folding, sealing of secrets.
//!
//! Nothing here does I/O, and nothing elsewhere reads the clock or the random source by itself:
//! both come in through [`Ambient`], so that tests and simulations replay exactly.

mod address;
mod ambient;
mod causes;
mod cursor;
mod fold;
mod histogram;
mod ids;
mod seal;
mod secret;
mod slug;
mod time;

pub use address::{NetworkError, client_address, contains, network};
pub use ambient::{Ambient, Clock, Entropy, MockClock, OsEntropy, SeededEntropy, SystemClock};
pub use causes::Causes;
pub use cursor::Page;
pub use fold::fold;
pub use histogram::Histogram;
pub use ids::{
    AccountId, ApiKeyId, ClientId, ConnectionId, EventId, GroupId, HoldId, IdError, LinkId, RuleId, SessionId, TokenId,
    UserId, WorkerId,
};
pub use seal::{Keyring, SealError};
pub use secret::{SecretToken, token_hash};
pub use slug::{Slug, SlugError, slugify};
pub use time::Timestamp;
