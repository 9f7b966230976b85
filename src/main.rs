//! The `mailcap` command.

mod cli;

fn main() {}
