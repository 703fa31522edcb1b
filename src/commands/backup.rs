//! `orzo backup` and `orzo restore`: the database as it was at one moment, in a directory of its own.
//!
//! The daemon makes a checkpoint (links to its tables, in no time) and keeps it as long as this command is connected;
//! copying is done here, so that it may go to any disk, with the rights of whoever runs it. A backup is complete when it
//! bears its name: it is written beside that and renamed at the end. What was received after the last commit, up to one
//! second, is not in it, as after a crash.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use orzo_tuning::bytes_text;
use serde::{Deserialize, Serialize};

use super::progress::Progress;
use crate::cli::ConfigFile;
use crate::config;
use crate::control::Client;

/// What a backup holds beside its manifest.
const DATABASE: &str = "db";
const MANIFEST: &str = "backup.json";
/// The only layout there is so far.
const FORMAT: u32 = 1;

/// Examples of `orzo backup`.
pub const BACKUP_EXAMPLES: &str = "\
Examples:
  orzo backup --config /etc/orzo/orzo.toml /mnt/backups/orzo-$(date +%F)

Run it as root or as the user of the daemon, which must be running.
";

/// Examples of `orzo restore`.
pub const RESTORE_EXAMPLES: &str = "\
Examples:
  systemctl stop orzo
  orzo restore --config /etc/orzo/orzo.toml --replace /mnt/backups/orzo-2026-05-01
  systemctl start orzo
";

/// Options of `orzo backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Directory to make; it must not exist.
    directory: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

/// Options of `orzo restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// A directory that `orzo backup` has made.
    directory: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    /// If the data directory holds a database already, move it aside.
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// Version of the program that made it.
    orzo: String,
    /// When, in UTC.
    made: String,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
    crc32: u32,
}

impl Backup {
    /// Makes the backup.
    pub fn run(&self) -> Result<()> {
        let config = self.config.load()?;
        let target = &self.directory;
        if target.exists() {
            bail!("{} exists already", target.display());
        }
        let (daemon, checkpoint) = Client::ask(&config.data_dir, "checkpoint")?;
        let partial = beside(target, "partial")?;
        remove_if_there(&partial)?;
        let files = copy_all(Path::new(&checkpoint), &partial.join(DATABASE), None)?;
        daemon.end();
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let count = files.len();
        let made = jiff::Timestamp::now().to_string();
        let manifest = Manifest { format: FORMAT, orzo: env!("CARGO_PKG_VERSION").into(), made, files };
        write_durably(&partial.join(MANIFEST), serde_json::to_string_pretty(&manifest)?.as_bytes())?;
        publish(&partial, target)?;
        println!("{} files, {} in {}", count, bytes_text(bytes), target.display());
        Ok(())
    }
}

impl Restore {
    /// Puts a backup where the daemon will look for its database.
    pub fn run(&self) -> Result<()> {
        let config = self.config.load()?;
        let manifest = read_manifest(&self.directory)?;
        if Client::ask(&config.data_dir, "hello").is_ok() {
            bail!("a daemon is running on {}: stop it first", config.data_dir.display());
        }
        let database = config.data_dir.join(DATABASE);
        if database.exists() && !self.replace {
            bail!("{} exists already; --replace moves it aside", database.display());
        }
        fs::create_dir_all(&config.data_dir).with_context(|| place(&config.data_dir))?;
        let partial = beside(&database, "restoring")?;
        remove_if_there(&partial)?;
        copy_all(&self.directory.join(DATABASE), &partial, Some(&manifest.files))?;
        give_to_owner_of(&config.data_dir, &partial)?;
        if database.exists() {
            let aside = beside(&database, &format!("replaced-{}", jiff::Timestamp::now().as_second()))?;
            fs::rename(&database, &aside).with_context(|| place(&aside))?;
            println!("the database that was there is now {}", aside.display());
        }
        publish(&partial, &database)?;
        println!("{} holds the backup of {}", database.display(), manifest.made);
        Ok(())
    }
}

fn read_manifest(directory: &Path) -> Result<Manifest> {
    let path = directory.join(MANIFEST);
    let text = fs::read_to_string(&path);
    let text =
        text.with_context(|| format!("{} is no backup: cannot read {MANIFEST}", directory.display()))?;
    let manifest: Manifest =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    if manifest.format != FORMAT {
        bail!("{} has format {}, this program knows {FORMAT}", directory.display(), manifest.format);
    }
    Ok(manifest)
}

/// Copies the files of a directory, which has no others below it, and makes them durable. Where a list is given, only
/// its files are copied, and must be as it says.
fn copy_all(source: &Path, target: &Path, expected: Option<&[Entry]>) -> Result<Vec<Entry>> {
    fs::create_dir_all(target).with_context(|| place(target))?;
    let names: Vec<String> = match expected {
        Some(entries) => entries.iter().map(|entry| entry.name.clone()).collect(),
        None => names_in(source)?,
    };
    let sizes = names.iter().map(|name| fs::metadata(source.join(name)).map_or(0, |found| found.len()));
    let mut progress = Progress::new("copying", Some(sizes.sum()), bytes_text);
    let mut files = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let copied = copy(source, target, name, &mut progress)
            .with_context(|| format!("cannot copy {}", source.join(name).display()))?;
        let wanted = expected.map(|entries| &entries[place]);
        if let Some(wanted) = wanted
            && (wanted.bytes, wanted.crc32) != (copied.bytes, copied.crc32)
        {
            bail!("{} is not as it was backed up", source.join(name).display());
        }
        files.push(copied);
    }
    progress.end();
    File::open(target).and_then(|directory| directory.sync_all()).with_context(|| place(target))?;
    Ok(files)
}

fn names_in(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn copy(source: &Path, target: &Path, name: &str, progress: &mut Progress) -> io::Result<Entry> {
    // A manifest is written by others, too: its names must not lead elsewhere.
    if name.contains('/') || name == ".." {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file"));
    }
    let (mut from, mut to) = (File::open(source.join(name))?, File::create(target.join(name))?);
    let (mut buffer, mut sum, mut bytes) = (vec![0; 1 << 20], crc32fast::Hasher::new(), 0);
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        sum.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
        bytes += length as u64;
        progress.add(length as u64);
    }
    to.sync_all()?;
    Ok(Entry { name: name.to_owned(), bytes, crc32: sum.finalize() })
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let written =
        File::create(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.with_context(|| place(path))
}

/// Gives a finished directory its name, durably.
fn publish(partial: &Path, target: &Path) -> Result<()> {
    let above = target.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let renamed = fs::rename(partial, target).and_then(|()| File::open(above)?.sync_all());
    renamed.with_context(|| place(target))
}

/// `name.suffix` in the same directory.
fn beside(path: &Path, suffix: &str) -> Result<PathBuf> {
    let name = path.file_name().with_context(|| format!("{} has no name", path.display()))?;
    Ok(path.with_file_name(format!("{}.{suffix}", name.to_string_lossy())))
}

/// Of a run that broke off.
fn remove_if_there(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| place(directory)),
        _ => Ok(()),
    }
}

/// Root restores for the user of the daemon.
fn give_to_owner_of(owned: &Path, directory: &Path) -> Result<()> {
    let (owner, ours) = (fs::metadata(owned)?, fs::metadata(directory)?);
    if (owner.uid(), owner.gid()) == (ours.uid(), ours.gid()) {
        return Ok(());
    }
    let paths = names_in(directory)?.into_iter().map(|name| directory.join(name));
    for path in paths.chain([directory.to_owned()]) {
        chown(&path, Some(owner.uid()), Some(owner.gid())).with_context(|| place(&path))?;
    }
    Ok(())
}

fn place(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

impl ConfigFile {
    /// The configuration it names, or the defaults.
    pub(crate) fn load(&self) -> Result<config::Config> {
        config::load(self.path())
            .map(|loaded| loaded.config)
            .map_err(|problems| anyhow::anyhow!("{problems}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_compared_with_what_was_backed_up() {
        let root = tempfile::tempdir().unwrap();
        let (source, target) = (root.path().join("a"), root.path().join("b"));
        fs::create_dir(&source).unwrap();
        fs::write(source.join("one"), "1").unwrap();
        fs::write(source.join("two"), "22").unwrap();
        let files = copy_all(&source, &target, None).unwrap();
        assert_eq!(files.iter().map(|file| file.bytes).collect::<Vec<_>>(), [1, 2]);
        fs::write(source.join("two"), "23").unwrap();
        let error = copy_all(&source, &root.path().join("c"), Some(&files)).unwrap_err();
        assert!(error.to_string().contains("two is not as it was"), "{error}");
    }

    #[test]
    fn names_lead_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let entry = |name: &str| Entry { name: name.into(), bytes: 0, crc32: 0 };
        for name in ["../x", "a/b", ".."] {
            assert!(copy_all(root.path(), &root.path().join("t"), Some(&[entry(name)])).is_err(), "{name}");
        }
    }
}
