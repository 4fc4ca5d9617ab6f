-- Greets newcomers and counts what members say.
--
--   !stats     how much you have said, and everybody
--   !help      what the bots of this folder can do
--
-- In the store: member:MEMBER is {messages, since}; commands count as messages too.
local text = require "lib.text"

local HELP = [[
!rank, !leaderboard
!remind 10m take the bread out, !reminders
!shop, !buy sword, !inventory, !give @bob sword, !coins, !work
!poll Tea or coffee? | Tea | Coffee, !vote 2, !results, !close
!stats, !help]]

-- Counts a message and gives what is known about the member now. Of several first messages at once, update() lets
-- exactly one see the number 1.
local function count(user)
  return appData:update("member:" .. user, function(member)
    member.messages = member.messages + 1
    return member
  end, {messages = 0, since = os.time()})
end

local commands = {}

function commands.stats(event, member)
  local messages, members = 0, 0
  for _, other in appData:each("member:%") do
    messages, members = messages + other.messages, members + 1
  end
  event:reply(("%s: %s since %s; all together %s by %s"):format(event.userId, text.count(member.messages, "message"),
    os.date("%Y-%m-%d", member.since), text.count(messages, "message"), text.count(members, "member")))
end

function commands.help(event)
  event:reply(HELP)
end

bot.on("message", function(event)
  local user = text.member(event)
  if not user then return end
  local member = count(user)
  if member.messages == 1 then event:reply(("Welcome, %s! Type !help to see what we can do."):format(user)) end
  local command = commands[text.command(event)]
  if command then command(event, member) end
end)
