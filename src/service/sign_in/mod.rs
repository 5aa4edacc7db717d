//! Sign-in through an identity provider: begun, answered, and turned into a session.

mod admit;

pub use admit::{Admission, Names};
