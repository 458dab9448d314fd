//! Progress of a step.

/// A listener for the progress of a step. It takes the name of the step, the finished units and all units.
pub type Progress<'a> = &'a dyn Fn(&str, usize, usize);
