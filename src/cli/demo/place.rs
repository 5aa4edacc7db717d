//! Where the demonstration lives, and what of a configuration it may follow.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tempfile::TempDir;

use super::idp::Result;
use crate::config::{Config, Database, Loaded};

/// Says whose directory it is: a demonstration would put its own rules in the place of a server's.
const MARKER: &str = "made-by-rollcall-demo.txt";
const MARKER_TEXT: &str = "This directory was made by `rollcall demo`. Its people are invented, and its rules are set anew \
    each time the demonstration is played here.\n";

/// A place to play in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) config: Config,
    /// The directory, if it is to go at the end.
    pub(super) temporary: Option<TempDir>,
    /// The day was played here before.
    pub(super) played: bool,
}

impl Place {
    /// Takes of the configuration what does no harm. Whatever a file says: never Twilio, never another database.
    ///
    /// # Errors
    /// When the directory cannot be used, or is not one of a demonstration.
    pub(super) fn prepare(loaded: &Loaded) -> Result<Self> {
        let mut config = loaded.config.clone();
        let mut temporary = None;
        if loaded.is_default("data_dir") {
            let directory = tempfile::Builder::new().prefix("rollcall-demo-").tempdir()?;
            directory.path().clone_into(&mut config.data_dir);
            temporary = Some(directory);
        }
        let played = claim(&config.data_dir)?;
        // The usual names, so that other commands with this --data-dir work on the demonstration.
        config.database.target = Database::in_directory(&config.data_dir);
        config.secret_key = None;
        config.public_url = None;
        config.taskrouter.credentials = None;
        config.taskrouter.stand_in_listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.reconciler.paused = false;
        Ok(Self { config, temporary, played })
    }
}

/// Makes the directory a demonstration's. True: it was one already.
fn claim(directory: &Path) -> Result<bool> {
    let failed = |error: std::io::Error| format!("the data directory {} cannot be used: {error}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    if directory.join(MARKER).exists() {
        return Ok(true);
    }
    if fs::read_dir(directory).map_err(failed)?.next().is_some() {
        return Err(format!(
            "the data directory {} holds something, and not a demonstration: name another with --data-dir, or none for a temporary one",
            directory.display()
        )
        .into());
    }
    fs::write(directory.join(MARKER), MARKER_TEXT).map_err(failed)?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigFile, Flag, Sources};

    fn loaded(file: &str, data_dir: Option<&Path>) -> Loaded {
        let file = Some(ConfigFile { name: "x.toml".to_owned(), text: file.to_owned() });
        let flag = |dir: &Path| Flag { name: "--data-dir", key: "data_dir", value: dir.display().to_string() };
        Config::load(&Sources { file, environment: Vec::new(), flags: data_dir.map(flag).into_iter().collect() })
            .unwrap()
    }

    #[test]
    fn a_configuration_for_production_is_not_followed() {
        let place = Place::prepare(&loaded(
            "database_url = 'postgres://rollcall:secret@prod:5432/rollcall'\npublic_url = 'https://prod.example'\nsecret_key = \
             '0000000000000000000000000000000000000000000000000000000000000001'\n[reconciler]\npaused = true\n[taskrouter]\n\
             account_sid = 'AC1'\napi_key = 'SK1'\napi_secret = 's'\nworkspace_sid = 'WS1'",
            None,
        ))
        .unwrap();
        assert!(place.config.taskrouter.credentials.is_none() && place.config.secret_key.is_none());
        assert!(place.config.public_url.is_none() && !place.config.reconciler.paused);
        let directory = place.temporary.as_ref().unwrap().path().to_owned();
        assert_eq!(place.config.data_dir, directory);
        assert!(matches!(&place.config.database.target, Database::Sqlite(file) if file.starts_with(&directory)));
        drop(place);
        assert!(!directory.exists());
    }

    #[test]
    fn a_directory_is_played_in_again_and_a_servers_directory_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let ours = parent.path().join("new/demo");
        assert!(!Place::prepare(&loaded("", Some(&ours))).unwrap().played);
        assert!(Place::prepare(&loaded("", Some(&ours))).unwrap().played);
        let servers = parent.path().join("data");
        fs::create_dir(&servers).unwrap();
        fs::write(servers.join("rollcall.db"), "").unwrap();
        let refusal = Place::prepare(&loaded("", Some(&servers))).unwrap_err().to_string();
        assert!(refusal.contains("not a demonstration"), "{refusal}");
    }
}
