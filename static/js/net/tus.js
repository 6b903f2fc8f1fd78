// Uploads one file by tus 1.0.0, an open protocol for resumable uploads: after a broken
// connection the next request goes on at the offset that the server has.
//
// The bytes go in slices, each of some seconds at the speed of the connection. So what is
// shown as sent has arrived, a dead connection can be told from a slow one, and no
// upload that makes progress is given up. A small file goes with the request that begins it.

import { refusalOfBytes } from "#net/picture_bytes";
import { Offline, Refusal } from "#net/refusal";

const HEADERS = { "Tus-Resumable": "1.0.0", Accept: "application/json" };
const BYTES = { "Content-Type": "application/offset+octet-stream" };
const SMALL_BYTES = 256 * 1024;
const SLICE_BYTES = { least: 4 * 1024, first: 64 * 1024, most: 8 * 1024 * 1024 }; // 13 s at 5 KB/s
const QUICK_MS = 2000; // a slice that took less is followed by a larger one
const SLOW_MS = 10_000;
const STALLED_MS = 45_000; // a connection without progress for so long is dead
const PAUSES_MS = [300, 1000, 3000, 8000, 15_000]; // then callers try again, later
const UNKNOWN = [400, 403, 404, 405, 501]; // without a header of tus: the server does not speak it
const GONE = [404, 410];
const WORTH_AGAIN = ["offline", "busy", "rate_limited"];

/** The server, or a proxy, does not speak tus. */
export class NoTus extends Error {}

/** A 413 that is not Hai's: the web server before it takes no request as long as this. */
class TooMuchAtOnce extends Refusal {
  constructor() {
    const message =
      "The web server in front of Hai takes only small uploads (nginx: client_max_body_size)." +
      " Whoever runs it can change that.";
    super({ code: "web_server_limit", message });
  }
}

/** keepsMetadata: with what its camera wrote; keepUrl(url or null): remember where the
    upload is; progress(fraction). */
export class TusUpload {
  #offset = 0;
  #isSure = false; // of the offset
  #sliceBytes = SLICE_BYTES.first;
  #mostBytes = SLICE_BYTES.most; // in one request, also for what is between
  #sentBytes = 0; // in the last one
  #control = new AbortController();

  constructor({ roomId, file, url = null, keepUrl, progress, ...options }) {
    const { keepsMetadata = false, pauses = PAUSES_MS, ask = send } = options;
    Object.assign(this, { roomId, file, keepsMetadata, url, keepUrl, progress, pauses });
    const { signal } = this.#control;
    this.ask = (method, path, options) => ask(method, path, { ...options, signal });
  }

  abort() {
    this.#control.abort();
  }

  /** Resolves with {id} of the picture. Rejects with Offline, a Refusal or NoTus. */
  async run() {
    for (let tries = 0; ; ) {
      const before = this.#offset;
      try {
        return await this.#go();
      } catch (error) {
        if (error instanceof TooMuchAtOnce && this.#makeSmaller()) continue;
        if (!WORTH_AGAIN.includes(error.code) || this.#control.signal.aborted) throw error;
        tries = this.#offset > before ? 1 : tries + 1;
        if (tries > this.pauses.length || globalThis.navigator?.onLine === false) throw error;
        this.#isSure = false;
        this.#halve();
        await this.#rest(this.pauses[tries - 1]);
      }
    }
  }

  async #go() {
    let picture = null;
    if (!this.url) picture = await this.#begin();
    else if (!this.#isSure) picture = await this.#look();
    while (!picture) picture = await this.#bring();
    return picture;
  }

  async #begin() {
    const { file } = this;
    const message = await refusalOfBytes(file);
    if (message) throw new Refusal({ code: "picture_type", message });
    const isSmall = file.size <= Math.min(SMALL_BYTES, this.#mostBytes);
    this.#sentBytes = isSmall ? file.size : 0;
    const answer = await this.ask("POST", `/rooms/${this.roomId}/uploads`, {
      headers: {
        ...HEADERS,
        ...(isSmall ? BYTES : {}),
        "Upload-Length": file.size,
        "Upload-Metadata": this.#metadata,
      },
      body: isSmall ? file : null,
      progress: (loaded) => this.progress(loaded / file.size),
    });
    if (answer.status !== 201) throw errorOf(answer);
    this.url = answer.header("Location");
    if (!isSmall) await this.keepUrl(this.url); // before the first byte: the page may end at any time
    return this.#read(answer);
  }

  get #metadata() {
    const kept = this.keepsMetadata ? `,keep_metadata ${base64("on")}` : "";
    return `filename ${base64(this.file.name)}${kept}`;
  }

  /** Ask for the offset. That ends a dead connection which still holds the upload. */
  async #look() {
    const answer = await this.ask("HEAD", this.url, { headers: HEADERS });
    if (answer.status === 200) return this.#read(answer);
    if (GONE.includes(answer.status)) return this.#beginAnew();
    throw errorOf(answer);
  }

  async #beginAnew() {
    this.url = null;
    this.#offset = 0;
    await this.keepUrl(null);
    return this.#begin();
  }

  async #bring() {
    const began = performance.now();
    const body = this.file.slice(this.#offset, this.#offset + this.#sliceBytes);
    this.#sentBytes = body.size;
    const answer = await this.ask("PATCH", this.url, {
      headers: { ...HEADERS, ...BYTES, "Upload-Offset": this.#offset },
      body,
      progress: (loaded) => this.progress((this.#offset + loaded) / this.file.size),
    });
    if (answer.status === 409) return this.#look();
    if (GONE.includes(answer.status) && answer.speaksTus) return this.#beginAnew();
    if (answer.status !== 204 && answer.status !== 200) throw errorOf(answer);
    this.#adapt(performance.now() - began);
    return this.#read(answer);
  }

  #adapt(tookMs) {
    if (tookMs < QUICK_MS) this.#sliceBytes = Math.min(this.#mostBytes, this.#sliceBytes * 2);
    if (tookMs > SLOW_MS) this.#halve();
  }

  #halve() {
    const first = Math.min(SLICE_BYTES.first, this.#mostBytes);
    this.#sliceBytes = Math.max(first, this.#sliceBytes / 2);
  }

  /** From now on; false: no smaller ones would do. */
  #makeSmaller() {
    if (this.#sentBytes <= SLICE_BYTES.least) return false;
    this.#mostBytes = Math.max(SLICE_BYTES.least, Math.floor(this.#sentBytes / 2));
    this.#sliceBytes = Math.min(this.#sliceBytes, this.#mostBytes);
    this.#isSure = false; // what came of the last one is not known
    return true;
  }

  #read(answer) {
    this.#offset = Number(answer.header("Upload-Offset"));
    this.#isSure = true;
    this.progress(this.#offset / this.file.size);
    const id = Number(answer.header("Hai-Picture"));
    return id ? { id } : null;
  }

  /** A pause, which ends early when the network returns. */
  #rest(pauseMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs * (0.5 + Math.random()));
      const goOn = () => {
        clearTimeout(timer);
        resolve();
      };
      globalThis.addEventListener?.("online", goOn, { once: true });
      this.#control.signal.addEventListener("abort", goOn, { once: true });
    });
  }
}

/** Cancel an upload; a complete one too, unless it was sent. */
export function erase(url) {
  return send("DELETE", url, { headers: HEADERS }).catch(() => undefined);
}

/** In one request, like a form: for servers without tus. */
export async function uploadWhole({ roomId, file, keepsMetadata }, progress) {
  const body = new FormData();
  if (keepsMetadata) body.append("keep_metadata", "on"); // must come before the file
  body.append("picture", file);
  const answer = await send("POST", `/rooms/${roomId}/pictures`, {
    headers: { Accept: "application/json" },
    body,
    progress: (loaded) => progress(Math.min(1, loaded / file.size)),
  });
  if (answer.json?.pictures) return answer.json.pictures[0];
  if (answer.json?.error) throw new Refusal(answer.json.error);
  const error = errorOf(answer);
  if (error instanceof NoTus) throw new Refusal({ code: "upload", message: "It did not arrive." });
  throw error;
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function errorOf({ status, json, speaksTus }) {
  if (json?.error)
    return UNKNOWN.includes(status) && !speaksTus ? new NoTus() : new Refusal(json.error);
  if (!speaksTus && UNKNOWN.includes(status)) return new NoTus();
  if (status === 413) return new TooMuchAtOnce();
  return new Offline();
}

/** One request that reports its progress: {status, json?, header(name), speaksTus}. */
function send(method, path, { headers, body = null, progress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer;
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), STALLED_MS);
    };
    const fail = (error) => {
      clearTimeout(timer);
      reject(error);
    };
    request.open(method, path);
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.upload.onprogress = ({ loaded }) => {
      watch();
      progress?.(loaded);
    };
    request.onload = () => {
      clearTimeout(timer);
      const header = (name) => request.getResponseHeader(name);
      const { status } = request;
      resolve({
        status,
        header,
        json: parsed(request),
        speaksTus: Boolean(header("Tus-Resumable")),
      });
    };
    request.onerror = () => fail(new Offline());
    request.onabort = () =>
      fail(signal?.aborted ? new Refusal({ code: "stopped", message: "" }) : new Offline());
    if (signal?.aborted) return fail(new Refusal({ code: "stopped", message: "" }));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    watch();
    request.send(body);
    return undefined;
  });
}

function parsed({ responseText }) {
  try {
    return JSON.parse(responseText);
  } catch {
    return undefined; // no JSON: a proxy's response, or none
  }
}
