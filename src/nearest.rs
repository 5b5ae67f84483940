//! "Did you mean": the nearest of some names by edit distance.
//!
//! Refuses to guess wildly: a suggestion is at most a third of the word away.

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).max(1);
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let distances = candidates.into_iter().filter_map(|candidate| {
        let distance = distance(&word, candidate, limit)?;
        Some((distance, candidate))
    });
    distances.min().map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) from `word` to `other`, if at most `limit`.
fn distance(word: &[char], other: &str, limit: usize) -> Option<usize> {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    if word.len().abs_diff(other.len()) > limit {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in word.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && word[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|&d| d <= limit)
}
