//! Inner loops compiled for several vector units. The widest unit of the CPU runs them.
//!
//! The loops themselves are plain Rust that the compiler vectorises. They round once per operation and add in one order on every unit. No
//! multiply-add is fused. The same recording therefore gives the same bytes on every machine.

pub use pulp::{Simd, WithSimd};
use std::sync::LazyLock;

/// With any non-empty value, this environment variable selects the code for the least CPU of the architecture. It serves comparison: it
/// separates a fault of a compiler or a CPU from one of this program.
pub const PORTABLE: &str = "HYCLUS_PORTABLE";

static UNIT: LazyLock<pulp::Arch> = LazyLock::new(|| match std::env::var_os(PORTABLE) {
    Some(value) if !value.is_empty() => pulp::Arch::Scalar,
    _ => pulp::Arch::new(),
});

/// Runs `loops` as compiled for the widest vector unit of this CPU.
///
/// Every callee of `loops` must be inlined into it. Other callees stay as portable as the rest of the program.
pub fn widest<L: WithSimd>(loops: L) -> L::Output {
    UNIT.dispatch(loops)
}

/// Whether all values are finite. The loop has no branch, so that the compiler can vectorise it.
#[inline(always)]
pub fn all_finite(values: &[f32]) -> bool {
    // IEEE 754: a value that is not finite has all bits of the exponent set.
    const EXPONENT: u32 = 0x7f80_0000;
    values.iter().fold(0, |worst, value| (value.to_bits() & EXPONENT).max(worst)) < EXPONENT
}
