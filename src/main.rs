//! The binary: parse, validate, run.

fn main() {}
