// The official client, told what to do by test_javascript_client.py.
//
//   node client.cjs URL TRANSPORTS COOKIE ROOM_ID
//
// Connects, sends 30 hais in a row, and prints one line of JSON: what it was acked and
// what it heard, in order. With "polling,websocket" it upgrades on the way.

const { io } = require("socket.io-client");

const [url, transports, cookie, roomId] = process.argv.slice(2);
const COUNT = 30;

async function main() {
  const socket = io(url, {
    transports: transports.split(","),
    reconnection: false,
    extraHeaders: { Cookie: `hai_session=${cookie}` },
  });
  const heard = [];
  const all = new Promise((resolve) => {
    socket.on("hai_sent", ({ hai }) => {
      heard.push(hai.text);
      if (heard.length === COUNT) resolve();
    });
  });
  const upgraded = new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  const acks = [];
  for (let number = 0; number < COUNT; number += 1) {
    const hai = { room_id: Number(roomId), client_id: `js${number}`, text: `é ${number}` };
    acks.push(socket.timeout(60_000).emitWithAck("send_hai", hai));
  }
  const texts = (await Promise.all(acks)).map((ack) => ack.hai.text);
  if (transports.includes(",")) await upgraded;
  await all;
  const refused = await socket.timeout(60_000).emitWithAck("unknown", {});
  const transport = socket.io.engine.transport.name;
  console.log(JSON.stringify({ texts, heard, refused, transport }));
  socket.disconnect();
}

const timer = setTimeout(() => process.exit(3), 100_000);
main().then(() => clearTimeout(timer), (error) => {
  console.error(error);
  process.exit(1);
});
