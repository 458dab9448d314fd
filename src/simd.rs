//! Inner loops compiled for several vector units, of which the widest that the CPU has is taken at run time.
//!
//! The loops themselves are plain Rust that the compiler vectorises. They round once per operation and add in one order on every unit,
//! so that the same recording gives the same bytes on every machine: nothing is fused into a multiply-add.

pub use pulp::{Simd, WithSimd};
use std::sync::LazyLock;

/// Set to anything but nothing, everything runs as compiled for the least CPU of the architecture: to compare, and to tell a fault of
/// a compiler or a CPU from one of ours.
pub const PORTABLE: &str = "HYCLUS_PORTABLE";

static UNIT: LazyLock<pulp::Arch> = LazyLock::new(|| match std::env::var_os(PORTABLE) {
    Some(value) if !value.is_empty() => pulp::Arch::Scalar,
    _ => pulp::Arch::new(),
});

/// Runs `loops` as compiled for the widest vector unit of this CPU.
///
/// Everything that `loops` calls must be inlined into it, else it stays as portable as the rest of the program.
pub fn widest<L: WithSimd>(loops: L) -> L::Output {
    UNIT.dispatch(loops)
}
