//! Sealed blocks: sizes, codecs, fixtures, garbage.

mod datasets;
mod python_random;
mod sizes;
