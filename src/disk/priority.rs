//! The priority of threads.

/// Lowers the priority of this thread below those that acquire and compute, where there are not enough processors for all.
pub(crate) fn give_way() {
    // SAFETY: the call takes no pointers; on Linux it concerns the calling thread alone. Where it is refused nothing changes.
    unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, LOWER) };
}

/// By how much, in steps of `nice`.
const LOWER: i32 = 5;
