//! Whether a name needs more than a copy.

/// Bytes that make a name more than plain: starts of tags, what names may not hold, our own separator.
#[inline(always)]
fn is_special(byte: u8) -> bool {
    matches!(byte, b'[' | b',' | b'#' | b';' | b'/' | 0)
}

/// Whether any byte of `text` is special.
///
/// In blocks of 16 without an early exit, which the compiler turns into vector instructions; the last block
/// overlaps the one before. A quarter of the time of a loop with a table, at twenty bytes.
#[inline]
pub(super) fn has_special(text: &[u8]) -> bool {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let last = text.last_chunk::<BLOCK>();
    match last {
        Some(last) => blocks.iter().any(any_special) || any_special(last),
        None => rest.iter().any(|&byte| is_special(byte)),
    }
}

const BLOCK: usize = 16;

#[inline(always)]
fn any_special(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(false, |any, &byte| {
        any | (byte == b'[') | (byte == b',') | (byte == b'#') | (byte == b';') | (byte == b'/') | (byte == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_special_byte_at_each_place() {
        for len in 0..70 {
            for byte in 0..=255u8 {
                assert_eq!(has_special(&vec![byte; len]), len > 0 && is_special(byte));
            }
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = b';';
                assert!(has_special(&text), "{at} of {len}");
            }
        }
    }
}
