//! Bad input: nothing crashes, hangs, fills memory, reaches the terminal or the file system, or goes unsaid.
//!
//! `cost.md` lists the shapes and what each costs when it doubles.

mod bugs;
mod build;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod mutations;
mod run;
mod shapes;
