-- What a hit costs. The store is asked in the middle of it: what is in its cache is there at once, so that the damage
-- is done in the tick in which the hit was made.
local bags = require "lib.bags"
local game = require "server.game"

local arena = rootServer.dataStore.arena

local STRENGTH = {sword = 8, bow = 6, ring = 3}
local PROTECTION = {shield = 5, boots = 2}

-- The best that a bag has of these.
local function best(bag, values)
  local found = 0
  for _, item in pairs(bag.items) do
    found = math.max(found, values[item.kind] or 0)
  end
  return found
end

bot.on("hit", function(event)
  local attack = best(arena:get("bag:" .. event.by, bags.empty()), STRENGTH)
  local defence = best(arena:get("bag:" .. event.player, bags.empty()), PROTECTION)
  local amount = math.max(1, 15 + attack - defence - event.distance // 2)
  if game.hurt(event.player, math.tointeger(amount)) then
    bot.emit("killed", {by = event.by, player = event.player})
  end
end)
