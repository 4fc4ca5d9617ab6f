-- What a large store is put through: events say what, and an action tells what came of it.
--
--   {"event":"fill","keys":1000000}                               rows of about 100 bytes, in lists, in key order
--   {"event":"scan"}                                              all of it with each
--   {"event":"update","tasks":1000,"calls":100000,"keys":1000000}   at random
local LIST = 2000
local name = ("a member of the guild"):rep(3)

local function key(n) return string.format("user:%08d", n) end
local function member(n) return { xp = n, name = name, last = 1700000000 + n } end

bot.on("fill", function(event)
  local rows = {}
  for n = 1, event.keys do
    rows[#rows + 1] = { key = key(n), value = member(n) }
    if #rows == LIST or n == event.keys then
      appData:set(rows)
      rows = {}
    end
  end
  bot.act { action = "filled" }
end)

bot.on("scan", function()
  local rows, xp, last = 0, 0, ""
  for k, value in appData:each("%") do
    assert(k > last)
    rows, xp, last = rows + 1, xp + value.xp, k
  end
  bot.act { action = "scanned", rows = rows, xp = xp }
end)

local function gain(it)
  it.xp = it.xp + 1
  return it
end

bot.on("update", function(event)
  local left, running = event.calls, event.tasks
  for _ = 1, event.tasks do
    bot.spawn(function()
      while left > 0 do
        left = left - 1
        appData:update(key(math.random(event.keys)), gain)
      end
      running = running - 1
      if running == 0 then bot.act { action = "updated" } end
    end)
  end
end)
