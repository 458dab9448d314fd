//! The priority of threads.

/// Lowers this thread's priority below acquiring and computing threads, for machines with too few processors.
pub(crate) fn give_way() {
    // SAFETY: the call takes no pointers. On Linux it affects the calling thread alone. A refused call changes nothing.
    unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, LOWER) };
}

/// Lowers the priority of this thread, and of those that it starts, by `steps` of `nice`.
pub fn lower_priority_by(steps: u8) {
    // SAFETY: as above. A process without privileges may always lower its priority.
    unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, i32::from(steps)) };
}

/// The increase of `nice`.
const LOWER: i32 = 5;
