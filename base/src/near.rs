//! Memory that will be needed soon, brought into the nearest cache meanwhile.
//!
//! A load that misses holds up all that come after it once the processor's window is full; a prefetch does not. So
//! whoever has many things to look up asks for all of them first.
//!
//! Why unsafe: the instruction takes a pointer. It reads nothing the program sees, and cannot fault.

#![allow(unsafe_code)]

const CACHE_LINE: usize = 64;

/// Asks for all of `what`, without waiting.
#[inline(always)]
pub fn bring_near<T>(what: &T) {
    let start = std::ptr::from_ref(what).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(CACHE_LINE) {
        prefetch(start.wrapping_add(offset));
    }
}

#[inline(always)]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has it, and it is defined for any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; it changes neither memory nor flags.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) at, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}
