//! The client and the offline tool.

fn main() {}
