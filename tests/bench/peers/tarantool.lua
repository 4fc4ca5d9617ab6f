-- Tarantool's side, run by tests/bench/tarantool.c: tarantool tarantool.lua DIR TOOLS. Each line of its input is a
-- load, or "fill SHAPE KEYS"; each is answered with a line. Fibers do the calls, inside the server: nothing is sent.
--
-- Values are kept as Tarantool keeps them, in MessagePack. No fiber gives way between reading a key and the commit of
-- its change (box.space…:replace waits for the log after it has changed the space), so the update is atomic.
local dir, tools = arg[1], package.loadlib(arg[2], "luaopen_bench_tools")()
package.path = "tests/bench/scripts/?.lua;" .. package.path
local shapes = require "lib.shapes"
local fiber = require "fiber"

box.cfg {
  wal_mode = "fsync", -- a change is acknowledged when it is on the disk
  memtx_memory = 8 * 1024 * 1024 * 1024, -- the most: the default does not hold the documents
  work_dir = dir,
  log = "tarantool.log",
}
local space = box.schema.space.create("kv", { if_not_exists = true })
space:create_index("primary", { type = "hash", parts = { { 1, "string" } }, if_not_exists = true })

local function fill(shape, keys)
  for first = 0, keys - 1, 1000 do
    box.begin()
    for i = first, first + 999 do
      space:replace { tools.name(i), shape.new(0) }
    end
    box.commit()
  end
end

local function calls_of(shape)
  return {
    function(key)
      local tuple = space:get(key)
      return tuple and tuple[2]
    end,
    function(key) space:replace { key, shape.new(tools.turn()) } end,
    function(key)
      local tuple = space:get(key)
      space:replace { key, shape.gain(tuple and tuple[2] or shape.new(0)) }
    end,
  }
end

local function measure(line)
  local _, shape, tasks, sustained = tools.start(line)
  local calls, running, finished = calls_of(shapes[shape]), tasks, fiber.channel()
  for _ = 1, tasks do
    fiber.create(function()
      local began, n = tools.now(), 0
      while began do
        local kind, key = tools.next()
        calls[kind](key)
        n = n + 1
        if kind == 1 and n % 100 == 0 then fiber.yield() end -- reads do not wait, and the others want a turn
        began = tools.lap(began)
      end
      running = running - 1
      if running == 0 then finished:put(true) end
    end)
  end
  local backup = sustained and fiber.create(function()
    fiber.self():set_joinable(true)
    while running > 0 and not tools.backup() do
      fiber.sleep(0.05)
    end
    box.snapshot()
  end)
  finished:get()
  tools.stop()
  if backup and backup:status() ~= "dead" then backup:join() end
  return tools.settled()
end

io.stdout:setvbuf "line"
for line in io.lines() do
  local shape, keys = line:match "^fill (%w+) (%d+)$"
  if shape then
    fill(shapes[shape], tonumber(keys))
    print "filled"
  else
    print(measure(line))
  end
end
os.exit(0)
