-- A shop, and things that change hands.
--
--   !shop               what there is
--   !buy sword          pays with your coins; everybody begins with 100
--   !inventory          what you have
--   !give @bob sword    moves one of yours to bob
--   !coins              how many you have
--   !work               earns 25 coins, once a minute
--
-- In the store "economy": purse:MEMBER is {coins, owed, worked}, item:NUMBER is {name, owner}, last_item counts.
--
-- A thing has one key of its own, and its owner stands in that value. So a move is one update of one key: it happens
-- or it does not, and of two people who move the same thing at once, the second one is told that it is gone. If each
-- member had a list of things instead, a move would change two keys, and a crash or a second move between the two
-- would lose the thing or double it.
local moonkeep = require "moonkeep"
local text = require "lib.text"

local economy = rootServer.dataStore.economy

local PRICES = {sword = 60, shield = 40, potion = 15}
local WAGE, PAUSE = 25, 60 -- coins, seconds
local NEW_PURSE = {coins = 100, owed = {}, worked = 0}

-- Makes the things that a member has paid for. To buy is to change two keys, the purse and the thing: so the update
-- that takes the coins also writes down what is owed, and whatever is owed is made, at once or after a crash. Doing
-- it twice does nothing more, since the number of the thing is known.
local function hand_over(user)
  for number, name in pairs(economy:get("purse:" .. user, NEW_PURSE).owed) do
    economy:update("item:" .. number, function(item)
      return item or {name = name, owner = user}
    end)
    economy:update("purse:" .. user, function(purse)
      purse.owed[number] = nil
      return purse
    end, NEW_PURSE)
  end
end

bot.on("start", function()
  for key in economy:each("purse:%") do
    hand_over(key:sub(#"purse:" + 1))
  end
end)

local commands = {}

function commands.shop(event)
  local names = {}
  for name in pairs(PRICES) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = name .. " " .. PRICES[name] end
  event:reply("for sale: " .. table.concat(names, ", ") .. " (coins)")
end

function commands.buy(event, name)
  name = name:lower()
  local user, price = text.member(event), PRICES[name]
  if not price then return event:reply("there is no such thing; see !shop") end

  local number = ("%08d"):format(economy:update("last_item", function(n) return n + 1 end, 0))
  local paid = false
  local purse = economy:update("purse:" .. user, function(purse)
    if purse.coins < price then return moonkeep.unchanged end
    purse.coins = purse.coins - price
    purse.owed[number] = name
    paid = true
    return purse
  end, NEW_PURSE)
  if not paid then
    return event:reply(("%s, a %s costs %d and you have %s"):format(user, name, price, text.count(purse.coins, "coin")))
  end
  hand_over(user)
  event:reply(("%s bought a %s and has %s left"):format(user, name, text.count(purse.coins, "coin")))
end

function commands.inventory(event)
  local names = {}
  for _, item in economy:each("item:%") do
    if item.owner == text.member(event) then names[#names + 1] = item.name end
  end
  event:reply(event.userId .. " has " .. (#names > 0 and table.concat(names, ", ") or "nothing"))
end

-- Moves the thing unless somebody else has it by now.
local function move(key, from, to)
  local moved = false
  economy:update(key, function(item)
    if not item or item.owner ~= from then return moonkeep.unchanged end
    item.owner = to
    moved = true
    return item
  end)
  return moved
end

function commands.give(event, rest)
  local from, to, name = text.member(event), rest:match("^@?(%S+)%s+(.+)")
  if not to then return event:reply("like this: !give @bob sword") end
  if to == from then return event:reply(from .. ", you have it already") end
  name = name:lower()
  for key, item in economy:each("item:%") do
    if item.name == name and item.owner == from and move(key, from, to) then
      return event:reply(("%s gave %s a %s"):format(from, to, name))
    end
  end
  event:reply(("%s, you have no %s to give"):format(from, name))
end

function commands.coins(event)
  local purse = economy:get("purse:" .. event.userId, NEW_PURSE)
  event:reply(("%s has %s"):format(event.userId, text.count(purse.coins, "coin")))
end

-- The time of the last work stands in the same value as the coins: the pause and the wage are one change.
function commands.work(event)
  local paid = false
  local purse = economy:update("purse:" .. event.userId, function(purse)
    if os.time() - purse.worked < PAUSE then return moonkeep.unchanged end
    purse.coins, purse.worked = purse.coins + WAGE, os.time()
    paid = true
    return purse
  end, NEW_PURSE)
  local said = paid and "%s worked and has %s" or "%s, have a rest first: you have %s"
  event:reply(said:format(event.userId, text.count(purse.coins, "coin")))
end

bot.on("message", function(event)
  local name, rest = text.command(event)
  if commands[name] then commands[name](event, rest) end
end)
