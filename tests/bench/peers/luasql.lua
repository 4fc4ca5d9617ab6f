-- Lua 5.4 with LuaSQL, as the author of a bot would write it; run by tests/bench/luasql.c: lua5.4 luasql.lua DIR TOOLS.
-- Each line of its input is a load, or "fill SHAPE KEYS"; each is answered with a line.
--
-- One call after the other: there is nobody else in the process. As many as there are tasks share a transaction, which
-- is what an author can do who has collected them.
local dir, tools = arg[1], package.loadlib(arg[2], "luaopen_bench_tools")()
package.path = "tests/bench/scripts/?.lua;" .. package.path
local shapes = require "lib.shapes"
local cjson = require "cjson"
local sqlite3 = require("luasql.sqlite3").sqlite3()

local db = assert(sqlite3:connect(dir .. "/luasql.db"))
assert(db:execute "PRAGMA journal_mode=WAL")
assert(db:execute "PRAGMA synchronous=FULL")
assert(db:execute "CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY, value TEXT NOT NULL)")

local function get(key)
  local cursor = assert(db:execute("SELECT value FROM kv WHERE key='" .. db:escape(key) .. "'"))
  local text = cursor:fetch()
  cursor:close()
  return text and cjson.decode(text)
end

local function set(key, value)
  local text = db:escape(cjson.encode(value))
  assert(db:execute("INSERT OR REPLACE INTO kv VALUES('" .. db:escape(key) .. "', '" .. text .. "')"))
end

local function transaction(calls, n)
  assert(db:execute "BEGIN IMMEDIATE")
  for _ = 1, n do
    local kind, key = tools.next()
    calls[kind](key)
  end
  assert(db:execute "COMMIT")
end

local function measure(line)
  local op, shape_name, tasks = tools.start(line)
  local shape = shapes[shape_name]
  local calls = {
    get,
    function(key) set(key, shape.new(tools.turn())) end,
    function(key) set(key, shape.gain(get(key) or shape.new(0))) end,
  }
  local began = tools.now()
  while began do
    if op == "get" then
      local _, key = tools.next()
      get(key)
      began = tools.lap(began)
    else
      transaction(calls, tasks)
      began = tools.laps(began, tasks)
    end
  end
  tools.stop()
  return tools.settled()
end

io.stdout:setvbuf "line"
for line in io.lines() do
  local shape, keys = line:match "^fill (%w+) (%d+)$"
  if shape then
    assert(db:execute "BEGIN")
    for i = 0, tonumber(keys) - 1 do
      set(tools.name(i), shapes[shape].new(0))
    end
    assert(db:execute "COMMIT")
    print "filled"
  else
    print(measure(line))
  end
end
