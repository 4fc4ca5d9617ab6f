-- What the bots share: reading commands, and words for people. A module: `local text = require "lib.text"`.
-- Each script that requires it has a copy of its own.
local text = {}

-- Without the blanks around it. (Not "^%s*(.-)%s*$": that takes for ever on a megabyte of blanks.)
function text.trim(s)
  local first = s:find("%S")
  return first and s:match(".*%S", first) or ""
end

-- The name of the member that an event comes from; nil where it comes from none. (Some programs number their members,
-- and the JSON null that others send is true to Lua.)
function text.member(event)
  local kind = type(event.userId)
  return (kind == "string" or kind == "number") and tostring(event.userId) or nil
end

-- The command of a message and what follows it: "!buy Sword " gives "buy", "Sword". Nothing for any other message.
function text.command(event)
  if not text.member(event) or type(event.text) ~= "string" then return nil end
  local name, behind = event.text:match("^!(%a+)()")
  if not name then return nil end
  return name:lower(), text.trim(event.text:sub(behind))
end

-- Whether a member said something that is not a command.
function text.is_talk(event)
  return text.member(event) ~= nil and not text.command(event)
end

-- For patterns of the store: text from outside stands for itself. Without this, the member "a_b" is also "axb".
function text.escape(s)
  return (tostring(s):gsub("[%%_\\]", "\\%0"))
end

-- 1 coin, 2 coins.
function text.count(n, word)
  return n .. " " .. word .. (n == 1 and "" or "s")
end

-- So many seconds in words: 90 is "1 minute".
function text.span(seconds)
  if seconds < 60 then return text.count(seconds, "second") end
  if seconds < 3600 then return text.count(seconds // 60, "minute") end
  if seconds < 86400 then return text.count(seconds // 3600, "hour") end
  return text.count(seconds // 86400, "day")
end

return text
