-- Experience points for talking.
--
--   !rank            your points, level and place
--   !leaderboard     the ten with the most
--
-- In the store: xp:MEMBER is a number.
local text = require "lib.text"

local AWARD = 50 -- for each message; commands earn nothing

local function level_of(xp)
  return 1 + math.floor(math.sqrt(xp / 100)) -- level 2 at 100, 3 at 400, 4 at 900
end

-- update() gives every message a total of its own, however many come at once: so no point is lost, and exactly one
-- message sees the total that crosses the line to the next level.
local function award(event)
  local xp = appData:update("xp:" .. event.userId, function(xp) return xp + AWARD end, 0)
  if level_of(xp) > level_of(xp - AWARD) then
    event:reply(("%s is now level %d!"):format(event.userId, level_of(xp)))
  end
end

-- Everybody, the most points first.
local function ranking()
  local members = {}
  for key, xp in appData:each("xp:%") do
    members[#members + 1] = {name = key:sub(#"xp:" + 1), xp = xp}
  end
  table.sort(members, function(a, b)
    if a.xp ~= b.xp then return a.xp > b.xp end
    return a.name < b.name
  end)
  return members
end

local commands = {}

function commands.rank(event)
  for place, member in ipairs(ranking()) do
    if member.name == text.member(event) then
      local line = ("%s: level %d with %d XP, place %d"):format(member.name, level_of(member.xp), member.xp, place)
      return event:reply(line)
    end
  end
  event:reply(event.userId .. " has no XP yet: say something")
end

function commands.leaderboard(event)
  local lines = {}
  for place, member in ipairs(ranking()) do
    if place > 10 then break end
    lines[place] = ("%d. %s, level %d, %d XP"):format(place, member.name, level_of(member.xp), member.xp)
  end
  event:reply(#lines > 0 and table.concat(lines, "\n") or "nobody has said anything yet")
end

bot.on("message", function(event)
  if text.is_talk(event) then return award(event) end
  local command = commands[text.command(event)]
  if command then command(event) end
end)
