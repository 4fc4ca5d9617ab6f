-- moonkeep's load of `make bench`: an event says what to do. The table `bench` is the bench's own
-- (tests/bench/tools.c): what to do with which key, and the stopwatch.
--
--   {"event":"fill","shape":"object","keys":100000}
--   {"event":"warm","keys":100000}                       every key is read once, uncounted
--   {"event":"load","shape":"object","tasks":64}         until the stopwatch says that it is over
local shapes = require "lib.shapes"

local LIST = 1000 -- rows in one `set`

local function finished() bot.act { action = "finished" } end

bot.on("fill", function(event)
  local shape = shapes[event.shape]
  for first = 0, event.keys - 1, LIST do
    local rows = {}
    for i = 1, LIST do
      rows[i] = { key = bench.name(first + i - 1), value = shape.new(0) }
    end
    appData:set(rows)
  end
  finished()
end)

bot.on("warm", function(event)
  local running = 100
  for task = 0, running - 1 do
    bot.spawn(function()
      for i = task, event.keys - 1, 100 do
        appData:get(bench.name(i))
      end
      running = running - 1
      if running == 0 then finished() end
    end)
  end
end)

bot.on("load", function(event)
  local shape, running = shapes[event.shape], event.tasks
  local newcomer = shape.new(0)
  local calls = {
    function(key) appData:get(key) end,
    function(key) appData:set(key, shape.new(bench.turn())) end,
    function(key) appData:update(key, shape.gain, newcomer) end,
  }
  for _ = 1, event.tasks do
    bot.spawn(function()
      local began = bench.now()
      while began do
        local kind, key = bench.next()
        calls[kind](key)
        began = bench.lap(began)
      end
      running = running - 1
      if running == 0 then finished() end
    end)
  end
end)
