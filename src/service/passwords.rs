//! Passwords of local accounts: which are good enough, and how they are kept.
//!
//! Hashing is made to be slow. It has a pool of its own, so that however many people sign in, or pretend to, other requests
//! keep their processors.

mod guess;

use std::sync::Arc;

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::base::Ambient;
use crate::store::StoreError;

use super::error::ServiceError;

/// The fewest characters of a password (NIST SP 800-63B-4 §3.1.1.2 asks for 8 beside a second factor and 15 alone; owners
/// have a throttle and a refusal of what is guessed first besides).
pub const SHORTEST: usize = 12;
/// The most; more would only be work.
pub const LONGEST: usize = 256;

/// OWASP's second choice for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many may wait for their turn; who comes then is told to come again.
const WAITING: usize = 32;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// Fewer than [`SHORTEST`] characters.
    #[error("the password is too short")]
    Short,
    /// More than [`LONGEST`] characters.
    #[error("the password is too long")]
    Long,
    /// Among what is tried first: common words and their usual decoration, rows of keys, the person's own name.
    #[error("the password is too easy to guess")]
    Common,
}

/// A password, brought to one spelling: the same keys give the same characters on every system (RFC 8265 §4.2).
#[derive(Debug)]
pub struct Password(SecretString);

impl Password {
    /// Takes what was typed.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        Self(SecretString::from(text.nfc().collect::<String>()))
    }

    /// Whether it is good enough for somebody of that name.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self, user_name: &str) -> Result<(), Weak> {
        let text = self.0.expose_secret();
        match text.chars().count() {
            ..SHORTEST => Err(Weak::Short),
            count if count > LONGEST => Err(Weak::Long),
            _ if guess::is_easy(text, user_name) => Err(Weak::Common),
            _ => Ok(()),
        }
    }
}

/// The pool in which passwords are hashed.
#[derive(Debug)]
pub struct Hasher {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// A hash that no password has, for names that nobody has: they take as long as others.
    nobody: String,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Hasher {
    /// A pool that uses half of the processors, at least one.
    pub(super) fn new(ambient: &Ambient) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let salt = hex::encode(ambient.bytes::<16>());
        // Of the form of a hash; what it was made of nobody knows, not even we.
        let nobody = format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            unpadded(salt.as_bytes()),
            unpadded(&ambient.bytes::<32>())
        );
        Self {
            running: Arc::new(Semaphore::new((processors / 2).max(1))),
            places: Arc::new(Semaphore::new(WAITING)),
            nobody,
        }
    }

    /// The stored form of a password; `Err(Busy)` inside if too many wait.
    pub(super) async fn hash(
        &self,
        ambient: &Ambient,
        password: Password,
    ) -> Result<Result<String, Busy>, ServiceError> {
        let salt = ambient.bytes::<16>();
        self.run(move || {
            let hashed: Result<PasswordHash, _> =
                argon2()?.hash_password_with_salt(password.0.expose_secret().as_bytes(), &salt);
            hashed.map(|hash| hash.to_string()).map_err(|error| broken(&error))
        })
        .await
    }

    /// Whether a password is the one that was stored; without a stored one it takes as long and is not.
    pub(super) async fn verify(
        &self,
        password: Arc<Password>,
        stored: Option<&str>,
    ) -> Result<Result<bool, Busy>, ServiceError> {
        let (hash, is_somebody) = (stored.unwrap_or(&self.nobody).to_owned(), stored.is_some());
        self.run(move || {
            let parsed = PasswordHash::new(&hash).map_err(|error| broken(&error))?;
            match argon2()?.verify_password(password.0.expose_secret().as_bytes(), &parsed) {
                Ok(()) => Ok(is_somebody),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(broken(&error)),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<Result<T, Busy>, ServiceError> {
        let Ok(_place) = self.places.try_acquire() else { return Ok(Err(Busy)) };
        let Ok(running) = Arc::clone(&self.running).acquire_owned().await else { return Ok(Err(Busy)) };
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if nobody waits for it any longer.
            let _running = running;
            work()
        });
        done.await.map_err(|error| broken(&error))?.map(Ok)
    }
}

fn argon2() -> Result<Argon2<'static>, ServiceError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| broken(&error))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn unpadded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

fn broken(error: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::Store(StoreError::Damaged { table: "credential", what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s58_passwords_are_kept_as_argon2id() {
        let (ambient, other) = (Ambient::system(), "correct donkey battery staple");
        let hasher = Hasher::new(&ambient);
        let word = "orange pedal volcano mist";
        let stored = hasher.hash(&ambient, Password::typed(word)).await.unwrap().unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let verify = async |text: &str, hash: Option<&str>| {
            hasher.verify(Arc::new(Password::typed(text)), hash).await.unwrap().unwrap()
        };
        assert!(verify(word, Some(&stored)).await);
        assert!(!verify(other, Some(&stored)).await);
        assert!(!verify(word, None).await, "nobody has no password");
        let again = hasher.hash(&ambient, Password::typed(word)).await.unwrap().unwrap();
        assert_ne!(stored, again, "salted");
        assert!(!format!("{:?}", Password::typed(word)).contains("orange"));
        // One spelling: e with an accent, in one character and in two.
        let accented = hasher.hash(&ambient, Password::typed("caf\u{e9} pedal volcano")).await.unwrap().unwrap();
        assert!(verify("cafe\u{301} pedal volcano", Some(&accented)).await);
    }

    #[tokio::test]
    async fn s58_who_waits_is_bounded() {
        let ambient = Ambient::system();
        let hasher = Hasher::new(&ambient);
        let password = Arc::new(Password::typed("orange pedal volcano mist"));
        let all = (0..WAITING + 8).map(|_| hasher.verify(Arc::clone(&password), None));
        let answers = futures::future::join_all(all).await;
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Ok(Err(Busy)))).count(), 8);
    }

    #[test]
    fn s58_short_and_common_ones_are_refused() {
        let check = |text: &str| Password::typed(text).check("ana@acme.example");
        assert_eq!(check("elevenchars"), Err(Weak::Short));
        assert_eq!(check(&"ab cd ef gh ".repeat(30)), Err(Weak::Long));
        assert_eq!(check("Password1234!"), Err(Weak::Common));
        assert_eq!(check("orange pedal volcano mist"), Ok(()));
        assert_eq!(check("\u{e9}\u{e8}\u{ea}\u{eb}\u{e0}\u{e2}\u{e4}\u{f4}\u{f6}\u{fb}\u{fc}"), Err(Weak::Short));
    }
}
