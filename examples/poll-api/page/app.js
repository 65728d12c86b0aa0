// The page: signing in, asking, the list, and which of them is seen.

import { call } from "/assets/api.js";
import { $, busy, element, say, show } from "/assets/dom.js";
import { leave, open, refresh } from "/assets/poll.js";
import { forget, keep, session } from "/assets/session.js";

let cursor = null;

async function list(more = false) {
  const page = await call("GET", `/v1/polls?limit=20${more && cursor ? `&cursor=${cursor}` : ""}`);
  const rows = page.items.map((poll) => element("li", {},
    element("a", { href: `#/polls/${poll.id}`, textContent: poll.question }),
    element("span", { className: "hint", textContent: ` by ${poll.author}${poll.closed ? ", closed" : ""}` })));
  if (more) {
    $("polls").append(...rows);
  } else {
    $("polls").replaceChildren(...rows);
  }
  cursor = page.next_cursor;
  show("more", Boolean(cursor));
  show("no-polls", !$("polls").children.length);
}

function whoever() {
  const now = session();
  $("who").textContent = now ? now.username : "";
  show("sign-out", Boolean(now));
  show("sign-in", !now);
  show("create", Boolean(now) && !location.hash.startsWith("#/polls/"));
  refresh();
}

async function route() {
  const id = /^#\/polls\/([0-9a-f-]{36})$/.exec(location.hash)?.[1];
  show("detail", Boolean(id));
  show("list", !id);
  whoever();
  await busy($("main"), async () => {
    if (id) {
      await open(id);
      $("detail-title").focus();
    } else {
      leave();
      await list();
    }
  });
}

function option() {
  const number = $("options").children.length + 1;
  const input = element("input", { maxLength: 100, required: number <= 2, name: "option" });
  input.setAttribute("aria-label", `Option ${number}`);
  $("options").append(input);
  show("add-option", number < 20);
  return input;
}

function blank() {
  $("create-form").reset();
  $("options").replaceChildren();
  option();
  option();
}

async function signIn(register) {
  const form = $("sign-in-form");
  if (!form.reportValidity()) {
    return;
  }
  const { username, password } = Object.fromEntries(new FormData(form));
  await busy(form, async () => {
    if (register) {
      await call("POST", "/v1/auth/register", { username, password });
    }
    keep(username.toLowerCase(), await call("POST", "/v1/auth/login", { username, password }));
    form.reset();
    say(register ? "Welcome!" : "Welcome back!");
  });
}

$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(false);
});

$("register").addEventListener("click", () => signIn(true));

$("sign-out").addEventListener("click", async () => {
  // Whatever the server says of it, this browser forgets.
  await call("POST", "/v1/auth/logout").catch(() => {});
  forget();
  say("You are logged out.");
});

$("add-option").addEventListener("click", () => option().focus());

// Sent again after a failure it is the same poll, for it has the same key.
let sent = { content: "", key: "" };

$("create-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const options = form.getAll("option").map((text) => text.trim()).filter(Boolean);
  busy(event.target, async () => {
    const body = { question: form.get("question").trim(), options };
    const content = JSON.stringify(body);
    if (sent.content !== content) {
      sent = { content, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
    }
    const poll = await call("POST", "/v1/polls", body, sent.key);
    sent = { content: "", key: "" };
    blank();
    say("Your poll is open.");
    location.hash = `#/polls/${poll.id}`;
  });
});

$("more").addEventListener("click", () => busy($("list"), () => list(true)));

addEventListener("session", whoever);
addEventListener("hashchange", route);
blank();
route();
