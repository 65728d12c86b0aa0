use std::collections::VecDeque;

use proptest::prelude::*;

use super::compartment::{Compartment, Entry, GivenUp};

/// What it is meant to do, with lists and no thought for cost.
#[derive(Default)]
struct Model {
    inside: Vec<u64>,
    waiting: VecDeque<u64>,
}

impl Model {
    fn settle(&mut self, places: usize) -> Vec<u64> {
        let mut called = Vec::new();
        while self.inside.len() < places
            && let Some(next) = self.waiting.pop_front()
        {
            self.inside.push(next);
            called.push(next);
        }
        called
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter,
    EnterOrWait,
    /// Whoever stands there among those inside leaves, or among those waiting gives up.
    Leave(usize),
    GiveUp(usize),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Enter),
        3 => Just(Step::EnterOrWait),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => any::<usize>().prop_map(Step::GiveUp),
        1 => (1_usize..5).prop_map(Step::Resize),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Each is known by a number of its own; the compartment's tickets are told apart from them.
    #[test]
    fn it_does_what_lists_do(steps in prop::collection::vec(step(), 0..200)) {
        const MAX_WAITING: usize = 3;
        let (mut real, mut model, mut places) = (Compartment::<u64>::default(), Model::default(), 2);
        let mut tickets: Vec<(u64, u64)> = Vec::new();
        let mut anonymous = 1_000_000;
        for (number, step) in steps.into_iter().enumerate() {
            let name = number as u64;
            match step {
                Step::Enter => {
                    let enters = model.inside.len() < places;
                    prop_assert_eq!(real.enter(places), enters);
                    if enters {
                        anonymous += 1;
                        model.inside.push(anonymous);
                    }
                }
                Step::EnterOrWait => match real.enter_or_wait(places, MAX_WAITING) {
                    Entry::In => {
                        prop_assert!(model.inside.len() < places);
                        anonymous += 1;
                        model.inside.push(anonymous);
                    }
                    Entry::Queued(ticket) => {
                        prop_assert!(model.inside.len() >= places && model.waiting.len() < MAX_WAITING);
                        model.waiting.push_back(name);
                        tickets.push((name, ticket));
                        prop_assert!(!real.look(ticket, &mut Some(name)));
                    }
                    Entry::Full => {
                        prop_assert!(model.inside.len() >= places && model.waiting.len() == MAX_WAITING);
                    }
                },
                Step::Leave(at) => {
                    if model.inside.is_empty() {
                        continue;
                    }
                    model.inside.swap_remove(at % model.inside.len());
                    let woken = real.leave(places);
                    prop_assert_eq!(woken, model.settle(places).first().copied());
                }
                Step::GiveUp(at) => {
                    if tickets.is_empty() {
                        continue;
                    }
                    let (name, ticket) = tickets.swap_remove(at % tickets.len());
                    let given_up = real.give_up(ticket, places);
                    if let Some(at) = model.waiting.iter().position(|waiting| *waiting == name) {
                        model.waiting.remove(at);
                        prop_assert_eq!(given_up, GivenUp::Waited(Some(name)));
                    } else if let Some(at) = model.inside.iter().position(|inside| *inside == name) {
                        // It was called in, and never took its place.
                        model.inside.swap_remove(at);
                        prop_assert_eq!(given_up, GivenUp::Left(model.settle(places).first().copied()));
                    } else {
                        // It has left by another way already; undo what was taken for it.
                        prop_assert!(false, "a ticket of nobody");
                    }
                }
                Step::Resize(to) => {
                    places = to;
                    prop_assert_eq!(real.fill(places), model.settle(places));
                }
            }
            // Whoever has left by the number inside no longer has a ticket.
            tickets.retain(|(name, _)| model.waiting.contains(name) || model.inside.contains(name));
            prop_assert_eq!(real.taken(), model.inside.len());
            prop_assert_eq!(real.is_idle(), model.inside.is_empty() && model.waiting.is_empty());
            for (name, ticket) in &tickets {
                prop_assert_eq!(real.look(*ticket, &mut Some(*name)), model.inside.contains(name));
            }
        }
    }
}
