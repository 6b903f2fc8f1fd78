// The plain WebSocket at /ws as a driver: see net/socket.js.
// Frames are JSON arrays: [order, payload, id] out, [fact, payload] and
// ["ack", id, payload] in.

import { backOffMs } from "#lib/timing";

export function openNative(handlers, WebSocketClass = WebSocket) {
  const address = new URL("/ws", location.href.replace(/^http/, "ws"));
  const acks = new Map(); // id -> function
  let socket = null;
  let timer = null;
  let tries = 0;
  let lastId = 0;
  let isClosed = false;

  function receive({ data }) {
    const [name, first, second] = JSON.parse(data);
    if (name !== "ack") return handlers.fact(name, first);
    acks.get(first)?.(second);
    acks.delete(first);
  }

  function closed() {
    acks.clear();
    handlers.down();
    if (isClosed) return;
    clearTimeout(timer);
    timer = setTimeout(connect, backOffMs(tries++));
  }

  function connect() {
    socket = new WebSocketClass(address);
    socket.onopen = () => {
      tries = 0;
      handlers.up();
    };
    socket.onmessage = receive;
    socket.onclose = closed;
  }

  connect();
  return {
    send(name, payload, ack) {
      acks.set(++lastId, ack);
      socket.send(JSON.stringify([name, payload, lastId]));
    },
    /** Does not wait for onclose: a dead connection takes a minute to close. */
    renew() {
      clearTimeout(timer);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      acks.clear();
      handlers.down();
      connect();
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      socket.close();
    },
  };
}
