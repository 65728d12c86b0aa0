//! Limiters around limiters, as seen by the thread that runs them.
//!
//! A limiter notes itself while its inner service is called and polled. So one further in learns that it counts a
//! request for the second time, and one further out whether the fields on a response are those of a limiter of ours or
//! of somebody else. A response that comes through another task is taken for somebody else's.

use std::cell::RefCell;
use std::marker::PhantomData;

struct Scope {
    limiter: usize,
    stamped: bool,
}

thread_local! {
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, a limiter is at work on this thread.
pub(super) struct Entered {
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

/// Notes that a limiter, known by its address, hands a request on.
pub(super) fn enter(limiter: usize) -> Entered {
    SCOPES.with_borrow_mut(|scopes| scopes.push(Scope { limiter, stamped: false }));
    Entered { not_send: PhantomData }
}

/// Whether this limiter is at work further out.
pub(super) fn is_inside(limiter: usize) -> bool {
    SCOPES.with_borrow(|scopes| scopes.iter().any(|scope| scope.limiter == limiter))
}

/// Notes that a response on its way out has fields of ours.
pub(super) fn mark_stamped() {
    SCOPES.with_borrow_mut(|scopes| {
        if let Some(scope) = scopes.last_mut() {
            scope.stamped = true;
        }
    });
}

impl Entered {
    /// Ends the scope, and says whether a limiter within has written fields.
    pub(super) fn leave(self) -> bool {
        SCOPES.with_borrow(|scopes| scopes.last().is_some_and(|scope| scope.stamped))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A thread that ends may have no scopes any more.
        let _ = SCOPES.try_with(|scopes| scopes.try_borrow_mut().map(|mut scopes| scopes.pop()));
    }
}
