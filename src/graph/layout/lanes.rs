//! Lines that run up and down in one channel between two columns, side by side without touching.
//!
//! First an order from left to right with few crossings, then as few lanes as that order allows. Refuses to
//! know where lines come from.

/// Which border of the channel a line begins or ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Border {
    Left,
    Right,
}

/// A line's way through the channel: in at one point, up or down, out at the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) ends: [(Border, i32); 2],
}

/// Lines in one lane keep this distance.
const APART: i32 = 8;
/// More lines than these keep the order that they came in.
const ORDERED_MAX: usize = 200;

impl Run {
    fn top(&self) -> i32 {
        self.ends[0].1.min(self.ends[1].1)
    }

    fn bottom(&self) -> i32 {
        self.ends[0].1.max(self.ends[1].1)
    }

    fn meets(&self, other: &Run) -> bool {
        self.top() <= other.bottom() + APART && other.top() <= self.bottom() + APART
    }

    /// How often the other's level parts cross this one's upright part, when they all come from `border`.
    fn crossed_by(&self, other: &Run, border: Border) -> usize {
        let crosses = |end: &&(Border, i32)| end.0 == border && self.top() < end.1 && end.1 < self.bottom();
        other.ends.iter().filter(crosses).count()
    }
}

/// As bad as this many crossings: one line on another.
const ON_EACH_OTHER: usize = 1000;

/// Crossings when `left` is left of `right`.
fn crossings(left: &Run, right: &Run) -> usize {
    let comes_from = |border: Border| move |end: &&(Border, i32)| end.0 == border;
    let is_level = |y: i32| right.ends.iter().filter(comes_from(Border::Left)).any(|end| end.1 == y);
    let n_level = left.ends.iter().filter(comes_from(Border::Right)).filter(|end| is_level(end.1)).count();
    left.crossed_by(right, Border::Left) + right.crossed_by(left, Border::Right) + n_level * ON_EACH_OTHER
}

/// The lane of every run, counted from the left, and how many lanes there are.
pub(super) fn lanes(runs: &[Run]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..runs.len()).collect();
    if runs.len() <= ORDERED_MAX {
        settle(&mut order, runs);
    }
    let mut lane_of = vec![0; runs.len()];
    for (nth, &run) in order.iter().enumerate() {
        let before = order[..nth].iter().filter(|other| runs[run].meets(&runs[**other]));
        lane_of[run] = before.map(|other| lane_of[*other] + 1).max().unwrap_or(0);
    }
    let n_lanes = lane_of.iter().map(|lane| lane + 1).max().unwrap_or(0);
    (lane_of, n_lanes)
}

/// Neighbours change places while that saves a crossing.
fn settle(order: &mut [usize], runs: &[Run]) {
    for _ in 0..order.len() {
        let mut is_settled = true;
        for at in 1..order.len() {
            let (left, right) = (&runs[order[at - 1]], &runs[order[at]]);
            if crossings(right, left) < crossings(left, right) {
                order.swap(at - 1, at);
                is_settled = false;
            }
        }
        if is_settled {
            return;
        }
    }
}
