-- The load of `make bench`: an event says what to do, with values of which shape, in how many tasks. The table `bench`
-- is the bench's own (tests/bench/moon.c): keys to use, and the stopwatch, which says when it is over.
--
--   {"event":"load","op":"update","shape":"object","tasks":64}
local KEYS = 100000

local shapes = {
  counter = {
    new = function(n) return n end,
    gain = function(n) return n + 1 end,
  },
  object = {
    new = function(n)
      return {
        xp = n,
        level = n // 100,
        name = "a member of the guild",
        items = { 1, 2, 3 },
        last = 1700000000 + n,
        active = true,
      }
    end,
    gain = function(member)
      member.xp = member.xp + 50
      member.level = member.xp // 100
      member.last = member.last + 1
      return member
    end,
  },
  document = {
    new = function(n)
      local items = {}
      for i = 1, 32 do
        items[i] = { id = 1000 + i, name = "sword of dawn", wear = 0.5, rare = false }
      end
      return { gold = n, saved = 1700000000 + n, items = items }
    end,
    gain = function(inventory)
      inventory.gold = inventory.gold + 1
      inventory.saved = inventory.saved + 1
      return inventory
    end,
  },
}

local turn = 0
local ops = {
  update = function(shape)
    local newcomer = shape.new(0)
    return function(key) appData:update(key, shape.gain, newcomer) end
  end,
  set = function(shape)
    return function(key)
      turn = turn + 1
      appData:set(key, shape.new(turn))
    end
  end,
  get = function()
    return function(key) appData:get(key) end
  end,
}

local function fill(shape)
  for first = 0, KEYS - 1, 1000 do
    local rows = {}
    for i = 1, 1000 do
      rows[i] = { key = bench.name(first + i - 1), value = shape.new(0) }
    end
    appData:set(rows)
  end
  bot.act { action = "loaded" }
end

bot.on("load", function(event)
  local shape, running = shapes[event.shape], event.tasks
  if event.op == "fill" then return fill(shape) end
  local op = ops[event.op](shape)
  for _ = 1, event.tasks do
    bot.spawn(function()
      local began = bench.now()
      while began do
        op(bench.key())
        began = bench.lap(began)
      end
      running = running - 1
      if running == 0 then bot.act { action = "loaded" } end
    end)
  end
end)
