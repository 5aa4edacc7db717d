//! Secrets that come from files, because arguments can be read by every process of the machine.

use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;

/// The name of a file that holds one secret; `-` is standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile(PathBuf);

impl FromStr for SecretFile {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(PathBuf::from(text)))
    }
}

impl SecretFile {
    /// Reads the secret, without the line break at its end.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, or holds nothing.
    pub fn read(&self) -> std::io::Result<SecretString> {
        let text = if self.0.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text)?;
            text
        } else {
            std::fs::read_to_string(&self.0)?
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "there is no secret in it")),
            secret => Ok(SecretString::from(secret.to_owned())),
        }
    }
}
