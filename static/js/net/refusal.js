// The errors of requests and orders.

/** The server refused: `code` and `message` of its error object. */
export class Refusal extends Error {
  constructor({ code, message, details = {} }) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The network failed; whether the request arrived is not known. */
export class Offline extends Error {
  constructor(message = "Waiting for the network.") {
    super(message);
    this.code = "offline";
  }
}

// unauthorized: signed out; what was written is sent after signing in again.
const PASSING = new Set(["offline", "busy", "rate_limited", "unauthorized"]);

/** Whether trying again later, unchanged, can succeed. */
export function isPassing(error) {
  return PASSING.has(error.code);
}

const FOR_GOOD = new Set(["picture_type", "picture_truncated", "too_large", "bad_request"]);

/** Whether the same picture would be refused again, however often it is sent. */
export function isForGood(error) {
  return FOR_GOOD.has(error.code);
}

export function ackOrThrow(ack) {
  if (ack?.error) throw new Refusal(ack.error);
  return ack;
}
