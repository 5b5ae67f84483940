//! `northc reach`: its verdicts against the cases, against OVN, and against itself.

mod against_itself;
mod against_ovn;
mod changes;
mod random;
mod steps;
mod translations;
mod traps;
mod verb;
