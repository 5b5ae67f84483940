//! `northc reach`: its verdicts against the cases, against OVN, and against itself.

mod against_itself;
mod against_ovn;
mod beside;
mod brute_force;
mod changes;
pub(crate) mod classes;
mod expectations;
mod metamorphic;
mod pairwise;
mod random;
mod saved;
mod steps;
pub(crate) mod translations;
mod traps;
mod verb;
