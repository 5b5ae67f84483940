//! Which column a VPC's box stands in, and in which order: peers near each other, the whole of a good shape.
//!
//! Boxes are dealt to columns greedily, most connected first; then pairs change places as long as that
//! shortens the way between peers. Sizes are estimates: where lines go is not known yet. Refuses to know it.

use super::frame::{self, Peer, Peers};
use super::{MARGIN, PITCH};
use crate::graph::Picture;

/// Between boxes, where no line passes.
pub(super) const GAP: i32 = 2 * PITCH;
/// Between columns, as an estimate.
const CHANNEL: i32 = 3 * PITCH;
/// Paper would like to be so much wider than high, in tenths.
const PAPER_RATIO: i64 = 15;
/// More connected VPCs than these stay where they were dealt.
const SWAPPED_MAX: usize = 48;
/// Rounds of changing places.
const ROUNDS_MAX: usize = 8;

/// The boxes, column by column.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Indexes of VPCs from top to bottom, by column.
    pub(super) members: Vec<Vec<usize>>,
    /// Column and row, by VPC.
    pub(super) of: Vec<(usize, usize)>,
    /// About where a box is: its top and its lower edge, by VPC.
    pub(super) spans: Vec<(i32, i32)>,
}

struct Ctx {
    sizes: Vec<(i32, i32)>,
    links: Vec<(usize, usize)>,
    neighbours: Vec<Vec<usize>>,
}

/// Columns for a picture.
pub(super) fn columns(picture: &Picture) -> Columns {
    let ctx = Ctx::new(picture);
    let order = ctx.order();
    let n_max = order.len().clamp(1, 40);
    let dealt = (1..=n_max).map(|n| ctx.deal(&order, n));
    let mut best = dealt.min_by_key(|members| ctx.cost(members)).unwrap_or_default();
    ctx.improve(&mut best);
    ctx.columns(best)
}

impl Ctx {
    fn new(picture: &Picture) -> Ctx {
        let links: Vec<(usize, usize)> =
            picture.links.iter().map(|link| (link.ends[0].vpc, link.ends[1].vpc)).collect();
        let mut neighbours = vec![Vec::new(); picture.vpcs.len()];
        let mut peers = vec![Peers::default(); picture.vpcs.len()];
        for link in &picture.links {
            let [a, b] = &link.ends;
            for (near, far) in [(a, b), (b, a)] {
                neighbours[near.vpc].push(far.vpc);
                let row = Peer { name: picture.end_name(far), address: &near.address };
                let peers: &mut Peers<'_> = &mut peers[near.vpc];
                let side =
                    if peers.left.len() < peers.right.len() { &mut peers.left } else { &mut peers.right };
                side.push(row);
            }
        }
        let size = |(vpc, peers): (&crate::graph::Vpc, &Peers<'_>)| {
            let width = frame::wanted_width(vpc, peers);
            (width, frame::up_to_pitch(frame::frame(vpc, width, peers).frame.at.h))
        };
        let sizes = picture.vpcs.iter().zip(&peers).map(size).collect();
        Ctx { sizes, links, neighbours }
    }

    /// The most connected first, each followed by its neighbours, breadth first; loners last, by name.
    fn order(&self) -> Vec<usize> {
        let mut starts: Vec<usize> = (0..self.sizes.len()).collect();
        starts.sort_by_key(|vpc| std::cmp::Reverse(self.neighbours[*vpc].len()));
        let mut seen = vec![false; starts.len()];
        let mut order: Vec<usize> = Vec::with_capacity(starts.len());
        for start in starts {
            let mut next = order.len();
            if !std::mem::replace(&mut seen[start], true) {
                order.push(start);
            }
            while let Some(&vpc) = order.get(next) {
                for &neighbour in &self.neighbours[vpc] {
                    if !std::mem::replace(&mut seen[neighbour], true) {
                        order.push(neighbour);
                    }
                }
                next += 1;
            }
        }
        order
    }

    /// Every box into the column that ends highest, or one nearer to its neighbours.
    fn deal(&self, order: &[usize], n_columns: usize) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); n_columns];
        let mut heights = vec![0_i64; n_columns];
        let mut column_of = vec![None; self.sizes.len()];
        for &vpc in order {
            let distance = |column: usize| -> i64 {
                let near = self.neighbours[vpc].iter().filter_map(|n| column_of[*n]);
                let far = near.map(|other: usize| other.abs_diff(column).saturating_sub(1));
                far.sum::<usize>() as i64 * i64::from(self.sizes[vpc].0)
            };
            // A hub with neighbours on both sides has the shortest lines.
            let off_centre = |column: usize| (2 * column + 1).abs_diff(n_columns);
            let is_first_hub = self.neighbours[vpc].len() > 2 && members.iter().all(Vec::is_empty);
            let key = |column: &usize| {
                let lean = if is_first_hub { off_centre(*column) } else { 0 };
                (lean, heights[*column] + distance(*column), *column)
            };
            let column = (0..n_columns).min_by_key(key).unwrap_or(0);
            members[column].push(vpc);
            heights[column] += i64::from(self.sizes[vpc].1 + GAP);
            column_of[vpc] = Some(column);
        }
        members.retain(|column| !column.is_empty());
        members
    }

    /// Lower is better: the paper's size, and the ways between peers.
    fn cost(&self, members: &[Vec<usize>]) -> i64 {
        let mut middle = vec![(0_i64, 0_i64); self.sizes.len()];
        let (mut width, mut height) = (0_i64, 0_i64);
        for (at, column) in (0_i64..).zip(members) {
            let mut y = 0_i64;
            for &vpc in column {
                let (_, h) = self.sizes[vpc];
                middle[vpc] = (at, y + i64::from(h) / 2);
                y += i64::from(h + GAP);
            }
            let widest = column.iter().map(|vpc| self.sizes[*vpc].0).max().unwrap_or(0);
            width += i64::from(widest + CHANNEL);
            height = height.max(y);
        }
        let ways: i64 = self
            .links
            .iter()
            .map(|&(a, b)| {
                let ((ca, ya), (cb, yb)) = (middle[a], middle[b]);
                let columns = match (ca - cb).abs() {
                    0 => 60,
                    n => (n - 1) * 400,
                };
                columns + (ya - yb).abs() / 2
            })
            .sum();
        let paper = (width * 10).max(height * PAPER_RATIO) / 10;
        paper * (2 + self.links.len() as i64 / 3) + ways
    }

    /// Lets pairs change places as long as something gets better.
    fn improve(&self, members: &mut [Vec<usize>]) {
        let linked: Vec<usize> =
            (0..self.sizes.len()).filter(|vpc| !self.neighbours[*vpc].is_empty()).collect();
        if linked.len() > SWAPPED_MAX {
            return;
        }
        let mut cost = self.cost(members);
        for _ in 0..ROUNDS_MAX {
            let before = cost;
            for (n, &a) in linked.iter().enumerate() {
                for b in linked[n + 1..].iter().copied() {
                    swap(members, a, b);
                    let swapped = self.cost(members);
                    if swapped < cost {
                        cost = swapped;
                    } else {
                        swap(members, a, b);
                    }
                }
            }
            if cost == before {
                return;
            }
        }
    }

    fn columns(&self, members: Vec<Vec<usize>>) -> Columns {
        let mut of = vec![(0, 0); self.sizes.len()];
        let mut spans = vec![(0, 0); self.sizes.len()];
        for (at, column) in members.iter().enumerate() {
            let mut y = MARGIN;
            for (row, &vpc) in column.iter().enumerate() {
                of[vpc] = (at, row);
                spans[vpc] = (y, y + self.sizes[vpc].1);
                y += self.sizes[vpc].1 + GAP;
            }
        }
        Columns { members, of, spans }
    }
}

fn swap(members: &mut [Vec<usize>], a: usize, b: usize) {
    for vpc in members.iter_mut().flatten() {
        if *vpc == a {
            *vpc = b;
        } else if *vpc == b {
            *vpc = a;
        }
    }
}
