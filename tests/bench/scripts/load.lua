-- moonkeep's load of `make bench`: an event says what to do. The table `bench` is the bench's own
-- (tests/bench/tools.c): what to do with which key, and the stopwatch.
--
--   {"event":"fill","shape":"object","keys":100000}
--   {"event":"warm","keys":100000}                       every key is read once, uncounted
--   {"event":"load","shape":"object","tasks":64}         until the stopwatch says that it is over
--   {"event":"cached","shape":"object","seconds":1}      get of keys in the cache, a second
--   {"event":"uncached","from":1,"keys":…,"seconds":1}   get of keys that were not read before, a second
--   {"event":"select","pattern":"user:0012%","seconds":1}   how many milliseconds one takes
local shapes = require "lib.shapes"

local LIST = 1000 -- rows in one `set`

local function finished(answer) bot.act { action = "finished", answer = answer } end

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

-- Calls work() until the time is over, giving way in between; how many microseconds that took, and how often.
local function measure(seconds, work)
  local began, turns = bench.now(), 0
  local over = began + seconds * 1000000
  repeat
    work()
    turns = turns + 1
    bot.sleep(0)
  until bench.now() >= over
  return bench.now() - began, turns
end

bot.on("cached", function(event)
  local store, keys = rootServer.dataStore[event.shape], {}
  for i = 1, 1000 do
    keys[i] = bench.name(i)
    store:set(keys[i], shapes[event.shape].new(i))
  end
  local took, turns = measure(event.seconds, function()
    for i = 1, 1000 do
      store:get(keys[i])
    end
  end)
  finished(turns * 1000 * 1000000 / took)
end)

bot.on("uncached", function(event)
  local at, running, reads = event.from, 64, 0
  local began = bench.now()
  local over = began + event.seconds * 1000000
  for _ = 1, running do
    bot.spawn(function()
      while bench.now() < over do
        at = (at + event.stride) % event.keys
        reads = reads + 1
        appData:get(bench.name(at))
      end
      running = running - 1
      if running == 0 then finished(reads * 1000000 / (bench.now() - began)) end
    end)
  end
end)

bot.on("select", function(event)
  local took, turns = measure(event.seconds, function() assert(#appData:select(event.pattern) == 10000) end)
  finished(took / turns / 1000)
end)
