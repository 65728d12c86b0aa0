//! Limiters around limiters, as seen by the thread that runs them.
//!
//! A limiter notes itself while its inner service is called and polled. So one further in learns that it counts a
//! request for the second time, and one further out whether the fields on a response are those of a limiter of ours or
//! of somebody else. A response that comes through another task is taken for somebody else's.

use std::cell::Cell;
use std::marker::PhantomData;

/// Limiters at work on a thread, by their addresses, the innermost first, and whether the response that is on its way
/// out has fields of ours. Deeper nests are forgotten: they exist in tests alone.
#[derive(Clone, Copy)]
struct Scopes {
    limiters: [usize; 4],
    stamped: bool,
}

const NONE: Scopes = Scopes { limiters: [0; 4], stamped: false };

thread_local! {
    static SCOPES: Cell<Scopes> = const { Cell::new(NONE) };
}

/// While it lives, a limiter is at work on this thread.
pub(super) struct Entered {
    outside: Scopes,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

/// Notes that a limiter, known by its address, hands a request on.
#[inline]
pub(super) fn enter(limiter: usize) -> Entered {
    let outside = SCOPES.get();
    let [first, second, third, _] = outside.limiters;
    SCOPES.set(Scopes { limiters: [limiter, first, second, third], stamped: false });
    Entered { outside, not_send: PhantomData }
}

/// Whether this limiter is at work further out.
#[inline]
pub(super) fn is_inside(limiter: usize) -> bool {
    SCOPES.get().limiters.contains(&limiter)
}

/// Notes that a response on its way out has fields of ours.
#[inline]
pub(super) fn mark_stamped() {
    SCOPES.set(Scopes { stamped: true, ..SCOPES.get() });
}

impl Entered {
    /// Ends the scope, and says whether a limiter within has written fields.
    #[inline]
    pub(super) fn leave(self) -> bool {
        SCOPES.get().stamped
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        SCOPES.set(self.outside);
    }
}
