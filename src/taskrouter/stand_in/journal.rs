//! The journal: one line of JSON for each change that was answered.
//!
//! A line is handed to the operating system before its answer goes out, so it survives the end of the process at any
//! point; it is not forced to the disk, because a stand-in need not survive the loss of power. Only the last line can be
//! torn, and a torn line was never answered: it is dropped at the next start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::StandInError;
use super::model::Change;

/// A journal shorter than this is compacted only at start.
const COMPACT_FROM: u64 = 32 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    compact_at: u64,
    // The lock ends with the process, however it ends: nothing is left behind to clear away.
    _lock: File,
}

impl Journal {
    /// Opens the journal of a directory and plays every whole line of it.
    pub(super) fn open(dir: &Path, mut play: impl FnMut(Vec<Change>)) -> Result<Self, StandInError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| StandInError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(fail(dir))?;
        let lock_path = dir.join("taskrouter.lock");
        let lock = private_file(&lock_path).map_err(fail(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StandInError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(fail(&lock_path)(source)),
        }
        let path = dir.join("taskrouter.jsonl");
        let mut file = private_file(&path).map_err(fail(&path))?;
        let length = replay(&path, &file, &mut play)?;
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(fail(&path))?;
        Ok(Self { path, file, length, compact_at: COMPACT_FROM, _lock: lock })
    }

    /// Writes one change. After an error the journal is as it was before.
    pub(super) fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut line = serde_json::to_vec(changes)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // Half a line would spoil the next one.
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Whether so much was written that most of it is likely outdated.
    pub(super) fn wants_compaction(&self) -> bool {
        self.length >= self.compact_at
    }

    /// Replaces the journal by the shortest one with the same outcome, at once or not at all.
    pub(super) fn compact(&mut self, snapshot: impl Iterator<Item = Change>) -> Result<(), StandInError> {
        let done = self.rewrite(snapshot);
        // A compaction that failed, or that brought little, is not tried again at every write.
        self.compact_at = COMPACT_FROM.max(self.length.saturating_mul(4));
        done.map_err(|source| StandInError::Io { path: self.path.clone(), source })
    }

    fn rewrite(&mut self, snapshot: impl Iterator<Item = Change>) -> io::Result<()> {
        let fresh = self.path.with_extension("jsonl.new");
        let file = private_file(&fresh)?;
        file.set_len(0)?;
        let mut writer = BufWriter::new(file);
        for change in snapshot {
            serde_json::to_writer(&mut writer, &[change])?;
            writer.write_all(b"\n")?;
        }
        let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        // The name must not reach the disk before the content.
        file.sync_all()?;
        let length = file.stream_position()?;
        fs::rename(&fresh, &self.path)?;
        (self.file, self.length) = (file, length);
        Ok(())
    }
}

/// Plays the whole lines of a journal; returns where the last one ends.
fn replay(path: &Path, file: &File, play: &mut impl FnMut(Vec<Change>)) -> Result<u64, StandInError> {
    let mut reader = BufReader::new(file);
    let (mut line, mut number, mut length) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        number += 1;
        let read = reader.read_until(b'\n', &mut line);
        let read = read.map_err(|source| StandInError::Io { path: path.to_owned(), source })?;
        if !line.ends_with(b"\n") {
            if read > 0 {
                tracing::info!(path = %path.display(), bytes = read, "dropped a torn last line of the stand-in's journal");
            }
            return Ok(length);
        }
        let damaged = |source| StandInError::Damaged { path: path.to_owned(), line: number, source };
        play(serde_json::from_slice(&line).map_err(damaged)?);
        length += read as u64;
    }
}

/// A file that only its owner can read: it holds names and addresses of people.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
