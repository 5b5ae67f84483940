//! `northc reach`: its verdicts against the cases, against OVN, and against itself.

mod against_itself;
mod against_ovn;
mod beside;
mod brute_force;
mod changes;
mod classes;
mod expectations;
mod metamorphic;
mod pairwise;
mod random;
mod saved;
mod steps;
mod translations;
mod traps;
mod verb;
