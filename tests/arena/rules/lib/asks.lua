-- Requests that are done once, however often they come.
--
-- A datagram may be lost in both directions, and the server may be killed at any moment: so a player's program sends a
-- request again, with the same number, until it is answered. The number and the answer are saved in the transaction
-- that does what was asked. When the request comes again, the answer comes out of the store, and nothing is done twice.
local game = require "server.game"

local asks = {}

local arena = rootServer.dataStore.arena

local function words_of(text)
  local words = {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return table.unpack(words)
end

-- fn(tx, player, arguments…) returns the answer, and, where somebody else is to hear of it, his name and the text. It
-- may run more than once, so it only touches tx. An empty purse or a thing that is gone is an answer, not an error.
function asks.on(word, fn)
  bot.on("ask " .. word, function(event)
    local player, number = event.player, event.number
    local answer, other, text = arena:transaction(function(tx)
      local last = tx:get("asked:" .. player, {number = 0})
      if number <= last.number then return number == last.number and last.answer or nil end
      local answer, other, text = fn(tx, player, words_of(event.arguments))
      tx:set("asked:" .. player, {number = number, answer = answer})
      return answer, other, text
    end)
    -- Only now, when it is on disk, does anybody hear of it.
    if answer then game.answer(player, number, answer) end
    if other then game.tell(other, "told " .. text) end
  end)
end

-- The same for what changes nothing: fn(player, arguments…) returns the answer.
function asks.look(word, fn)
  bot.on("ask " .. word, function(event)
    game.answer(event.player, event.number, fn(event.player, words_of(event.arguments)))
  end)
end

return asks
