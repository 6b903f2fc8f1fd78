// The official Socket.IO client as a driver: see net/socket.js.

const SERVER_CLOSED = "io server disconnect"; // after this the client stays away
const AGAIN_MS = 1500;

export function openSocketIo(io, ears) {
  const socket = io({
    transports: ["websocket", "polling"],
    tryAllTransports: true, // where a proxy lets no WebSocket through
    reconnectionDelay: 500,
    reconnectionDelayMax: 5000, // a line that fails often is still looked at often
  });
  let timer = null;
  socket.on("connect", ears.up);
  socket.on("connect_error", ears.down);
  socket.on("disconnect", (reason) => {
    ears.down();
    if (reason === SERVER_CLOSED) timer = setTimeout(() => socket.connect(), AGAIN_MS);
  });
  socket.onAny(ears.fact);
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
