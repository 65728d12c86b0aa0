// One poll: its options, a vote, and bars that move as others vote.

import { call } from "/assets/api.js";
import { $, busy, element, say, show } from "/assets/dom.js";
import { session } from "/assets/session.js";

let poll = null;
let source = null;

export function leave() {
  source?.close();
  source = null;
  poll = null;
}

export async function open(id) {
  leave();
  const path = `/v1/polls/${encodeURIComponent(id)}`;
  const opened = await call("GET", path);
  poll = opened;
  $("detail-title").textContent = opened.question;
  const until = opened.closes_at ? `, open until ${new Date(opened.closes_at).toLocaleString()}` : "";
  $("detail-about").textContent = `Asked by ${opened.author}${until}`;
  $("vote-form").replaceChildren(...opened.options.map(row), element("div", { className: "row", id: "vote-row" },
    element("button", { type: "submit", id: "vote", textContent: "Vote" })));
  draw(await call("GET", `${path}/results`));
  if (poll !== opened) {
    return;
  }
  source = new EventSource(`${path}/events`);
  source.addEventListener("results", (event) => draw(JSON.parse(event.data)));
  refresh();
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
