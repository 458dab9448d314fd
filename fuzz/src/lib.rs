//! What is fuzzed; `entry.rs` is also part of the tests of hyclus.

pub mod entry;
