// Passkeys between the server's JSON and the browser's buffers. Browsers of 2023 have
// passkeys, but not yet parseRequestOptionsFromJSON and toJSON.

const bytesOf = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) =>
    sign.charCodeAt(0),
  );

const textOf = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

export const hasPasskeys = () => Boolean(globalThis.PublicKeyCredential);

/** Ask for a finger and make a passkey; resolves with it as JSON. */
export async function createPasskey(options) {
  const { id, ...user } = options.user;
  const publicKey = {
    ...options,
    challenge: bytesOf(options.challenge),
    user: { ...user, id: bytesOf(id) },
    excludeCredentials: options.excludeCredentials.map((one) => ({ ...one, id: bytesOf(one.id) })),
  };
  const made = await navigator.credentials.create({ publicKey });
  return plain(made, ["clientDataJSON", "attestationObject"]);
}

/** Ask for a finger and sign with a passkey; resolves with the signature as JSON. */
export async function usePasskey(options) {
  const publicKey = { ...options, challenge: bytesOf(options.challenge) };
  const made = await navigator.credentials.get({ publicKey });
  const parts = ["clientDataJSON", "authenticatorData", "signature", "userHandle"];
  return plain(made, parts);
}

function plain({ id, rawId, type, response }, parts) {
  const texts = parts
    .filter((part) => response[part])
    .map((part) => [part, textOf(response[part])]);
  return { id, rawId: textOf(rawId), type, response: Object.fromEntries(texts) };
}
