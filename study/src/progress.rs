//! How far a step is.

/// Hears how far a step is: its name, what is done, and of how much.
pub type Progress<'a> = &'a dyn Fn(&str, usize, usize);
