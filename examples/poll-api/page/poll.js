// One poll: its options, a vote, and bars that move as others vote.

import { call } from "/assets/api.js";
import { $, busy, element, say, show } from "/assets/dom.js";
import { session } from "/assets/session.js";

let poll = null;
let source = null;
// How often somebody went on to another poll, or to none: answers that come after that are not shown.
let turn = 0;
// A stream that was refused is asked for again after so long.
const AGAIN_MS = 5000;

export function leave() {
  turn += 1;
  source?.close();
  source = null;
  poll = null;
  $("detail-title").textContent = "";
  $("detail-about").textContent = "";
  $("vote-form").replaceChildren();
  $("total").textContent = "";
  show("own", false);
}

export async function open(id) {
  leave();
  const mine = turn;
  const path = `/v1/polls/${encodeURIComponent(id)}`;
  const [opened, results] = await Promise.all([call("GET", path), call("GET", `${path}/results`)]);
  if (mine !== turn) {
    return;
  }
  poll = opened;
  $("detail-title").textContent = opened.question;
  const until = opened.closes_at ? `, open until ${new Date(opened.closes_at).toLocaleString()}` : "";
  $("detail-about").textContent = `Asked by ${opened.author}${until}`;
  $("vote-form").replaceChildren(...opened.options.map(row), element("div", { className: "row", id: "vote-row" },
    element("button", { type: "submit", id: "vote", textContent: "Vote" })));
  draw(results);
  watch(path);
}

// A browser comes back by itself to a stream that broke, and not to one that was refused.
function watch(path) {
  const stream = new EventSource(`${path}/events`);
  source = stream;
  stream.addEventListener("results", (event) => draw(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) {
      again(path, stream);
    }
  });
}

async function again(path, refused) {
  try {
    draw(await call("GET", `${path}/results`));
  } catch (refusal) {
    if (refusal.status === 404 && refused === source) {
      leave();
      say(refusal.friendly, true);
      return;
    }
  }
  setTimeout(() => refused === source && watch(path), AGAIN_MS);
}

function row({ id, text }) {
  const bar = element("span", { className: "bar", id: `bar-${id}` });
  bar.setAttribute("aria-hidden", "true");
  return element("div", { className: "option" }, bar,
    element("input", { type: "radio", name: "option", value: id, id: `option-${id}`, required: true }),
    Object.assign(element("label", { textContent: text }), { htmlFor: `option-${id}` }),
    element("span", { className: "count", id: `count-${id}` }));
}

function draw(results) {
  if (!poll || results.poll_id !== poll.id) {
    return;
  }
  for (const { id, votes } of results.options) {
    const share = results.total ? Math.round(votes * 100 / results.total) : 0;
    $(`bar-${id}`).style.width = `${share}%`;
    $(`count-${id}`).textContent = `${votes} (${share} %)`;
  }
  $("total").textContent = `${results.total} ${results.total === 1 ? "vote" : "votes"}${results.closed ? ", closed" : ""}`;
  poll.closed = results.closed;
  refresh();
}

export function refresh() {
  if (!poll) {
    return;
  }
  const now = session();
  show("vote-row", Boolean(now) && !poll.closed);
  $("vote-form").querySelectorAll("input").forEach((input) => { input.disabled = !now || poll.closed; });
  show("own", Boolean(now) && (now.username === poll.author || now.roles?.includes("admin")));
  show("close-poll", !poll.closed);
}

$("vote-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const option = new FormData(event.target).get("option");
  busy(event.target, async () => {
    await call("POST", `/v1/polls/${poll.id}/votes`, { option_id: Number(option) });
    say("Your vote counts.");
  });
});

$("close-poll").addEventListener("click", () => busy($("own"), async () => {
  await call("POST", `/v1/polls/${poll.id}/close`);
  say("The poll is closed.");
}));

$("delete-poll").addEventListener("click", () => busy($("own"), async () => {
  await call("DELETE", `/v1/polls/${poll.id}`);
  location.hash = "#/";
  say("The poll is gone.");
}));
