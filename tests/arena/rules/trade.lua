-- Trades between players. One offers, the other accepts:
--
--   ask 17 offer bob ann-1 40      ann would give her ann-1 for 40 coins of bob's; he is told
--   ask 9 accept ann-1             bob takes it, if it is still hers and he has the coins
--   ask 18 bag                     what she has
--
-- A trade changes two bags, an offer and the record of the request. It is a transaction (lib/asks.lua): all of that is
-- on disk, or nothing, whenever the server is killed.
local asks = require "lib.asks"
local bags = require "lib.bags"

local arena = rootServer.dataStore.arena

local OFFER_SECONDS = 60

asks.on("offer", function(tx, player, to, item, price)
  price = math.tointeger(tonumber(price))
  if not price or price < 0 then return "refused like this: offer bob ann-1 40" end
  if to == player then return "refused you have it already" end
  if not tx:get("bag:" .. player, bags.empty()).items[item] then return "refused you have no " .. item end
  if not tx:get("bag:" .. to) then return "refused nobody is called " .. to end
  tx:set("offer:" .. item, {from = player, to = to, price = price}, {ttl = OFFER_SECONDS})
  return "offered " .. item, to, ("offer %s %s %d"):format(player, item, price)
end)

asks.on("accept", function(tx, player, item)
  local offer = item and tx:get("offer:" .. item)
  if not offer or offer.to ~= player then return "refused nobody offers you that" end
  tx:delete("offer:" .. item)
  local seller, buyer = tx:get("bag:" .. offer.from), tx:get("bag:" .. player)
  local thing = seller.items[item]
  if not thing then return "refused it is somebody else's by now" end
  if buyer.coins < offer.price then return "refused you have only " .. buyer.coins end

  seller.items[item], buyer.items[item] = nil, thing
  seller.coins, buyer.coins = seller.coins + offer.price, buyer.coins - offer.price
  thing.moves = thing.moves + 1
  tx:set("bag:" .. offer.from, seller)
  tx:set("bag:" .. player, buyer)
  return ("bought %s %d"):format(item, thing.moves), offer.from, ("sold %s %d"):format(item, thing.moves)
end)

asks.look("bag", function(player)
  local bag = arena:get("bag:" .. player, bags.empty())
  local names = {}
  for name in pairs(bag.items) do names[#names + 1] = name end
  table.sort(names)
  return ("bag %d %s"):format(bag.coins, table.concat(names, " ", 1, math.min(#names, 40)))
end)
