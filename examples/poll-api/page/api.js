// The API, with a friendly sentence for everything that it can refuse.

import { renew, session } from "/assets/session.js";

export class Refusal extends Error {
  constructor(status, problem, wait) {
    super(problem?.title ?? `status ${status}`);
    this.status = status;
    this.friendly = sentence(status, problem, wait);
  }
}

function sentence(status, problem, wait) {
  const seconds = Number(wait);
  const when = seconds > 90 ? `${Math.ceil(seconds / 60)} minutes` : seconds === 1 ? "1 second" : `${seconds} seconds`;
  switch (status) {
    case 0: return "The server cannot be reached. Check your connection; this page goes on by itself.";
    case 401: return problem?.detail ?? "Log in to do this.";
    case 403: return problem?.detail ?? "You may not do this.";
    case 404: return "This poll does not exist (any more).";
    case 409: return problem?.detail ?? "This has been done already.";
    case 422: return faults(problem);
    case 429: return seconds > 0 ? `That was too often. Try again in ${when}.` : "That was too often. Try again later.";
    case 503: return seconds > 0 ? `The server is busy. Try again in ${when}.` : "The server is busy. Try again soon.";
    default: return problem?.detail ?? "That did not work. Try again.";
  }
}

function faults(problem) {
  const faults = (problem?.errors ?? []).map((error) => {
    const [, member, index] = (error.pointer ?? "#").split("/");
    const name = { username: "User name", password: "Password", question: "Question", options: "Option" }[member];
    return [name && index ? `${name} ${Number(index) + 1}` : name, error.detail].filter(Boolean).join(": ");
  });
  return faults.length ? faults.join(". ") : "Something in it is not as it must be.";
}

const refresh = (token) => call("POST", "/v1/auth/refresh", { refresh_token: token });

export async function call(method, path, body, key) {
  const send = async () => {
    const now = session();
    const headers = {};
    if (body !== undefined) {
      headers["content-type"] = "application/json";
    }
    if (key) {
      headers["idempotency-key"] = key;
    }
    // Whoever reads need not be known, so that reading goes on whatever has become of the session.
    if (now && method !== "GET" && (!path.startsWith("/v1/auth/") || path === "/v1/auth/logout")) {
      headers.authorization = `Bearer ${now.access}`;
    }
    try {
      const content = body === undefined ? undefined : JSON.stringify(body);
      return { used: headers.authorization && now.access, answer: await fetch(path, { method, headers, body: content }) };
    } catch {
      throw new Refusal(0);
    }
  };
  let { used, answer } = await send();
  // A page that was open for days has a token that has run out.
  if (answer.status === 401 && used && await renew(used, refresh)) {
    ({ answer } = await send());
  }
  if (answer.ok) {
    return answer.status === 204 ? null : answer.json();
  }
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401 && !path.startsWith("/v1/auth/")) {
    problem.detail = used ? "Your session has ended. Log in to go on." : "Log in to do this.";
  }
  throw new Refusal(answer.status, problem, answer.headers.get("retry-after"));
}
