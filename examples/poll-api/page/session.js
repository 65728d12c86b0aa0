// Who is logged in. Tabs share one session, and only one of them at a time renews it: a refresh token is good once.

const KEY = "polls.session";

export function session() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function keep(username, pair) {
  const { sub, roles } = JSON.parse(atob(pair.access_token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
  const kept = { username, id: sub, roles, access: pair.access_token, refresh: pair.refresh_token };
  localStorage.setItem(KEY, JSON.stringify(kept));
  dispatchEvent(new Event("session"));
}

export function forget() {
  localStorage.removeItem(KEY);
  dispatchEvent(new Event("session"));
}

// Another tab logged in, out, or renewed the session.
addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) {
    dispatchEvent(new Event("session"));
  }
});

// A new pair by `refresh`, unless another tab was quicker. False when the session has ended; where that is not known, the
// refusal is thrown, and the session stays.
export async function renew(stale, refresh) {
  const work = async () => {
    const now = session();
    if (!now) {
      return false;
    }
    if (now.access !== stale) {
      return true;
    }
    let pair;
    try {
      pair = await refresh(now.refresh);
    } catch (refusal) {
      if (refusal.status !== 401) {
        throw refusal;
      }
      forget();
      return false;
    }
    keep(now.username, pair);
    return true;
  };
  // Where there are no locks (plain http elsewhere than this machine), tabs may race; the loser logs in again.
  return navigator.locks ? navigator.locks.request(KEY, work) : work();
}
