-- A reward for coming back: `ask 17 daily`, once a day.
local asks = require "lib.asks"
local bags = require "lib.bags"

local REWARD, KEEP = 50, 2 * 24 * 60 * 60 -- coins, seconds

asks.on("daily", function(tx, player)
  local today = os.date("!%Y-%m-%d")
  if tx:get("daily:" .. player) == today then return "refused come back tomorrow" end
  tx:set("daily:" .. player, today, {ttl = KEEP})
  tx:update("bag:" .. player, function(bag)
    bags.earn(bag, REWARD)
    return bag
  end, bags.empty())
  return "got " .. REWARD
end)
