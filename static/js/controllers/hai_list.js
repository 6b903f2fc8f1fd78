// The talk: follows the models and has them drawn, and loads more at its edges.

import { on } from "#lib/dom";
import { Drawing } from "#controllers/drawing";

const LOAD_AHEAD_PX = 800;

export function connect(element, page) {
  const drawing = new Drawing(element, page);
  page.drawing = drawing;
  const { list, state, outbox } = page;
  const mine = (entry) => entry.room_id === list.roomId;
  const offs = [
    on(list, "added", ({ detail }) => drawing.touch(detail)),
    on(list, "changed", ({ detail }) => drawing.touch(detail)),
    on(list, "gone", ({ detail }) => drawing.touch(detail)),
    on(list, "reset", () => drawing.redraw()),
    on(list, "edges", () => drawing.keep(() => drawing.drawEdges())),
    on(state, "hai", ({ detail }) => drawing.quotes.hear(detail)),
    on(state, "users", ({ detail }) => drawing.touchUser(detail.id)),
    on(outbox, "changed", ({ detail }) => mine(detail) && drawing.drawPending(detail)),
    on(outbox, "stored", ({ detail }) => mine(detail.entry) && drawing.settle(detail)),
    on(outbox, "discarded", ({ detail }) => drawing.removePending(detail.client_id)),
    watchEdges(element, list),
    on(page.socket, "up", () => drawing.fillQuotes()),
  ];
  if (page.socket.isUp) drawing.fillQuotes();
  outbox.ofRoom(list.roomId).forEach((entry) => drawing.drawPending(entry));
  return () => offs.forEach((off) => off());
}

/** Load more before the reader reaches the edge. */
function watchEdges(element, list) {
  const edges = [...element.querySelectorAll("[data-edge]")];
  const load = { before: () => list.loadBefore(), after: () => list.loadAfter() };
  const watcher = new IntersectionObserver(
    async (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        await load[target.dataset.edge]().catch(() => undefined);
        watcher.unobserve(target); // observed anew, it reports again if still in view
        setTimeout(() => watcher.observe(target), 100);
      }
    },
    { root: element, rootMargin: `${LOAD_AHEAD_PX}px 0px` },
  );
  edges.forEach((edge) => watcher.observe(edge));
  return () => watcher.disconnect();
}
