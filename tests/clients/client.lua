-- Says something to the bots of a running host and prints what they do: lua5.4 client.lua DATA/control.sock TEXT
local json = require "cjson"
local socket = require "socket.unix"()
assert(socket:connect(arg[1]))
local function ask(id, method, params)
  socket:send(json.encode({jsonrpc = "2.0", id = id, method = method, params = params}) .. "\n")
end
ask(1, "subscribe")
ask(2, "emit", {event = {event = "message", channel = "general", userId = "lua", text = arg[2]}})
while true do
  local line = assert(socket:receive())
  local message = json.decode(line)
  if message.method == "action" then print(message.params.text) end
  if message.id == 2 then os.exit(message.result.ok) end
end
