//! What time it is. Everything that can take time as an argument does; this is for those at the edge.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch by the system's real-time clock; 0 if it is set before the epoch.
#[inline]
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_after_the_program_was_written() {
        const YEAR_2024: u64 = 1_704_067_200_000_000_000;
        assert!(now_ns() > YEAR_2024);
    }
}
