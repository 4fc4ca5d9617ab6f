-- Polls: one for each channel at a time.
--
--   !poll Tea or coffee? | Tea | Coffee     opens one
--   !vote 2                                 votes, or votes anew
--   !results                                how it stands
--   !close                                  ends it; for whoever opened it
--
-- In the store: poll:CHANNEL is {question, options, votes, by}; votes has the number of an option for each member.
-- A poll is one value, so every vote, and the end, is one update: none is lost, and none comes in after the end.
local moonkeep = require "moonkeep"
local text = require "lib.text"

local MOST = 9 -- options

local function key_of(event)
  return "poll:" .. event.channel
end

local function standing(poll)
  local counts = {}
  for i = 1, #poll.options do counts[i] = 0 end
  for _, choice in pairs(poll.votes) do counts[choice] = counts[choice] + 1 end
  local lines = {poll.question}
  for i, option in ipairs(poll.options) do
    lines[#lines + 1] = ("%d. %s: %s"):format(i, option, text.count(counts[i], "vote"))
  end
  return table.concat(lines, "\n")
end

local commands = {}

function commands.poll(event, rest)
  local options = {}
  for part in rest:gmatch("[^|]+") do
    part = text.trim(part)
    if part ~= "" then options[#options + 1] = part end
  end
  local question = table.remove(options, 1)
  if #options < 2 or #options > MOST then
    return event:reply(("like this: !poll Tea or coffee? | Tea | Coffee (2 to %d options)"):format(MOST))
  end
  local new = {question = question, options = options, votes = {}, by = event.userId}
  local opened = false
  local poll = appData:update(key_of(event), function(poll)
    if poll then return moonkeep.unchanged end
    opened = true
    return new
  end)
  event:reply(opened and standing(poll) .. "\nVote with !vote and a number."
    or ("there is a poll already: %s (!close ends it)"):format(poll.question))
end

function commands.vote(event, rest)
  local choice = math.tointeger(tonumber(rest))
  local taken = false
  local poll = appData:update(key_of(event), function(poll)
    if not poll or not choice or not poll.options[choice] then return moonkeep.unchanged end
    poll.votes[text.member(event)] = choice
    taken = true
    return poll
  end)
  if not poll then return event:reply("there is no poll here") end
  if not taken then return event:reply(("vote with a number from 1 to %d"):format(#poll.options)) end
  event:reply(("%s votes for %s"):format(event.userId, poll.options[choice]))
end

function commands.results(event)
  local poll = appData:get(key_of(event))
  event:reply(poll and standing(poll) or "there is no poll here")
end

function commands.close(event)
  local closed
  local poll = appData:update(key_of(event), function(poll)
    if not poll or poll.by ~= event.userId then return moonkeep.unchanged end
    closed = poll
    return moonkeep.absent
  end)
  if closed then return event:reply("The poll is closed. " .. standing(closed)) end
  event:reply(poll and ("only %s can close this poll"):format(poll.by) or "there is no poll here")
end

bot.on("message", function(event)
  local name, rest = text.command(event)
  if commands[name] then commands[name](event, rest) end
end)
