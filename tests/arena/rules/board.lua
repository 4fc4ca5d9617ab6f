-- Who has won most often: `ask 17 top`. The store has the scores; the best ten are kept in memory too, so that asking
-- costs nothing, however many players there are.
local asks = require "lib.asks"

local arena = rootServer.dataStore.arena

local PLACES = 10
local board = {} -- {player =, score =}, the best first

-- Scores only grow: who is on the board leaves it for somebody who is better.
local function enter(player, score)
  for place, entry in ipairs(board) do
    if entry.player == player then table.remove(board, place) break end
  end
  local place = #board + 1
  while place > 1 and board[place - 1].score < score do place = place - 1 end
  table.insert(board, place, {player = player, score = score})
  board[PLACES + 1] = nil
end

bot.on("start", function()
  for key, score in arena:each("score:%") do enter(key:sub(#"score:" + 1), score) end
end)

bot.on("killed", function(event)
  enter(event.by, arena:update("score:" .. event.by, function(score) return score + 1 end, 0))
end)

asks.look("top", function()
  local lines = {}
  for place, entry in ipairs(board) do
    lines[place] = ("%d %s %d"):format(place, entry.player, entry.score)
  end
  return "top " .. table.concat(lines, ", ")
end)
