//! Whether a name needs more than a copy.

/// Bytes that make a name more than plain: starts of tags, what names may not hold, our own separator.
#[inline(always)]
fn is_special(byte: u8) -> bool {
    // Without branches.
    (byte == b'[') | (byte == b',') | (byte == b'#') | (byte == b';') | (byte == b'/') | (byte == 0)
}

/// Whether any byte of `text` is special.
#[inline]
pub(super) fn has_special(text: &[u8]) -> bool {
    has(text, is_special)
}

/// Whether any byte of `text` is special, or a colon.
#[inline(always)]
pub(super) fn has_special_or_colon(text: &[u8]) -> bool {
    has(text, |byte| is_special(byte) | (byte == b':'))
}

/// In blocks of 16 without an early exit in them, which the compiler turns into vector instructions; the last block
/// overlaps the one before. A quarter of the time of a loop with a table, at twenty bytes.
#[inline(always)]
fn has(text: &[u8], test: impl Fn(u8) -> bool + Copy) -> bool {
    let any = |block: &[u8; BLOCK]| block.iter().fold(false, |any, &byte| any | test(byte));
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    match text.last_chunk::<BLOCK>() {
        Some(last) => blocks.iter().any(any) || any(last),
        None => rest.iter().any(|&byte| test(byte)),
    }
}

const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_special_byte_at_each_place() {
        for len in 0..70 {
            for byte in 0..=255u8 {
                let special = len > 0 && is_special(byte);
                assert_eq!(has_special(&vec![byte; len]), special);
                assert_eq!(has_special_or_colon(&vec![byte; len]), special || len > 0 && byte == b':');
            }
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = b';';
                assert!(has_special(&text), "{at} of {len}");
            }
        }
    }
}
