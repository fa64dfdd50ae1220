//! Rows of usage on disk until the store has them: a folder of segments, each one batch of rows under one id. Knows
//! nothing of the store.
//!
//! Each process has a folder of its own in the spool, and a lock on a file in it for as long as it lives. What a process
//! left behind that lives no more is adopted by the next one that starts.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::base::Ids;
use crate::store::UsageRow;

const LOCK: &str = "lock";
/// Segments that the store does not take.
const BAD: &str = "bad";
const ENDING: &str = "rows";

/// The rows of one batch, in a file. The file's name is the batch's id.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    bytes: u64,
}

pub struct Spool {
    folder: PathBuf,
    /// This process's own.
    own: PathBuf,
    _lock: File,
    max_bytes: u64,
    /// All that lies in the spool.
    bytes: AtomicU64,
}

/// What a process that is no more left behind. Dropped when all of it is in the store: its folder goes.
#[derive(Debug)]
pub struct Adopted {
    folder: PathBuf,
    _lock: File,
}

impl Drop for Adopted {
    fn drop(&mut self) {
        // Whatever is still in it stays for the next start.
        if segments(&self.folder).is_ok_and(|left| left.is_empty()) {
            let _ = fs::remove_file(self.folder.join(LOCK));
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// A spool that has been opened, and what was found in it.
pub struct Opened {
    pub spool: Spool,
    pub left: Vec<Segment>,
    pub adopted: Vec<Adopted>,
}

impl Spool {
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Opened, String> {
        Self::begin(folder, max_bytes).map_err(|error| {
            format!(
                "the spool of usage {} cannot be used: {error}. Make the folder writable, or name another as store.spool.",
                folder.display()
            )
        })
    }

    fn begin(folder: &Path, max_bytes: u64) -> io::Result<Opened> {
        make_folder(folder)?;
        make_folder(&folder.join(BAD))?;
        // One process at a time looks who is there: nobody adopts a folder that is just being made.
        let door = open_lock(&folder.join(LOCK))?;
        door.lock()?;
        let own = folder.join(Ids::random().next(""));
        make_folder(&own)?;
        let lock = open_lock(&own.join(LOCK))?;
        lock.lock()?;
        let (mut left, mut adopted) = (segments(folder)?, Vec::new());
        let mut bytes: u64 = segments(&folder.join(BAD))?.iter().map(|s| s.bytes).sum();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !path.is_dir() || path == own || path.ends_with(BAD) {
                continue;
            }
            let Ok(lock) = open_lock(&path.join(LOCK)) else {
                continue;
            };
            match lock.try_lock() {
                Ok(()) => {}
                // Another gateway, or the one that this one takes over from.
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            left.extend(segments(&path)?);
            adopted.push(Adopted {
                folder: path,
                _lock: lock,
            });
        }
        bytes += left.iter().map(|segment| segment.bytes).sum::<u64>();
        left.sort_by(|a, b| a.path.cmp(&b.path));
        let spool = Self {
            folder: folder.to_owned(),
            own,
            _lock: lock,
            max_bytes,
            bytes: AtomicU64::new(bytes),
        };
        Ok(Opened {
            spool,
            left,
            adopted,
        })
    }

    /// Writes rows as a new segment. When it returns, they survive the end of the process.
    pub fn write(&self, id: &str, rows: &[UsageRow]) -> io::Result<Segment> {
        let lines = lines(rows)?;
        self.reserve(lines.len())?;
        let path = self.own.join(format!("{id}.{ENDING}"));
        let written = (|| {
            let mut file = private().create_new(true).write(true).open(&path)?;
            file.write_all(&lines)
        })();
        if let Err(error) = written {
            let _ = fs::remove_file(&path);
            self.give_back(lines.len() as u64);
            return Err(error);
        }
        Ok(Segment {
            path,
            bytes: lines.len() as u64,
        })
    }

    /// Adds rows to a segment of which nobody has read yet. Where that fails the segment is as it was.
    pub fn append(&self, segment: &mut Segment, rows: &[UsageRow]) -> io::Result<()> {
        let lines = lines(rows)?;
        self.reserve(lines.len())?;
        let mut file = OpenOptions::new().append(true).open(&segment.path);
        let written = match &mut file {
            Ok(file) => file.write_all(&lines).inspect_err(|_| {
                let _ = file.set_len(segment.bytes);
            }),
            Err(error) => Err(io::Error::from(error.kind())),
        };
        match written {
            Ok(()) => segment.bytes += lines.len() as u64,
            Err(_) => self.give_back(lines.len() as u64),
        }
        written
    }

    /// The rows of a segment, and how many lines of it are none: a process that was killed leaves half a line.
    pub fn read(segment: &Segment) -> io::Result<(Vec<UsageRow>, u64)> {
        let text = fs::read(&segment.path)?;
        let (mut rows, mut torn) = (Vec::new(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(row) if line.ends_with(b"\n") => rows.push(row),
                Ok(_) | Err(_) => torn += 1,
            }
        }
        Ok((rows, torn))
    }

    /// The store has its rows.
    pub fn remove(&self, segment: &Segment) {
        // One that stays is given to the store again under the same id, which changes nothing.
        if fs::remove_file(&segment.path).is_ok() {
            self.give_back(segment.bytes);
        }
    }

    /// The store does not take it: it is put aside, and still counts for what the spool holds. Returns where it lies.
    pub fn put_aside(&self, segment: &Segment) -> io::Result<PathBuf> {
        let name = segment.path.file_name().unwrap_or_default();
        let aside = self.folder.join(BAD).join(name);
        fs::rename(&segment.path, &aside)?;
        Ok(aside)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All that was written survives the end of the machine.
    pub fn sync(&self) -> io::Result<()> {
        for segment in segments(&self.own)? {
            File::open(&segment.path)?.sync_all()?;
        }
        File::open(&self.own)?.sync_all()
    }

    fn reserve(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let room = self.bytes.fetch_update(Relaxed, Relaxed, |held| {
            Some(held + bytes).filter(|held| *held <= self.max_bytes)
        });
        room.map(|_| ()).map_err(|_| {
            io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "store.spool_max_bytes is reached",
            )
        })
    }

    fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if segments(&self.own).is_ok_and(|left| left.is_empty()) {
            let _ = fs::remove_file(self.own.join(LOCK));
            let _ = fs::remove_dir(&self.own);
        }
    }
}

impl Segment {
    /// The id of its batch.
    pub fn id(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }
}

fn lines(rows: &[UsageRow]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(rows.len() * 512);
    for row in rows {
        serde_json::to_writer(&mut lines, row)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            let bytes = entry.metadata()?.len();
            found.push(Segment { path, bytes });
        }
    }
    Ok(found)
}

/// For the eyes of the gateway's user only: rows say who asked for what.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn open_lock(path: &Path) -> io::Result<File> {
    private()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub use tests::Folder as TestFolder;
