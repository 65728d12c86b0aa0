//! The question, asked.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::super::basic::CannotVerify;
use super::super::http::Limits;
use super::{Introspection, Known7662};
use crate::spine::clock::Clock;
use crate::spine::event::{self, Origin};
use crate::spine::identity::Identity;

const MAX_ANSWER_BYTES: usize = 64 << 10;

impl Introspection {
    /// Whose token this is.
    pub(in crate::layers::auth) async fn ask(
        &self,
        token: &[u8],
        clock: &Clock,
    ) -> Result<Option<Identity>, CannotVerify> {
        let _slot = self.slots.take().ok_or(CannotVerify)?;
        let form = format!("token={}&token_type_hint=access_token", percent_encode(token, NON_ALPHANUMERIC));
        let limits = Limits { max_bytes: MAX_ANSWER_BYTES, timeout: self.timeout };
        let asked = self.client.post_form(&self.endpoint, self.credential.clone(), Bytes::from(form), limits, clock);
        let answer = asked.await.map_err(|fault| {
            event::credential_unverifiable(Origin::Auth, &fault, &self.sampler, clock);
            CannotVerify
        })?;
        let now = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let caller = self.rules.judge(&answer, now).map_err(|_| {
            const UNREADABLE: &str = "the introspection answer cannot be read";
            event::credential_unverifiable(Origin::Auth, &UNREADABLE, &self.sampler, clock);
            CannotVerify
        })?;
        self.known.put(self.known.key(token), now, Known7662 { said: now, caller: caller.clone() });
        Ok(caller.map(|(caller, _)| caller))
    }
}
