// Requests over HTTP, where a socket does not fit.

import { Offline, ackOrThrow } from "#net/refusal";

async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Offline();
  }
}

/** The answer's JSON. What cannot be read as such, or a gateway's error, did not come from
    Hai, or broke off on the way: nobody knows what became of it. */
async function answerOf(response) {
  if (response.status === 204) return {};
  const ack = await response.json().catch(() => null);
  if (!ack || (response.status >= 500 && !ack.error)) throw new Offline();
  return ackOrThrow(ack);
}

/** Post a form; resolves with the answer's JSON. */
export async function post(path, fields) {
  const response = await ask(path, {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams(fields),
  });
  return answerOf(response);
}

/** Post one picture; resolves with the answer's JSON. */
export async function postPicture(path, blob) {
  const body = new FormData();
  body.append("picture", blob, "picture");
  const response = await ask(path, {
    method: "POST",
    headers: { Accept: "application/json" },
    body,
  });
  return answerOf(response);
}

/** Users by their ids, those that exist. */
export async function getUsers(ids) {
  const query = new URLSearchParams({ ids: ids.join(",") });
  const response = await ask(`/people?${query}`, { headers: { Accept: "application/json" } });
  return (await answerOf(response)).users;
}

/** The first state that a page of ours carries; null where it carries none, or not all. */
export async function getFirstState(path) {
  const { html } = await getPage(path);
  const [, rest = ""] = html.split('<script type="application/json" id="page">');
  const [text, end] = rest.split("</script>", 2);
  return end === undefined ? null : stateOf(text);
}

function stateOf(text) {
  try {
    return JSON.parse(text).state;
  } catch {
    return null;
  }
}

/** A page of ours, as {url, html}; `url` is where redirects ended. Rejects with Offline,
    also when it breaks off in the middle. */
export async function getPage(path, signal) {
  const response = await ask(path, { headers: { Accept: "text/html" }, signal });
  const html = await response.text().catch(() => null);
  if (html === null) throw new Offline();
  return { url: response.url, html };
}

/** Whether we are still signed in; true if that cannot be found out. */
export async function isSignedIn() {
  try {
    const response = await fetch("/api/v1/me", { headers: { Accept: "application/json" } });
    return response.status !== 401;
  } catch {
    return true;
  }
}
