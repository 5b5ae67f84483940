//! A way for every peering, from box to box through channels between columns and gaps between boxes, so that
//! no line crosses a box; and the boxes, moved apart as far as the lines need.
//!
//! Where a line that comes into a channel from the left could lie on one that comes from the right, the lines
//! of every other column are moved down by half a pitch, which makes that impossible.

use std::collections::BTreeMap;

use super::frame::{self, Peer, Peers, Sketch};
use super::lanes::{Border, Run, lanes};
use super::place::{Columns, GAP};
use super::{Frame, MARGIN, PITCH, Point, Wire};
use crate::graph::Picture;

/// From a box to the first lane beside it, and from the last to the next box.
const LANE_MARGIN: i32 = 24;
/// Between lanes.
const LANE_PITCH: i32 = 12;
/// Between columns where no line runs.
const CHANNEL_MIN: i32 = 40;

/// The heights of lines in neighbouring columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heights {
    /// At the same multiples of the pitch: lines between neighbours can be straight.
    Shared,
    /// At different halves of the pitch: lines of different columns are never at the same height.
    Apart,
}

impl Heights {
    fn is_shifted(self, column: usize) -> bool {
        self == Heights::Apart && column % 2 == 1
    }
}

/// A line's way in the abstract: which channels, and which gaps between them.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// The VPCs that it joins, the one in the column further left first.
    ends: [usize; 2],
    /// Which end of the link comes first.
    first_end: usize,
    /// The channel that it begins in; channel `c` is left of column `c`.
    channel: usize,
    /// The gaps that it passes: column, and how many boxes are above.
    passes: Vec<(usize, usize)>,
}

impl Route {
    fn is_loop(&self, columns: &Columns) -> bool {
        columns.of[self.ends[0]].0 == columns.of[self.ends[1]].0
    }
}

/// The ways of all links.
pub(super) fn routes(picture: &Picture, columns: &Columns) -> Vec<Route> {
    let mut n_loops = vec![0_usize; columns.members.len() + 1];
    let mut routes = Vec::with_capacity(picture.links.len());
    for link in &picture.links {
        let [a, b] = [link.ends[0].vpc, link.ends[1].vpc];
        let first_end = usize::from(columns.of[a] > columns.of[b]);
        let ends = if first_end == 0 { [a, b] } else { [b, a] };
        let [from, to] = ends.map(|vpc| columns.of[vpc].0);
        let mut channel = from + 1;
        if from == to {
            // Beside its own column, on the side with fewer lines.
            channel = if n_loops[from] < n_loops[from + 1] { from } else { from + 1 };
            n_loops[channel] += 1;
        }
        let passes = (from + 1..to).map(|column| (column, gap(columns, ends, column))).collect();
        routes.push(Route { ends, first_end, channel, passes });
    }
    routes
}

fn middle(columns: &Columns, vpc: usize) -> i32 {
    i32::midpoint(columns.spans[vpc].0, columns.spans[vpc].1)
}

/// The gap of a column that is nearest to the straight line between two boxes.
fn gap(columns: &Columns, ends: [usize; 2], column: usize) -> usize {
    let [from, to] = ends.map(|vpc| columns.of[vpc].0);
    let [y_from, y_to] = ends.map(|vpc| middle(columns, vpc));
    let share = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let wanted = y_from + (y_to - y_from) / share(to - from) * share(column - from);
    let members = &columns.members[column];
    let y = |gap: usize| match members.get(gap) {
        Some(below) => columns.spans[*below].0 - GAP / 2,
        None => members.last().map_or(MARGIN, |above| columns.spans[*above].1 + GAP / 2),
    };
    (0..=members.len()).min_by_key(|gap| (y(*gap) - wanted).abs()).unwrap_or(0)
}

/// Which rows of which box belong to which line.
struct Ports<'p> {
    peers: Vec<Peers<'p>>,
    /// By route: the row at its first and at its second box.
    rows: Vec<[i32; 2]>,
}

/// Where the line goes, its route, and which end of it this is.
type PortOf = (i32, usize, usize);

/// Rows at the sides of boxes, in the order of where their lines go, so that lines do not cross at once.
fn ports<'p>(picture: &'p Picture, columns: &Columns, routes: &[Route], heights: Heights) -> Ports<'p> {
    let mut by_side: BTreeMap<(usize, bool), Vec<PortOf>> = BTreeMap::new();
    for (at, route) in routes.iter().enumerate() {
        for end in [0, 1] {
            let (near, far) = (route.ends[end], route.ends[1 - end]);
            let is_right = match route.is_loop(columns) {
                true => route.channel > columns.of[near].0,
                false => end == 0,
            };
            by_side.entry((near, is_right)).or_default().push((middle(columns, far), at, end));
        }
    }
    let mut peers = vec![Peers::default(); picture.vpcs.len()];
    for (vpc, peers) in peers.iter_mut().enumerate() {
        peers.is_shifted = heights.is_shifted(columns.of[vpc].0);
    }
    let mut rows = vec![[0, 0]; routes.len()];
    for ((vpc, is_right), mut list) in by_side {
        list.sort_unstable();
        for (row, (_, at, end)) in (0..).zip(list) {
            rows[at][end] = row;
            let link = &picture.links[at];
            let own = if end == 0 { routes[at].first_end } else { 1 - routes[at].first_end };
            let name = picture.end_name(&link.ends[1 - own]);
            let peer = Peer { name, address: &link.ends[own].address };
            if is_right { peers[vpc].right.push(peer) } else { peers[vpc].left.push(peer) }
        }
    }
    Ports { peers, rows }
}

/// Puts boxes and lines on paper.
pub(super) fn assemble(
    picture: &Picture,
    columns: &Columns,
    routes: &[Route],
    heights: Heights,
) -> (Vec<Frame>, Vec<Wire>) {
    let ports = ports(picture, columns, routes, heights);
    let width = |vpc: &usize| frame::wanted_width(&picture.vpcs[*vpc], &ports.peers[*vpc]);
    let widths: Vec<i32> =
        columns.members.iter().map(|column| column.iter().map(width).max().unwrap_or(0)).collect();
    let sketch = |vpc: usize| frame::frame(&picture.vpcs[vpc], widths[columns.of[vpc].0], &ports.peers[vpc]);
    let sketches: Vec<Sketch> = (0..picture.vpcs.len()).map(sketch).collect();
    let levels = Levels::new(columns, routes, &sketches, &ports, heights);
    let channels = channels(columns, routes, &levels);
    let lefts = lefts(&widths, &channels);
    let place =
        |(vpc, sketch): (usize, Sketch)| sketch.frame.shifted(lefts[columns.of[vpc].0], levels.tops[vpc]);
    let frames: Vec<Frame> = sketches.into_iter().enumerate().map(place).collect();
    let lane_x = |channel: usize, lane: usize| {
        let left = if channel == 0 { MARGIN } else { lefts[channel - 1] + widths[channel - 1] };
        let margin = if channel == 0 { 0 } else { LANE_MARGIN };
        left + margin + i32::try_from(lane).unwrap_or(i32::MAX) * LANE_PITCH
    };
    let wires = (0..).zip(routes).map(|(link, route)| {
        let ends = [(route.ends[0], 0), (route.ends[1], 1)].map(|(vpc, end)| {
            let at = frames[vpc].at;
            let is_right = end == 0 && !route.is_loop(columns)
                || route.is_loop(columns) && route.channel > columns.of[vpc].0;
            (if is_right { at.right() } else { at.x }, levels.ports[link][end])
        });
        let xs: Vec<i32> =
            (route.channel..).zip(&channels.lane_of[link]).map(|(c, lane)| lane_x(c, *lane)).collect();
        Wire { link, points: points(ends, &xs, &levels.passes[link]) }
    });
    let wires = wires.collect();
    (frames, wires)
}

/// True when two lines have more than a crossing in common.
pub(super) fn touch(wires: &[Wire]) -> bool {
    let levels: Vec<(usize, i32, i32, i32)> = wires
        .iter()
        .flat_map(|wire| wire.points.windows(2).map(|pair| (wire.link, pair[0], pair[1])))
        .filter(|(_, from, to)| from.1 == to.1)
        .map(|(link, from, to)| (link, from.1, from.0.min(to.0), from.0.max(to.0)))
        .collect();
    levels.iter().enumerate().any(|(at, (link, y, left, right))| {
        let others = levels[at + 1..].iter().filter(|other| other.0 != *link && other.1 == *y);
        others.into_iter().any(|other| other.2 <= *right && *left <= other.3)
    })
}

/// From one end, up or down at every `x`, level at every `y` between them, to the other end.
fn points(ends: [Point; 2], xs: &[i32], ys: &[i32]) -> Vec<Point> {
    let mut points = vec![ends[0]];
    let mut y = ends[0].1;
    for (n, &x) in xs.iter().enumerate() {
        points.push((x, y));
        y = ys.get(n).copied().unwrap_or(ends[1].1);
        points.push((x, y));
    }
    points.push(ends[1]);
    points.dedup();
    points
}

/// Every height: of boxes, of rows at their sides, of lines in gaps.
struct Levels {
    /// By VPC.
    tops: Vec<i32>,
    /// By route, then end.
    ports: Vec<[i32; 2]>,
    /// By route, then pass.
    passes: Vec<Vec<i32>>,
}

impl Levels {
    fn new(
        columns: &Columns,
        routes: &[Route],
        sketches: &[Sketch],
        ports: &Ports<'_>,
        heights: Heights,
    ) -> Levels {
        let mut in_gap: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (at, route) in routes.iter().enumerate() {
            route.passes.iter().for_each(|pass| in_gap.entry(*pass).or_default().push(at));
        }
        for list in in_gap.values_mut() {
            list.sort_by_key(|at| {
                (routes[*at].ends.map(|vpc| middle(columns, vpc)).iter().sum::<i32>(), *at)
            });
        }
        let n_lines = |column: usize, gap: usize| in_gap.get(&(column, gap)).map_or(0, Vec::len);
        let room =
            |column: usize, gap: usize| i32::try_from(n_lines(column, gap)).unwrap_or(i32::MAX) * PITCH;
        // All columns begin at one height.
        let above = (0..columns.members.len()).map(|column| room(column, 0)).max().unwrap_or(0);
        let first = MARGIN + if above > 0 { above + PITCH } else { 0 };
        let mut tops = vec![0; sketches.len()];
        let mut passes: Vec<Vec<i32>> = routes.iter().map(|r| vec![0; r.passes.len()]).collect();
        for (column, members) in columns.members.iter().enumerate() {
            let half = if heights.is_shifted(column) { 0 } else { PITCH / 2 };
            let mut y = MARGIN;
            for gap in 0..=members.len() {
                let lines = in_gap.get(&(column, gap)).map_or(&[][..], Vec::as_slice);
                let top = if gap == 0 { y } else { y + PITCH };
                for (n, at) in (0..).zip(lines) {
                    let passed = &routes[*at].passes;
                    let nth = passed.iter().position(|pass| *pass == (column, gap)).unwrap_or(0);
                    passes[*at][nth] = top + half + n * PITCH;
                }
                y = if gap == 0 { first } else { y + GAP + room(column, gap) };
                if let Some(vpc) = members.get(gap) {
                    tops[*vpc] = y;
                    y += frame::up_to_pitch(sketches[*vpc].frame.at.h);
                }
            }
        }
        let port = |vpc: usize, row: i32| tops[vpc] + sketches[vpc].first_port_y + row * PITCH;
        let ports = routes.iter().zip(&ports.rows);
        let ports = ports.map(|(r, rows)| [port(r.ends[0], rows[0]), port(r.ends[1], rows[1])]).collect();
        Levels { tops, ports, passes }
    }
}

/// The lanes of every channel.
struct Channels {
    /// By route, then channel from its first on.
    lane_of: Vec<Vec<usize>>,
    /// By channel.
    n_lanes: Vec<usize>,
}

fn channels(columns: &Columns, routes: &[Route], levels: &Levels) -> Channels {
    let n_channels = columns.members.len() + 1;
    let mut runs: Vec<Vec<(usize, Run)>> = vec![Vec::new(); n_channels];
    for (at, route) in routes.iter().enumerate() {
        let ys: Vec<i32> = [levels.ports[at][0]]
            .into_iter()
            .chain(levels.passes[at].iter().copied())
            .chain([levels.ports[at][1]])
            .collect();
        for (n, pair) in ys.windows(2).enumerate() {
            let channel = route.channel + n;
            let borders = match route.is_loop(columns) {
                false => [Border::Left, Border::Right],
                true if channel > columns.of[route.ends[0]].0 => [Border::Left, Border::Left],
                true => [Border::Right, Border::Right],
            };
            let run = Run { ends: [(borders[0], pair[0]), (borders[1], pair[1])] };
            runs[channel].push((at, run));
        }
    }
    let mut lane_of = vec![Vec::new(); routes.len()];
    let mut n_lanes = Vec::with_capacity(n_channels);
    // Channels from left to right, as every route passes them.
    for runs in runs {
        let (lanes, n) = lanes(&runs.iter().map(|(_, run)| *run).collect::<Vec<_>>());
        runs.iter().zip(lanes).for_each(|((at, _), lane)| lane_of[*at].push(lane));
        n_lanes.push(n);
    }
    Channels { lane_of, n_lanes }
}

/// The left edges of columns.
fn lefts(widths: &[i32], channels: &Channels) -> Vec<i32> {
    let lanes_width = |n: usize| i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX) * LANE_PITCH;
    let mut x = MARGIN;
    let mut lefts = Vec::with_capacity(widths.len());
    for (column, width) in widths.iter().enumerate() {
        x += match (column, channels.n_lanes[column]) {
            (0, 0) => 0,
            (0, n) => lanes_width(n) + LANE_MARGIN,
            (_, 0) => CHANNEL_MIN,
            (_, n) => lanes_width(n) + 2 * LANE_MARGIN,
        };
        lefts.push(x);
        x += width;
    }
    lefts
}
