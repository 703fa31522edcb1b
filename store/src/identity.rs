//! What a database is: its format, its salt, its number of partitions. Made once, never changed.

use orzo_model::Partitions;
use orzo_model::codec::{Reader, put_varint, seal, unseal};

use crate::error::{Error, Result};
use crate::kv::{Batch, Family, Kv, WhenStalled};

const KEY: &[u8] = b"identity";
const FORMAT: u64 = 1;

/// The identity of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Keys the hash that turns statsd names into metric ids.
    pub salt: u64,
    /// How its metrics are divided.
    pub partitions: Partitions,
}

impl Identity {
    /// Reads the identity of a database, or gives a new one `fresh`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the format is unknown or the record does not decode.
    pub fn open(kv: &dyn Kv, fresh: Identity) -> Result<Self> {
        if let Some(identity) = stored(kv)? {
            return Ok(identity);
        }
        let mut batch = Batch::default();
        batch.put(Family::Meta, KEY, fresh.encode());
        kv.write(batch, WhenStalled::Wait)?;
        kv.sync()?;
        Ok(fresh)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        put_varint(&mut out, self.salt);
        put_varint(&mut out, self.partitions.count() as u64);
        seal(&mut out);
        out
    }
}

/// The identity of a database; `None` if it has none yet.
///
/// # Errors
/// As of [`Identity::open`].
pub(crate) fn stored(kv: &dyn Kv) -> Result<Option<Identity>> {
    let Some(bytes) = kv.get(Family::Meta, KEY)? else { return Ok(None) };
    let corrupt = Error::Corrupt { what: "identity, or a format of a later release" };
    decode(&bytes).ok_or(corrupt).map(Some)
}

fn decode(bytes: &[u8]) -> Option<Identity> {
    let mut reader = Reader::new(unseal(bytes).ok()?);
    if reader.varint().ok()? != FORMAT {
        return None;
    }
    let salt = reader.varint().ok()?;
    let partitions = Partitions::new(u16::try_from(reader.varint().ok()?).ok()?)?;
    Some(Identity { salt, partitions })
}
