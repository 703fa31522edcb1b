//! The engine: one database, six column families, one log.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use orzo_store::keys::SERIES_PREFIX;
use orzo_store::kv::{Change, Visit};
use orzo_store::{Batch, Direction, Error, Family, Kv, Result, WhenStalled};
use rocksdb::{
    ColumnFamily, DB, DBRawIterator, ErrorKind, InfoLogger, LogLevel, ReadOptions, WaitForCompactOptions,
    WriteBatch, WriteOptions,
};

use crate::options::{self, Tuning};

/// An open RocksDB database.
pub struct RocksKv {
    db: DB,
}

impl RocksKv {
    /// Opens a database, or makes it.
    ///
    /// # Errors
    /// [`Error::Fatal`] if it cannot be opened: another process has it, the disk refuses, it is damaged.
    pub fn open(path: &Path, tuning: &Tuning) -> Result<Self> {
        let opened = DB::open_cf_descriptors(&options::database(tuning), path, options::families(tuning));
        let db = opened.map_err(|source| failure("opening the database", source))?;
        Ok(RocksKv { db })
    }

    /// Opens a database to read it. Nothing is written, not even a log of the engine's own.
    ///
    /// # Errors
    /// As of [`RocksKv::open`], or if there is none.
    pub fn open_read_only(path: &Path, tuning: &Tuning) -> Result<Self> {
        let mut options = options::database(tuning);
        options.create_if_missing(false);
        options.create_missing_column_families(false);
        options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| {}));
        let opened = DB::open_cf_descriptors_read_only(&options, path, options::families(tuning), false);
        let db = opened.map_err(|source| failure("opening the database", source))?;
        Ok(RocksKv { db })
    }

    /// An estimate of what a family takes on disk, in bytes.
    pub fn bytes_on_disk(&self, family: Family) -> u64 {
        let size =
            self.db.property_int_value_cf(self.family(family), rocksdb::properties::TOTAL_SST_FILES_SIZE);
        size.ok().flatten().unwrap_or(0)
    }

    /// Writes what is in memory to tables and merges everything, so that sizes on disk mean something.
    pub fn compact(&self) -> Result<()> {
        for family in Family::ALL {
            self.db.compact_range_cf(self.family(family), None::<&[u8]>, None::<&[u8]>);
        }
        let waited = self.db.wait_for_compact(&WaitForCompactOptions::default());
        waited.map_err(|source| failure("compacting", source))
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("every family is opened with the database")
    }

    fn iterator(&self, family: Family, from: &[u8], to: &[u8]) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if !to.is_empty() {
            options.set_iterate_upper_bound(to);
        }
        // Filters know series only; anything wider than one must see every table.
        let one_series = family == Family::Rows
            && from.len() > SERIES_PREFIX
            && to.len() > SERIES_PREFIX
            && from[..SERIES_PREFIX] == to[..SERIES_PREFIX];
        options.set_prefix_same_as_start(one_series);
        options.set_total_order_seek(!one_series);
        self.db.raw_iterator_cf_opt(self.family(family), options)
    }
}

impl Kv for RocksKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let got = self.db.get_cf(self.family(family), key);
        got.map_err(|source| failure("reading", source))
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
        let mut iterator = self.iterator(family, from, to);
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

    fn write(&self, batch: Batch, when_stalled: WhenStalled) -> Result<()> {
        let mut changes = WriteBatch::default();
        for (family, change) in &batch.changes {
            let family = self.family(*family);
            match change {
                Change::Put(key, value) => changes.put_cf(family, key, value),
                Change::Delete(key) => changes.delete_cf(family, key),
                Change::DeleteRange(from, to) => changes.delete_range_cf(family, from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_no_slowdown(when_stalled == WhenStalled::Fail);
        self.db.write_opt(changes, &options).map_err(|source| match source.kind() {
            ErrorKind::Incomplete => Error::Busy,
            _ => failure("writing", source),
        })
    }

    fn sync(&self) -> Result<()> {
        self.db.flush_wal(true).map_err(|source| failure("syncing the log", source))
    }
}

fn failure(doing: &'static str, source: rocksdb::Error) -> Error {
    match source.kind() {
        ErrorKind::Corruption => Error::Unreadable { doing, source: io::Error::other(source) },
        _ => Error::Fatal { doing, source: io::Error::other(source) },
    }
}
