-- What players get without asking: the bag that everybody begins with, and what is found on those who fell.
local moonkeep = require "moonkeep"
local bags = require "lib.bags"
local game = require "server.game"

local arena = rootServer.dataStore.arena

local BOUNTY = 10 -- coins

-- Who comes back has a bag already. The player's program goes on counting its requests where the store has stopped.
bot.on("joined", function(event)
  arena:update("bag:" .. event.player, function(bag)
    if bag then return moonkeep.unchanged end
    bag = bags.empty()
    bags.earn(bag, 100)
    bags.find(bag, event.player)
    bags.find(bag, event.player)
    return bag
  end)
  local last = arena:get("asked:" .. event.player, {number = 0})
  game.tell(event.player, "hello " .. last.number)
end)

bot.on("killed", function(event)
  local item
  local bag = arena:update("bag:" .. event.by, function(bag)
    item = bags.find(bag, event.by)
    bags.earn(bag, BOUNTY)
    return bag
  end, bags.empty())
  game.tell(event.by, ("told found %s %s on %s"):format(item, bag.items[item].kind, event.player))
end)
