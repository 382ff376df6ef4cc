//! What viplet is built for: what each binary has to be, the table of their sizes, the image of them.
//!
//! [`facts`] reads `targets.toml`, [`elf`] reads a binary, [`verdict`] compares the two, [`table`]
//! writes the sizes into the documentation, [`image`] puts binaries into one OCI archive and [`bom`]
//! says what is in them. `scripts/build` and `scripts/image` call the program beside this library.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

pub mod bom;
pub mod elf;
pub mod facts;
pub mod image;
pub mod table;
pub mod verdict;
