// The official Socket.IO client as a driver: see net/socket.js.

const SERVER_CLOSED = "io server disconnect"; // after this the client does not reconnect
const AGAIN_MS = 1500;

export function openSocketIo(io, handlers) {
  const socket = io({
    transports: ["websocket", "polling"],
    tryAllTransports: true, // where a proxy lets no WebSocket through
    reconnectionDelay: 500,
    reconnectionDelayMax: 5000, // also after many failures
  });
  let timer = null;
  socket.on("connect", handlers.up);
  socket.on("connect_error", handlers.down);
  socket.on("disconnect", (reason) => {
    handlers.down();
    if (reason === SERVER_CLOSED) timer = setTimeout(() => socket.connect(), AGAIN_MS);
  });
  socket.onAny(handlers.fact);
  return {
    send: (name, payload, ack) => socket.emit(name, payload, ack),
    renew() {
      clearTimeout(timer);
      socket.disconnect();
      socket.connect();
    },
    close() {
      clearTimeout(timer);
      socket.disconnect();
    },
  };
}
