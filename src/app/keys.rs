//! The key file of installations that configure no key.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::AppError;
use crate::base::{Ambient, Keyring};

const FILE: &str = "secret.key";

/// Reads the key file in the data directory; the first start makes it, readable by its owner only.
pub(super) fn from_file(data_dir: &Path, ambient: &Ambient) -> Result<Keyring, AppError> {
    let path = data_dir.join(FILE);
    let failed =
        |what: &str, source| AppError::File { what: format!("the key file {} {what}", path.display()), source };
    let key = Zeroizing::new(hex::encode(Zeroizing::new(ambient.bytes::<32>())));
    // Written under another name first: a key file is there whole or not at all, and two processes agree on one.
    let draft = data_dir.join(format!("{FILE}.{}", ambient.id::<uuid::Uuid>()));
    if !path.exists() {
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&draft).map_err(|e| failed("cannot be made", e))?;
        file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| failed("cannot be written", e))?;
        let linked = std::fs::hard_link(&draft, &path);
        std::fs::remove_file(&draft).map_err(|e| failed("left a draft behind", e))?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed("cannot be made", error)),
            _ => {}
        }
    }
    let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(|e| failed("cannot be read", e))?);
    Ok(Keyring::from_hex(text.trim())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_key_file_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let ambient = Ambient::system();
        let sealed = from_file(dir.path(), &ambient).unwrap().seal(&ambient, "a", "b").unwrap();
        assert_eq!(from_file(dir.path(), &ambient).unwrap().open("a", &sealed).unwrap().as_str(), "b");
        let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
