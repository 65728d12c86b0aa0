//! What is heard of a store, and what it says of what is in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::store::{Moment, News, StorePurge};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hearing(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// The last that the store said.
    last: Option<Moment>,
    /// Of all purges up to here it is known whether they were for what is in memory.
    sure: Option<Moment>,
    /// Whether a fill has begun before the store said anything.
    is_blind: bool,
}

/// What is to be done about news.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Purge(Vec<StorePurge>),
    /// Something was missed, and nobody knows what.
    DropAll,
}

impl Hearing {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last that was heard, for a fill that begins.
    pub(super) fn begin(&self) -> Option<Moment> {
        let mut heard = self.heard();
        heard.is_blind |= heard.last.is_none();
        heard.last
    }

    /// The store has answered.
    pub(super) fn answered(&self, moment: Moment) {
        let mut heard = self.heard();
        if heard.last.is_none() && !heard.is_blind {
            // Nothing is in memory that is older.
            heard.sure = Some(moment);
        }
        heard.hear(moment);
    }

    /// What news come to, for the instance of this name.
    pub(super) fn news(&self, news: News, own: u64) -> Effect {
        let mut heard = self.heard();
        let is_back = matches!(news, News::Back(_));
        let (moment, effect) = match news {
            News::Back(moment) => {
                let has_missed = heard.sure.map_or(heard.is_blind, |sure| sure != moment);
                (moment, if has_missed { Effect::DropAll } else { Effect::Nothing })
            }
            News::Purged { moment, from, purges } => match heard.sure {
                Some(sure) if sure.era == moment.era && moment.number <= sure.number => return Effect::Nothing,
                Some(sure) if sure.era == moment.era && moment.number == sure.number.saturating_add(1) => {
                    // What this one purged is purged here already, and what was filled since is good.
                    (moment, if from == own { Effect::Nothing } else { Effect::Purge(purges) })
                }
                _ => (moment, Effect::DropAll),
            },
        };
        heard.sure = Some(moment);
        if is_back {
            // A store that lost the last of its purges counts from there again.
            heard.last = Some(moment);
        } else {
            heard.hear(moment);
        }
        effect
    }
}

impl Heard {
    fn hear(&mut self, moment: Moment) {
        // An answer may come late; of two eras nobody knows which is the later.
        let is_old = self.last.is_some_and(|last| last.era == moment.era && last.number > moment.number);
        if !is_old {
            self.last = Some(moment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::purge::Purge;
    use super::*;

    const OWN: u64 = 1;
    const MARK: StorePurge = StorePurge { mark: Some(7), how: Purge::Hard };

    fn at(number: u64) -> Moment {
        Moment { era: 5, number }
    }

    fn purged(moment: Moment, from: u64) -> News {
        News::Purged { moment, from, purges: vec![MARK] }
    }

    #[test]
    fn purges_in_a_row() {
        let hearing = Hearing::default();
        assert_eq!(hearing.news(News::Back(at(3)), OWN), Effect::Nothing, "nothing is in memory yet");
        assert_eq!(hearing.news(purged(at(4), 2), OWN), Effect::Purge(vec![MARK]));
        assert_eq!(hearing.news(purged(at(4), 2), OWN), Effect::Nothing, "twice the same");
        assert_eq!(hearing.news(purged(at(5), OWN), OWN), Effect::Nothing, "its own");
        assert_eq!(hearing.news(News::Back(at(5)), OWN), Effect::Nothing, "nothing was missed");
        assert_eq!(hearing.begin(), Some(at(5)));
    }

    #[test]
    fn what_was_missed_may_have_been_anything() {
        for missing in [
            purged(at(6), 2),
            purged(at(6), OWN),
            purged(Moment { era: 6, number: 1 }, 2),
            News::Back(at(5)),
            News::Back(Moment { era: 6, number: 4 }),
        ] {
            let hearing = Hearing::default();
            hearing.news(News::Back(at(4)), OWN);
            assert_eq!(hearing.news(missing.clone(), OWN), Effect::DropAll, "{missing:?}");
            assert_eq!(hearing.news(missing, OWN), Effect::Nothing, "and then it is known again");
        }
    }

    /// What was filled before anything was heard may have been purged since.
    #[test]
    fn a_beginning() {
        let blind = Hearing::default();
        assert_eq!(blind.begin(), None);
        blind.answered(at(3));
        assert_eq!(blind.news(News::Back(at(3)), OWN), Effect::DropAll);
        let seeing = Hearing::default();
        seeing.answered(at(3));
        assert_eq!(seeing.begin(), Some(at(3)));
        assert_eq!(seeing.news(News::Back(at(3)), OWN), Effect::Nothing);
        let late = Hearing::default();
        late.answered(at(3));
        late.answered(at(4));
        late.answered(at(3));
        assert_eq!(late.begin(), Some(at(4)), "an answer that comes late says nothing");
        assert_eq!(late.news(News::Back(at(4)), OWN), Effect::DropAll);
    }

    #[test]
    fn a_store_that_lost_some_counts_from_there() {
        let hearing = Hearing::default();
        assert_eq!(hearing.news(News::Back(at(10)), OWN), Effect::Nothing);
        assert_eq!(hearing.news(News::Back(at(8)), OWN), Effect::DropAll);
        assert_eq!(hearing.begin(), Some(at(8)));
    }
}
