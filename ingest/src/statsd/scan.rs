//! Whether a name needs more than a copy.

/// Bytes that make a name more than plain: starts of tags, what names may not hold, our own separator.
const SPECIAL: [u8; 6] = *b"[,#;/\0";
const SPECIAL_OR_COLON: [u8; 7] = *b":[,#;/\0";

/// Whether any byte of `text` is special.
#[inline]
pub(super) fn has_special(text: &[u8]) -> bool {
    has(text, SPECIAL)
}

/// Whether any byte of `text` is special, or a colon.
#[inline(always)]
pub(super) fn has_special_or_colon(text: &[u8]) -> bool {
    has(text, SPECIAL_OR_COLON)
}

/// Looks for the least difference from any wanted byte, place by place in blocks of 16, the last of which overlaps the one
/// before. Differences and minima are what the compiler turns into vector instructions, two for each wanted byte; of
/// comparisons it makes five times as many.
#[inline(always)]
fn has<const N: usize>(text: &[u8], wanted: [u8; N]) -> bool {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let least = blocks.iter().fold([u8::MAX; BLOCK], |least, block| least_difference(least, block, wanted));
    let least = match text.last_chunk::<BLOCK>() {
        Some(last) => least_difference(least, last, wanted),
        None => {
            let mut padded = [u8::MAX; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            least_difference(least, &padded, wanted)
        }
    };
    least.iter().fold(u8::MAX, |least, other| least.min(*other)) == 0
}

#[inline(always)]
fn least_difference<const N: usize>(
    mut least: [u8; BLOCK],
    block: &[u8; BLOCK],
    wanted: [u8; N],
) -> [u8; BLOCK] {
    for (least, byte) in least.iter_mut().zip(block) {
        *least = wanted.iter().fold(*least, |least, wanted| least.min(byte ^ wanted));
    }
    least
}

const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_special_byte_at_each_place() {
        for len in 0..70 {
            for byte in 0..=255u8 {
                let special = len > 0 && SPECIAL.contains(&byte);
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
