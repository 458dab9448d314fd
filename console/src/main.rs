//! `hyclus-console`: the rig in a browser.

fn main() {}
