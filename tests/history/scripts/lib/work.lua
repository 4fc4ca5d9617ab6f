-- Tasks that go on calling operations, chosen by chance, until the event "over".
local ops = require "lib.ops"

-- Where a call can be made from: it waits in the first three, and blocks in the last.
local places = {
  function(op) op() end,
  function(op) pcall(op) end,
  function(op) coroutine.wrap(op)() end,
  function(op) string.gsub("x", "x", function() op() end) end,
}

local function a_place()
  local n = math.random(24)
  return places[n <= #places and n or 1]
end

local function weighed(mix)
  local all = {}
  for name, weight in pairs(mix) do
    for _ = 1, weight do all[#all + 1] = name end
  end
  table.sort(all) -- the same for the same seed
  return all
end

-- number: of the script, from 0; mix: how many parts of each operation; tasks: how many at once.
return function(number, tasks, mix)
  local names = weighed(mix)
  local going = true

  local function task()
    while going do
      a_place()(ops[names[math.random(#names)]])
      if math.random(16) == 1 then bot.sleep(math.random(0, 20) / 1000) end
    end
  end

  bot.on("begin", function(event)
    ops.begin(event.seed + number, event.first + number, event.by)
    for _ = 1, tasks do bot.spawn(task) end
  end)

  bot.on("over", function() going = false end)
end
