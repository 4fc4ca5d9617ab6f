// Says something to the bots of a running host and prints what they do: node client.js DATA/control.sock TEXT
const [path, text] = process.argv.slice(2);
const socket = require("net").connect(path);
const ask = (id, method, params) => socket.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
ask(1, "subscribe");
ask(2, "emit", { event: { event: "message", channel: "general", userId: "node", text } });
require("readline").createInterface({ input: socket }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.method === "action") console.log(message.params.text);
  if (message.id === 2) process.exit(message.result.ok ? 0 : 1);
});
