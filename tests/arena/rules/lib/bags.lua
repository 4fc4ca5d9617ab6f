-- What a player owns. In the store "arena", bag:PLAYER is
--
--   {coins = 110, earned = 60, found = 3, items = {["ann-1"] = {kind = "sword", moves = 0}, …}}
--
-- `earned` and `found` count what has come into the game with this player, and never what was traded. So a thing has
-- a name that no other ever gets, without a counter that everybody would have to change; and the coins and the items of
-- all bags are what all players have earned and found, or somebody has cheated (audit/audit.lua adds it up).
local bags = {}

local KINDS = {"sword", "shield", "bow", "ring", "boots"}

function bags.empty()
  return {coins = 0, earned = 0, found = 0, items = {}}
end

-- Puts a new thing into the bag and returns its name.
function bags.find(bag, player)
  bag.found = bag.found + 1
  local item = player .. "-" .. bag.found
  bag.items[item] = {kind = KINDS[bag.found % #KINDS + 1], moves = 0}
  return item
end

function bags.earn(bag, coins)
  bag.coins = bag.coins + coins
  bag.earned = bag.earned + coins
end

return bags
