-- The load of `make bench`: an event says what to do, with how many tasks and how many calls; `done` ends it.
--
--   {"event":"load","id":1,"op":"update","tasks":64,"calls":20000}
local KEYS = 100000

local function key()
  return string.format("user:%06d", math.random(0, KEYS - 1))
end

local function fresh(n)
  return {
    xp = n,
    level = n // 100,
    name = "a member of the guild",
    items = { 1, 2, 3 },
    last = 1700000000 + n,
    active = true,
  }
end

local function gain(member)
  member.xp = member.xp + 50
  member.level = member.xp // 100
  member.last = member.last + 1
  return member
end

local turn = 0
local newcomer = fresh(0)
local ops = {
  update = function() appData:update(key(), gain, newcomer) end,
  set = function()
    turn = turn + 1
    appData:set(key(), fresh(turn))
  end,
  get = function() appData:get(key()) end,
}

bot.on("load", function(event)
  local op, left, running = ops[event.op], event.calls, event.tasks
  for _ = 1, event.tasks do
    bot.spawn(function()
      while left > 0 do
        left = left - 1
        op()
      end
      running = running - 1
      if running == 0 then bot.act({ action = "loaded", op = event.op }) end
    end)
  end
end)
