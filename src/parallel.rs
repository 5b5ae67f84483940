//! Independent work on all processors.
//!
//! Whoever has things that know nothing of each other gives them to `map`, and gets back in the same order what
//! came of each: how many threads there were does not show. Threads live as long as one call. Refuses to share
//! anything between two of the things.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::iter::Enumerate;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::vec::IntoIter;

use tracing::Span;

thread_local! {
    /// What [`with_threads`] says.
    static SAID: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Has `work` done with so many threads instead of as many as the process may use processors, however small it is.
pub fn with_threads<R>(n: usize, work: impl FnOnce() -> R) -> R {
    let before = SAID.replace(Some(n));
    let done = work();
    SAID.set(before);
    done
}

/// How many threads work at once.
pub(crate) fn n_threads() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let processors = || *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get));
    SAID.get().unwrap_or_else(processors).max(1)
}

/// How long a part should be of which all threads get several, so that none waits long for another: not under
/// `min`, which takes far longer than starting a thread does (20 µs).
pub(crate) fn part(n: usize, min: usize) -> usize {
    const PARTS_A_THREAD: usize = 4;
    let min = if SAID.get().is_some() { 1 } else { min };
    if n_threads() == 1 || n < 2 * min { n.max(1) } else { n.div_ceil(PARTS_A_THREAD * n_threads()).max(min) }
}

/// What comes of each, in the order of the things. With fewer than two of them no thread is started.
pub(crate) fn map<T: Send, R: Send>(things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let mut made = Vec::with_capacity(things.len());
    in_order(things, work, |one| made.push(one));
    made
}

/// What comes of each part of the things, in their order. A part has at least `min` of them, which is some
/// milliseconds' work.
pub(crate) fn map_parts<T: Sync, R: Send>(all: &[T], min: usize, work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    map(all.chunks(part(all.len(), min)).collect(), work)
}

/// Gives what comes of each to the caller's `each`, in the order of the things, while others are worked on; two for
/// each thread are there at once, or a few more.
pub(crate) fn in_order<T: Send, R: Send>(
    things: Vec<T>,
    work: impl Fn(T) -> R + Sync,
    mut each: impl FnMut(R),
) {
    let Ok(()) = until_failure(things, work, |one| {
        each(one);
        Ok::<(), Infallible>(())
    });
}

/// The same; the first failure of `each` ends it.
pub(crate) fn until_failure<T: Send, R: Send, E>(
    things: Vec<T>,
    work: impl Fn(T) -> R + Sync,
    each: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let n = if things.len() < 2 { 1 } else { n_threads().min(things.len()) };
    let waiting = Mutex::new(things.into_iter().enumerate());
    let work = |give: &mut Give<'_, R>| {
        while let Some((at, thing)) = next(&waiting) {
            if !give(at, work(thing)) {
                return;
            }
        }
    };
    crew(n, work, each)
}

/// Takes what was made, by its number; false where nobody listens any more.
pub(crate) type Give<'g, R> = dyn FnMut(usize, R) -> bool + 'g;

/// Has `n` threads do the same work. What they make has numbers, from zero without a gap: `each` gets it in their order,
/// and its first failure ends it.
pub(crate) fn crew<R: Send, E>(
    n: usize,
    work: impl Fn(&mut Give<'_, R>) + Sync,
    mut each: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    if n < 2 {
        let mut ended = Ok(());
        work(&mut |_, one| {
            ended = each(one);
            ended.is_ok()
        });
        return ended;
    }
    let (stage, said) = (Span::current(), SAID.get());
    thread::scope(|scope| {
        let (made, come) = sync_channel(n);
        for _ in 0..n {
            let (made, work, stage) = (made.clone(), &work, &stage);
            scope.spawn(move || {
                SAID.set(said);
                let _stage = stage.enter();
                work(&mut |at, one| made.send((at, one)).is_ok());
            });
        }
        drop(made);
        let (mut early, mut at) = (BTreeMap::new(), 0);
        for (nth, one) in come {
            early.insert(nth, one);
            while let Some(one) = early.remove(&at) {
                each(one)?;
                at += 1;
            }
        }
        Ok(())
    })
}

/// What comes of two works of so many things that know nothing of each other; at once, if they are not fewer than two
/// parts of [`part`].
pub(crate) fn both<A, B: Send>(
    (n, min): (usize, usize),
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if part(n, min) >= n {
        return (one(), other());
    }
    let (stage, said) = (Span::current(), SAID.get());
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            SAID.set(said);
            let _stage = stage.enter();
            other()
        });
        let one = one();
        (one, other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

fn next<T>(waiting: &Mutex<Enumerate<IntoIter<T>>>) -> Option<(usize, T)> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_things_and_every_thread_works() {
        for n in [0, 1, 2, 7] {
            let meet = std::sync::Barrier::new(n.max(1));
            let made = with_threads(n, || {
                map((0..100).collect(), |thing: usize| {
                    // Nobody goes on before all have something to do.
                    if thing < n {
                        meet.wait();
                    }
                    (thing * 2, thread::current().id())
                })
            });
            assert!(made.iter().map(|(thing, _)| *thing).eq((0..100).map(|thing| thing * 2)));
            let ids: std::collections::HashSet<_> = made.iter().map(|(_, id)| *id).collect();
            assert_eq!(ids.len(), n.max(1));
        }
    }

    #[test]
    fn a_failure_ends_it() {
        for n in [1, 2, 7] {
            let mut seen = Vec::new();
            let ended = with_threads(n, || {
                until_failure(
                    (0..1000).collect(),
                    |thing: usize| thing,
                    |thing| {
                        seen.push(thing);
                        if thing == 3 { Err(thing) } else { Ok(()) }
                    },
                )
            });
            assert_eq!((ended, seen), (Err(3), vec![0, 1, 2, 3]));
        }
    }

    #[test]
    fn small_work_stays_whole() {
        assert_eq!((part(0, 10), part(19, 10)), (1, 19));
        assert_eq!([1, 2].map(|n| with_threads(n, || part(80, 1000))), [80, 10]);
    }
}
