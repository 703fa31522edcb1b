//! How RocksDB is tuned, family by family, and why.

use orzo_store::Family;
use orzo_store::keys::{SERIES_PREFIX, names_prefix};
use rocksdb::statistics::StatsLevel;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BlockBasedTablePinningTier, Cache, ColumnFamilyDescriptor,
    DBCompactionStyle, DBCompressionType, DBRecoveryMode, LogLevel, Options, SliceTransform,
};

use crate::retention::RetentionFactory;

/// What the operator decides.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Blocks, indexes and filters kept in memory, in bytes.
    pub block_cache_bytes: usize,
    /// Writes kept in memory before they go to tables, all families together, in bytes.
    pub write_buffer_bytes: usize,
    /// Threads that flush and compact.
    pub background_jobs: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { block_cache_bytes: 256 << 20, write_buffer_bytes: 128 << 20, background_jobs: 2 }
    }
}

const MIB: u64 = 1 << 20;
/// Old log files make a family flush; bounds what a start has to read.
const WAL_BYTES_MAX: u64 = 512 * MIB;
/// Write buffer of one family at most. The log is preallocated by it, too.
const FAMILY_BUFFER_BYTES_MAX: usize = 64 << 20;
/// Expired rows that the filter missed once are met again within a day.
const PERIODIC_COMPACTION_SECONDS: u64 = 24 * 3600;
/// 16 KiB: scans of a series read neighbouring runs, and larger blocks compress better.
const ROWS_BLOCK_BYTES: usize = 16 << 10;

/// How much of a write buffer its filter may take.
const MEMORY_FILTER_PART: f64 = 0.02;

/// Tables of the backlog that are merged together.
const BACKLOG_TABLES: i32 = 12;

/// Options of the whole database.
pub(crate) fn database(tuning: &Tuning) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_db_write_buffer_size(tuning.write_buffer_bytes);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    options.set_max_background_jobs(tuning.background_jobs.clamp(2, 64) as i32);
    // One log for all families: a crash keeps a prefix of the batches, never a later one without an
    // earlier one. The order "rows before windows before low water" rests on this.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_recycle_log_file_num(4);
    options.set_enable_pipelined_write(true);
    options.set_wal_compression_type(DBCompressionType::Zstd);
    options.set_bytes_per_sync(MIB);
    options.set_wal_bytes_per_sync(MIB);
    options.set_keep_log_file_num(4);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_max_open_files(4096);
    // Counts only: bytes written, by what for.
    options.enable_statistics();
    options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
    options
}

/// Every family with its options.
pub(crate) fn families(tuning: &Tuning) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(tuning.block_cache_bytes);
    let describe =
        |family: Family| ColumnFamilyDescriptor::new(family.name(), options_of(family, &cache, tuning));
    Family::ALL.into_iter().map(describe).collect()
}

fn options_of(family: Family, cache: &Cache, tuning: &Tuning) -> Options {
    let mut options = Options::default();
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    options.set_write_buffer_size((tuning.write_buffer_bytes / 4).clamp(1 << 20, FAMILY_BUFFER_BYTES_MAX));
    options.set_level_compaction_dynamic_level_bytes(true);
    match family {
        Family::Meta => {}
        Family::Backlog => backlog(&mut options),
        Family::Window => {
            table.set_bloom_filter(10.0, false);
            compress_well(&mut options);
        }
        Family::Rows => rows(&mut options, &mut table),
        Family::Index => {
            table.set_hybrid_ribbon_filter(10.0, 1);
            pin(&mut table);
            filter_memory(&mut options);
            compress(&mut options);
        }
        Family::IndexBy => {
            // A new series asks for names that are not there: no block should be read for that.
            table.set_bloom_filter(10.0, false);
            pin(&mut table);
            filter_memory(&mut options);
            // Pages ask for the names of a thousand resources: a scan of one ends where they do, and knows the tables.
            let name = "orzo.names";
            let transform = |key| names_prefix(key).unwrap_or(key);
            options.set_prefix_extractor(SliceTransform::create(
                name,
                transform,
                Some(|key| names_prefix(key).is_some()),
            ));
            compress(&mut options);
        }
    }
    options.set_block_based_table_factory(&table);
    options
}

/// Written once in order, read at start only, dropped in ranges: nothing to gain from levels. So many tables are let lie
/// that most of what is in them is dead by the time they are merged.
fn backlog(options: &mut Options) {
    options.set_compaction_style(DBCompactionStyle::Universal);
    options.set_level_zero_file_num_compaction_trigger(BACKLOG_TABLES);
    options.set_level_zero_slowdown_writes_trigger(4 * BACKLOG_TABLES);
    options.set_level_zero_stop_writes_trigger(6 * BACKLOG_TABLES);
    compress_well(options);
}

/// Read by scans within one prefix: partition, metric, width.
fn rows(options: &mut Options, table: &mut BlockBasedOptions) {
    table.set_block_size(ROWS_BLOCK_BYTES);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_hybrid_ribbon_filter(10.0, 1);
    table.set_whole_key_filtering(false);
    options.set_prefix_extractor(SliceTransform::create_fixed_prefix(SERIES_PREFIX));
    options.set_memtable_prefix_bloom_ratio(MEMORY_FILTER_PART);
    options.set_compaction_filter_factory(RetentionFactory);
    options.set_periodic_compaction_seconds(PERIODIC_COMPACTION_SECONDS);
    compress_well(options);
}

/// Values are coded tightly already: a quick compression finds nothing in them.
fn compress_well(options: &mut Options) {
    options.set_compression_type(DBCompressionType::Zstd);
}

/// A page looks into each table a thousand times: what says where to look, stays in the cache and need not be found there.
fn pin(table: &mut BlockBasedOptions) {
    table.set_unpartitioned_pinning_tier(BlockBasedTablePinningTier::All);
}

/// Whoever makes something looks first whether it is there, and mostly it is not.
fn filter_memory(options: &mut Options) {
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(MEMORY_FILTER_PART);
}

fn compress(options: &mut Options) {
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
}
