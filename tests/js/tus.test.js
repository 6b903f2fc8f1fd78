import assert from "node:assert/strict";
import { test } from "node:test";

import { Offline } from "#net/refusal";
import { NoTus, TusUpload } from "#net/tus";

const KB = 1024;

/** A server of one upload, and a line that breaks where the test says. */
class FarEnd {
  length = null;
  received = 0;
  asked = [];
  breaks = []; // what happens to the next requests: an error, an answer, or nothing

  ask = async (method, path, { headers, body }) => {
    this.asked.push([method, body?.size ?? 0, headers["Upload-Offset"]]);
    const fate = this.breaks.shift();
    if (fate instanceof Error) throw fate;
    if (fate) return fate;
    return this[method](headers, body);
  };

  answer(status, found = {}, json = undefined) {
    const fields = { "Upload-Offset": this.received, ...found };
    if (this.length && this.received === this.length) fields["Hai-Picture"] = 7;
    return { status, header: (name) => fields[name] ?? null, json, speaksTus: true };
  }

  POST(headers, body) {
    this.length = headers["Upload-Length"];
    this.received = body?.size ?? 0;
    return this.answer(201, { Location: "/uploads/t" });
  }

  HEAD() {
    return this.length ? this.answer(200) : this.answer(404, {}, { error: { code: "not_found" } });
  }

  PATCH(headers, body) {
    if (headers["Upload-Offset"] !== this.received) return this.answer(409);
    this.received += body.size;
    return this.answer(204);
  }
}

function makeUpload(far, size, changes = {}) {
  const kept = [];
  const fractions = [];
  const file = Object.assign(new Blob([new Uint8Array(size)]), { name: "Seä.png" });
  const upload = new TusUpload({
    roomId: 3,
    file,
    keepUrl: async (url) => kept.push(url),
    progress: (fraction) => fractions.push(fraction),
    pauses: [1, 1, 1],
    ask: far.ask,
    ...changes,
  });
  return { upload, kept, fractions };
}

const methods = (far) => far.asked.map(([method]) => method).join(" ");

test("a small file goes with the request that begins it", async () => {
  const far = new FarEnd();
  const { upload } = makeUpload(far, 100 * KB);
  assert.deepEqual(await upload.run(), { id: 7 });
  assert.deepEqual(far.asked, [["POST", 100 * KB, undefined]]);
});

test("a large one goes in slices that grow with the line, and its address is kept first", async () => {
  const far = new FarEnd();
  const { upload, kept, fractions } = makeUpload(far, 1000 * KB);
  assert.deepEqual(await upload.run(), { id: 7 });
  assert.deepEqual(
    far.asked.map(([, size]) => size / KB),
    [0, 64, 128, 256, 512, 40],
  );
  assert.deepEqual(kept, ["/uploads/t"]);
  assert.deepEqual(
    fractions,
    [...fractions].sort((one, other) => one - other),
  );
  assert.equal(fractions.at(-1), 1);
});

test("after a break it goes on where the server says, not from zero", async () => {
  const far = new FarEnd();
  far.breaks = [null, null, new Offline()];
  const { upload } = makeUpload(far, 300 * KB);
  assert.deepEqual(await upload.run(), { id: 7 });
  assert.equal(methods(far), "POST PATCH PATCH HEAD PATCH PATCH PATCH");
  assert.equal(far.asked[4][2], 64 * KB);
});

test("a known address is asked first; a lost last answer is told again", async () => {
  const far = Object.assign(new FarEnd(), { length: 300 * KB, received: 300 * KB });
  const { upload } = makeUpload(far, 300 * KB, { url: "/uploads/t" });
  assert.deepEqual(await upload.run(), { id: 7 });
  assert.equal(methods(far), "HEAD");
});

test("what the server has forgotten begins anew", async () => {
  const far = new FarEnd();
  const { upload, kept } = makeUpload(far, 300 * KB, { url: "/uploads/old" });
  assert.deepEqual(await upload.run(), { id: 7 });
  assert.deepEqual(kept, [null, "/uploads/t"]);
});

test("a line that stays dead is given up for now; one that moves never", async () => {
  const far = new FarEnd();
  far.breaks = [null, ...Array(9).fill(new Offline())];
  await assert.rejects(makeUpload(far, 300 * KB).upload.run(), { code: "offline" });
  assert.equal(far.breaks.length, 5);
  const moving = new FarEnd();
  moving.breaks = [null, ...Array(20).fill([null, new Offline(), null]).flat()];
  assert.deepEqual(await makeUpload(moving, 4000 * KB).upload.run(), { id: 7 });
});

test("a refusal is final, and where tus is not spoken it says so", async () => {
  const far = new FarEnd();
  const error = { code: "picture_type", message: "No." };
  far.breaks = [{ status: 415, header: () => null, json: { error }, speaksTus: true }];
  await assert.rejects(makeUpload(far, KB).upload.run(), { code: "picture_type" });
  for (const status of [404, 405, 501]) {
    far.breaks = [{ status, header: () => null, json: undefined, speaksTus: false }];
    await assert.rejects(makeUpload(far, KB).upload.run(), NoTus);
  }
});

/** Before it a web server that takes no body of more than so many bytes, nginx say. */
function behindLimit(far, mostBytes) {
  const { ask } = far;
  const answer = { status: 413, header: () => null, json: undefined, speaksTus: false };
  far.ask = async (method, path, options) => {
    if ((options.body?.size ?? 0) <= mostBytes) return ask(method, path, options);
    far.asked.push([method, options.body.size, "too much"]);
    return answer;
  };
  return far;
}

test("a web server that takes little at once gets it in smaller pieces from then on", async () => {
  const far = behindLimit(new FarEnd(), 100 * KB);
  assert.deepEqual(await makeUpload(far, 700 * KB).upload.run(), { id: 7 });
  const tooMuch = far.asked.filter(([, , offset]) => offset === "too much");
  assert.deepEqual(tooMuch, [["PATCH", 128 * KB, "too much"]]);
  assert.ok(far.asked.every(([, size]) => size <= 128 * KB));
});

test("so does a small file that would have gone with its beginning", async () => {
  const far = behindLimit(new FarEnd(), 10 * KB);
  assert.deepEqual(await makeUpload(far, 200 * KB).upload.run(), { id: 7 });
  assert.equal(far.received, 200 * KB);
});

test("one that takes nothing is named, and the picture is not called too large", async () => {
  const far = behindLimit(new FarEnd(), KB);
  const advice = { code: "web_server_limit", message: /web server.*client_max_body_size/ };
  await assert.rejects(makeUpload(far, 700 * KB).upload.run(), advice);
  const error = { code: "too_large", message: "At most 50 MiB." };
  const own = new FarEnd();
  own.breaks = [{ status: 413, header: () => null, json: { error }, speaksTus: true }];
  await assert.rejects(makeUpload(own, 700 * KB).upload.run(), { code: "too_large" });
});

test("what is not taken is known by its first bytes, and none is sent", async () => {
  for (const [brand, advice] of [
    ["heic", /HEIC.*JPEG/],
    ["mif1", /HEIC/],
    ["avif", /AVIF.*JPEG/],
  ]) {
    const far = new FarEnd();
    const file = new File([`\0\0\0\x1cftyp${brand}`, "rest"], "IMG_1.jpg", { type: "image/jpeg" });
    const { upload } = makeUpload(far, 1, { file });
    await assert.rejects(upload.run(), { code: "picture_type", message: advice });
    assert.deepEqual(far.asked, []);
  }
});

test("a film begins like those, and is sent", async () => {
  const far = new FarEnd();
  const file = new File(["\0\0\0\x1cftypisom", "rest"], "boat.mp4", { type: "video/mp4" });
  await makeUpload(far, 1, { file }).upload.run();
  assert.equal(methods(far), "POST");
});

test("what its camera wrote is kept when it is asked for, and only then", async () => {
  const said = async (changes) => {
    const far = new FarEnd();
    const { POST } = far;
    far.POST = (headers, body) => {
      far.metadata = headers["Upload-Metadata"];
      return POST.call(far, headers, body);
    };
    await makeUpload(far, KB, changes).upload.run();
    return far.metadata;
  };
  assert.equal(await said({}), "filename U2XDpC5wbmc=");
  assert.equal(await said({ keepsMetadata: true }), "filename U2XDpC5wbmc=,keep_metadata b24=");
});
