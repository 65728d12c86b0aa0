//! What policies of one request come to that stand in several slots of a cluster.

use std::time::Duration;

use super::Terms;
use crate::layers::rate_limit::{Answer, Ask, Settlement};

/// The places of asks by slot, in their order. Those with nothing but shadows are last: they are charged when all agree.
pub(super) fn by_slot(asks: &[Ask], slots: &[u16]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(u16, Vec<usize>)> = Vec::new();
    for (at, slot) in slots.iter().enumerate() {
        match groups.iter_mut().find(|(of, _)| of == slot) {
            Some((_, group)) => group.push(at),
            None => groups.push((*slot, vec![at])),
        }
    }
    ordered(asks, groups.into_iter().map(|(_, group)| group).collect())
}

/// Each by itself.
pub(super) fn one_by_one(asks: &[Ask]) -> Vec<Vec<usize>> {
    ordered(asks, (0..asks.len()).map(|at| vec![at]).collect())
}

fn ordered(asks: &[Ask], mut groups: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let is_enforced = |at: &usize| asks.get(*at).is_some_and(|ask| ask.is_enforced);
    groups.sort_by_key(|group| !group.iter().any(is_enforced));
    groups
}

/// What takes charges back, with what was taken along.
pub(super) fn back(charged: &[(usize, &Ask, Answer)]) -> Vec<Settlement> {
    let charges = charged.iter().filter(|(_, ask, answer)| ask.cost + answer.spare > 0);
    let settlement = |(_, ask, answer): &(usize, &Ask, Answer)| {
        let reserved = ask.cost.saturating_add(answer.spare);
        Settlement { reserved, ..Settlement::of(ask, answer.mark) }
    };
    charges.map(settlement).collect()
}

/// An answer as it is when the charge was taken back. It is still that of a request that would be admitted.
pub(super) fn undone(ask: &Ask, answer: &Answer) -> Answer {
    let terms = Terms::of(&ask.quota);
    let tokens = ask.cost.saturating_add(answer.spare);
    let mut undone = *answer;
    undone.spare = 0;
    if ask.quota.is_fixed_window() {
        undone.remaining = answer.remaining.saturating_add(tokens).min(ask.quota.limit());
        if undone.remaining == ask.quota.limit() {
            (undone.full_in, undone.more_in) = (Duration::ZERO, Duration::ZERO);
        }
        return undone;
    }
    let debt = answer.full_in.saturating_sub(Duration::from_micros(terms.need(tokens)));
    let (one, full) = (Duration::from_micros(terms.one), Duration::from_micros(terms.full));
    let free = full.saturating_sub(debt);
    undone.full_in = debt;
    undone.remaining = u32::try_from(free.as_micros() / one.as_micros().max(1)).unwrap_or(u32::MAX);
    undone.more_in = if debt > full {
        debt - full + one
    } else if debt.is_zero() {
        Duration::ZERO
    } else {
        one - Duration::from_micros(u64::try_from(free.as_micros() % one.as_micros().max(1)).unwrap_or_default())
    };
    undone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::rate_limit::{Quota, StoreVerdict};

    const HOUR: Duration = Duration::from_secs(3600);

    fn ask(is_enforced: bool) -> Ask {
        Ask { is_enforced, ..Ask::new("p", *b"k", Quota::new(10).per(HOUR).build().unwrap()) }
    }

    #[test]
    fn groups_keep_their_order_and_shadows_are_last() {
        let asks = [ask(false), ask(true), ask(false), ask(true)];
        assert_eq!(by_slot(&asks, &[5, 7, 7, 9]), [vec![1, 2], vec![3], vec![0]]);
        assert_eq!(by_slot(&asks, &[7, 7, 7, 7]), [vec![0, 1, 2, 3]]);
        assert_eq!(one_by_one(&asks), [[1], [3], [0], [2]]);
    }

    #[test]
    fn what_was_taken_back_was_never_taken() {
        let admitted = StoreVerdict::Admitted { wait: Duration::ZERO };
        let dear = Ask { cost: 2, ..ask(true) };
        let answer = Answer {
            remaining: 5,
            full_in: HOUR / 2 - Duration::from_secs(1),
            more_in: Duration::from_secs(359),
            spare: 1,
            mark: 77,
            ..Answer::new(admitted)
        };
        let undone_bucket = undone(&dear, &answer);
        assert_eq!((undone_bucket.remaining, undone_bucket.spare), (8, 0));
        assert_eq!(undone_bucket.full_in, HOUR / 5 - Duration::from_secs(1));
        assert_eq!(undone_bucket.more_in, Duration::from_secs(359));
        let settlement = back(&[(0, &dear, answer)]).remove(0);
        assert_eq!((settlement.reserved, settlement.cost, settlement.mark), (3, 0, 77));
        // A look took nothing.
        assert!(back(&[(0, &Ask { cost: 0, ..ask(true) }, Answer::new(admitted))]).is_empty());

        let full = undone(&dear, &Answer { full_in: HOUR / 5, remaining: 8, ..Answer::new(admitted) });
        assert_eq!((full.remaining, full.full_in, full.more_in), (10, Duration::ZERO, Duration::ZERO));

        let window = Ask { quota: Quota::new(10).per(HOUR).fixed_window().build().unwrap(), ..ask(true) };
        let answer = Answer { remaining: 5, full_in: HOUR, more_in: HOUR, ..Answer::new(admitted) };
        let undone_window = undone(&window, &answer);
        assert_eq!((undone_window.remaining, undone_window.full_in), (6, HOUR));
        let unused = undone(&window, &Answer { remaining: 9, ..answer });
        assert_eq!((unused.remaining, unused.full_in, unused.more_in), (10, Duration::ZERO, Duration::ZERO));
    }
}
