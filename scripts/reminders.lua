-- Reminders that survive a restart.
--
--   !remind 10m take the bread out     s, m, h or d; at most a year
--   !reminders                         yours, the next one first
--
-- In the store: reminder:MEMBER:NUMBER is {due, channel, user, text}, due in seconds since 1970; last_reminder counts.
-- The store is the truth and timers only wake us: what has no timer yet gets one at the start.
local text = require "lib.text"

local UNITS = {s = 1, m = 60, h = 3600, d = 86400}
local LONGEST = 365 * UNITS.d

local waiting = {} -- by key: so that no reminder is set up twice

-- Sends, then deletes. A crash between the two brings the reminder again at the next start: rather twice than never.
-- The other way round it would be lost.
local function deliver(key, note)
  local reminder = appData:get(key)
  if reminder then
    bot.send(reminder.channel, ("%s, you wanted to be reminded: %s%s"):format(reminder.user, reminder.text, note))
    appData:delete(key)
  end
  waiting[key] = nil
end

local function set_up(key, due)
  if waiting[key] then return end
  waiting[key] = true
  local seconds = due - os.time()
  if seconds > 0 then
    bot.after(seconds, function() deliver(key, "") end)
  else
    local ago = seconds < 0 and text.span(-seconds) .. " ago" or "just now"
    bot.spawn(deliver, key, (" (that was due %s; I was away)"):format(ago))
  end
end

bot.on("start", function()
  for key, reminder in appData:each("reminder:%") do set_up(key, reminder.due) end
end)

local commands = {}

function commands.remind(event, rest)
  local amount, unit, what = rest:match("^(%d+)%s*([smhd])%s+(.+)")
  local seconds = amount and tonumber(amount) * UNITS[unit]
  if not seconds or seconds < 1 then return event:reply("like this: !remind 10m take the bread out (s, m, h or d)") end
  if seconds > LONGEST then return event:reply("a year is the longest that I can think ahead") end

  local number = appData:update("last_reminder", function(n) return n + 1 end, 0)
  local key = ("reminder:%s:%08d"):format(event.userId, number)
  local due = os.time() + seconds
  appData:set(key, {due = due, channel = event.channel, user = event.userId, text = what})
  set_up(key, due)
  event:reply(("%s, I will remind you in %s"):format(event.userId, text.span(seconds)))
end

function commands.reminders(event)
  -- Exactly eight characters behind the name, so that "ann" does not get those of "ann:b" too.
  local mine = appData:selectValue("reminder:" .. text.escape(event.userId) .. ":" .. ("_"):rep(8))
  if #mine == 0 then return event:reply(event.userId .. ", you have no reminders") end
  table.sort(mine, function(a, b) return a.due < b.due end)
  local lines = {}
  for i, reminder in ipairs(mine) do
    lines[i] = ("in %s: %s"):format(text.span(math.max(0, reminder.due - os.time())), reminder.text)
  end
  event:reply(table.concat(lines, "\n"))
end

bot.on("message", function(event)
  local name, rest = text.command(event)
  if commands[name] then commands[name](event, rest) end
end)
