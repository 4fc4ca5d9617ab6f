# Says something to the bots of a running host and prints what they do: python3 client.py DATA/control.sock TEXT
import json, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
def ask(id, method, **params):
    connection.sendall(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\n")
ask(1, "subscribe")
ask(2, "emit", event={"event": "message", "channel": "general", "userId": "python", "text": sys.argv[2]})
for message in map(json.loads, connection.makefile()):
    if message.get("method") == "action": print(message["params"]["text"])
    if message.get("id") == 2: sys.exit(0 if message["result"]["ok"] else 1)
