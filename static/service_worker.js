// Takes what a phone's share sheet hands to Hai (POST /share) and keeps it in the browser
// until its room is chosen on the page /share. It caches nothing, answers no other
// request and imports nothing; lib/shared.js reads what it keeps.

const MOST = 50; // pictures that wait; beyond it nothing more is taken, and that is said

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function open() {
  const request = indexedDB.open("hai.shared", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("shared", { keyPath: "id", autoIncrement: true });
  };
  return answer(request);
}

async function keep(request) {
  const form = await request.formData();
  const files = form.getAll("picture").filter((file) => file.size);
  const words = ["title", "text", "url"].map((name) => form.get(name)).filter(Boolean);
  const database = await open();
  try {
    const table = database.transaction("shared", "readwrite").objectStore("shared");
    if ((await answer(table.count())) + files.length > MOST) return "full";
    for (const file of files) await answer(table.add({ file }));
    if (words.length) await answer(table.add({ text: words.join("\n") }));
  } finally {
    database.close();
  }
  return "";
}

async function take(request) {
  const problem = await keep(request).catch(() => "failed");
  return Response.redirect(problem ? `/share?problem=${problem}` : "/share", 303);
}

self.addEventListener("install", (event) => {
  self.skipWaiting();
  // Pages and pictures need not wait until this is awake, where browsers know that.
  event.addRoutes?.({ condition: { requestMethod: "GET" }, source: "network" });
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "POST" && new URL(url).pathname === "/share") {
    event.respondWith(take(event.request));
  }
});
