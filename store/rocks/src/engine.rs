//! The engine: one database, six column families, one log.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orzo_store::keys::{SERIES_PREFIX, names_prefix};
use orzo_store::kv::{Change, Visit, VisitUnder, prefix_end};
use orzo_store::{Batch, Direction, Error, Family, Kv, Result, WhenStalled};
use parking_lot::RwLock;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::statistics::Ticker;
use rocksdb::{
    ColumnFamily, DB, DBPinnableSlice, DBRawIterator, ErrorKind, FlushOptions, InfoLogger, LogLevel, Options,
    ReadOptions, WaitForCompactOptions, WriteBatch, WriteOptions,
};

use crate::group::Group;
use crate::options::{self, Tuning};

/// How long scans under way may hold up a database that is to be opened again.
const CLOSE_WAIT: Duration = Duration::from_secs(10);
/// Time between two looks at whether they have ended.
const CLOSE_LOOK: Duration = Duration::from_millis(5);
/// What must fit on the disk before a database is opened again: more than a manifest and a few tables take.
const ROOM_BYTES: usize = 8 << 20;

/// Bytes that the engine has written since it was opened first, by what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The log.
    pub log: u64,
    /// Tables out of memory.
    pub flushed: u64,
    /// Tables out of tables.
    pub merged: u64,
}

/// A RocksDB database, open but for the moments in which it is opened again.
pub struct RocksKv {
    path: PathBuf,
    tuning: Tuning,
    /// It has the statistics, and is used each time, so that they go on.
    options: Options,
    /// Nobody holds the lock while the database works: a visitor of a scan may come back for more.
    db: RwLock<Option<Arc<DB>>>,
    syncs: Group,
}

impl RocksKv {
    /// Opens a database, or makes it.
    ///
    /// # Errors
    /// [`Error::Fatal`] if it cannot be opened: another process has it, the disk refuses;
    /// [`Error::Unreadable`] if it is damaged.
    pub fn open(path: &Path, tuning: &Tuning) -> Result<Self> {
        let options = options::database(tuning);
        Ok(Self::holding(open(path, tuning, &options)?, path, tuning, options))
    }

    /// Opens a database to read it. Nothing is written, not even a log of the engine's own.
    ///
    /// # Errors
    /// As of [`RocksKv::open`], or if there is none.
    pub fn open_read_only(path: &Path, tuning: &Tuning) -> Result<Self> {
        let options = options::database(tuning);
        Ok(Self::holding(open_read_only(path, tuning, options.clone())?, path, tuning, options))
    }

    fn holding(db: DB, path: &Path, tuning: &Tuning, options: Options) -> Self {
        RocksKv {
            path: path.to_owned(),
            tuning: *tuning,
            options,
            db: RwLock::new(Some(Arc::new(db))),
            syncs: Group::default(),
        }
    }

    fn db(&self) -> Result<Arc<DB>> {
        self.db.read().clone().ok_or(Error::Busy)
    }

    /// Closes the database once nobody uses it any more. Those who come meanwhile are told that it is busy.
    fn close(&self) -> Result<()> {
        let Some(mut db) = self.db.write().take() else { return Ok(()) };
        let deadline = Instant::now() + CLOSE_WAIT;
        loop {
            match Arc::try_unwrap(db) {
                Ok(db) => {
                    drop(db);
                    return Ok(());
                }
                Err(used) => db = used,
            }
            if Instant::now() > deadline {
                *self.db.write() = Some(db);
                return Err(Error::Busy);
            }
            std::thread::sleep(CLOSE_LOOK);
        }
    }

    /// An estimate of what a family takes on disk, in bytes.
    pub fn bytes_on_disk(&self, family: Family) -> u64 {
        let Ok(db) = self.db() else { return 0 };
        let size = db.property_int_value_cf(of(&db, family), rocksdb::properties::TOTAL_SST_FILES_SIZE);
        size.ok().flatten().unwrap_or(0)
    }

    /// What went to the disk.
    pub fn written(&self) -> Written {
        let count = |ticker| self.options.get_ticker_count(ticker);
        Written {
            log: count(Ticker::WalFileBytes),
            flushed: count(Ticker::FlushWriteBytes),
            merged: count(Ticker::CompactWriteBytes),
        }
    }

    /// Makes a copy of the database as it is now in a directory that must not exist, out of links to its tables: quick,
    /// and it takes no room until the database has moved on. Writing goes on meanwhile.
    pub fn checkpoint(&self, directory: &Path) -> Result<()> {
        let made =
            Checkpoint::new(&*self.db()?).and_then(|checkpoint| checkpoint.create_checkpoint(directory));
        made.map_err(|source| failure("making a checkpoint of the database", source))
    }

    /// Writes what is in memory to tables, so that the next start has no log to read.
    pub fn flush(&self) -> Result<()> {
        let db = self.db()?;
        let families: Vec<_> = Family::ALL.into_iter().map(|family| of(&db, family)).collect();
        let flushed = db.flush_cfs_opt(&families, &FlushOptions::default());
        flushed.map_err(|source| failure("writing tables", source))
    }

    /// Writes what is in memory to tables and merges everything, so that sizes on disk mean something.
    pub fn compact(&self) -> Result<()> {
        let db = self.db()?;
        for family in Family::ALL {
            db.compact_range_cf(of(&db, family), None::<&[u8]>, None::<&[u8]>);
        }
        let waited = db.wait_for_compact(&WaitForCompactOptions::default());
        waited.map_err(|source| failure("compacting", source))
    }
}

/// The family, as the engine knows it.
fn of(db: &DB, family: Family) -> &ColumnFamily {
    db.cf_handle(family.name()).expect("every family is opened with the database")
}

/// `same_prefix`: what is visited after a seek shares with its key the prefix that filters know; anything wider must see
/// every table.
fn iterator<'a>(db: &'a DB, family: Family, from: &[u8], to: &[u8], same_prefix: bool) -> DBRawIterator<'a> {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(from);
    if !to.is_empty() {
        options.set_iterate_upper_bound(to);
    }
    options.set_prefix_same_as_start(same_prefix);
    options.set_total_order_seek(!same_prefix);
    db.raw_iterator_cf_opt(of(db, family), options)
}

impl Kv for RocksKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let db = self.db()?;
        let got = db.get_cf(of(&db, family), key);
        got.map_err(|source| failure("reading", source))
    }

    fn get_all(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let db = self.db()?;
        let found = db.batched_multi_get_cf(of(&db, family), keys, keys.is_sorted());
        let value = |got: std::result::Result<Option<DBPinnableSlice<'_>>, _>| {
            got.map(|value| value.map(|value| value.to_vec())).map_err(|source| failure("reading", source))
        };
        found.into_iter().map(value).collect()
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if !to.is_empty() && from >= to {
            return Ok(());
        }
        let db = self.db()?;
        let one_series = family == Family::Rows
            && from.len() > SERIES_PREFIX
            && to.len() > SERIES_PREFIX
            && from[..SERIES_PREFIX] == to[..SERIES_PREFIX];
        let mut iterator = iterator(&db, family, from, to, one_series);
        match (way, to.is_empty()) {
            (Direction::Forward, _) => iterator.seek(from),
            (Direction::Backward, true) => iterator.seek_to_last(),
            (Direction::Backward, false) => iterator.seek_for_prev(to),
        }
        while let Some((key, value)) = iterator.item() {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
            match way {
                Direction::Forward => iterator.next(),
                Direction::Backward => iterator.prev(),
            }
        }
        iterator.status().map_err(|source| failure("scanning", source))
    }

    fn scan_under(&self, family: Family, prefixes: &[Vec<u8>], visit: &mut VisitUnder<'_>) -> Result<()> {
        let (Some(first), Some(last)) = (prefixes.first(), prefixes.last()) else { return Ok(()) };
        let db = self.db()?;
        let of_names = family == Family::IndexBy && prefixes.iter().all(|one| names_prefix(one).is_some());
        let mut iterator = iterator(&db, family, first, &prefix_end(last), of_names);
        for (number, prefix) in prefixes.iter().enumerate() {
            // It may have come there already, over what is deleted in between.
            if iterator.key().is_none_or(|key| key < &prefix[..]) {
                iterator.seek(prefix);
            }
            while let Some((key, value)) = iterator.item().filter(|(key, _)| key.starts_with(prefix)) {
                if let ControlFlow::Break(()) = visit(number, key, value) {
                    return Ok(());
                }
                iterator.next();
            }
            iterator.status().map_err(|source| failure("scanning", source))?;
        }
        Ok(())
    }

    fn write(&self, batch: Batch, when_stalled: WhenStalled) -> Result<()> {
        let db = self.db()?;
        let mut changes = WriteBatch::default();
        for (family, change) in &batch.changes {
            let family = of(&db, *family);
            match change {
                Change::Put(key, value) => changes.put_cf(family, key, value),
                Change::Delete(key) => changes.delete_cf(family, key),
                Change::DeleteRange(from, to) => changes.delete_range_cf(family, from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_no_slowdown(when_stalled == WhenStalled::Fail);
        db.write_opt(changes, &options).map_err(|source| match source.kind() {
            ErrorKind::Incomplete => Error::Busy,
            _ => failure("writing", source),
        })
    }

    fn sync(&self) -> Result<()> {
        let db = self.db()?;
        self.syncs.sync(|| db.flush_wal(true)).map_err(|source| failure("syncing the log", source))
    }

    /// Opens the database again: its log has all that was ever acknowledged. If it cannot be opened for
    /// writing it is opened for reading. While the disk has no room it is left as it is: RocksDB goes on by
    /// itself when there is some.
    fn revive(&self) -> Result<()> {
        try_the_disk(&self.path).map_err(|source| Error::Fatal { doing: "trying the disk", source })?;
        self.close()?;
        let opened = open(&self.path, &self.tuning, &self.options);
        let (db, outcome) = match opened {
            Ok(db) => (Some(db), Ok(())),
            Err(error) => (open_read_only(&self.path, &self.tuning, self.options.clone()).ok(), Err(error)),
        };
        *self.db.write() = db.map(Arc::new);
        outcome
    }
}

fn open(path: &Path, tuning: &Tuning, options: &Options) -> Result<DB> {
    let opened = DB::open_cf_descriptors(options, path, options::families(tuning));
    opened.map_err(|source| failure("opening the database", source))
}

fn open_read_only(path: &Path, tuning: &Tuning, mut options: Options) -> Result<DB> {
    options.create_if_missing(false);
    options.create_missing_column_families(false);
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| {}));
    let opened = DB::open_cf_descriptors_read_only(&options, path, options::families(tuning), false);
    opened.map_err(|source| failure("opening the database", source))
}

/// Whether the disk takes as much as opening a database writes.
fn try_the_disk(path: &Path) -> io::Result<()> {
    let file = path.join("room");
    let tried = File::create(&file).and_then(|mut file| {
        file.write_all(&vec![0; ROOM_BYTES])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&file);
    tried.and(removed)
}

fn failure(doing: &'static str, source: rocksdb::Error) -> Error {
    match source.kind() {
        ErrorKind::Corruption => Error::Unreadable { doing, source: io::Error::other(source) },
        _ => Error::Fatal { doing, source: io::Error::other(source) },
    }
}
