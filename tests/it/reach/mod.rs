//! `northc reach`: its verdicts against the cases, against OVN, and against itself.

mod steps;
