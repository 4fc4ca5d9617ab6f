-- Adds up what the arena has in its store, and compares it with what its players were told:
--
--   moonkeep run tests/arena/audit --data DATA < TOLD
--
-- TOLD has a line for each word to a player, {"event":"told","player":"p7","text":"answer 3 bought p1-2 4"}, and at
-- the end {"event":"audit"}. For each thing that is wrong there is an action "wrong", and at last one "audited".
local arena = rootServer.dataStore.arena

local told = {} -- player → number → answer
local moved = {} -- "p1-2 4" → who has got p1-2 with its fourth move
local found = {} -- item → who was told that he has found it
local words = 0

local function wrong(format, ...)
  bot.act{action = "wrong", text = format:format(...)}
end

local function same(what, where, key, value)
  if where[key] and where[key] ~= value then
    wrong("%s: told %q and %q", what .. key, where[key], value)
  end
  where[key] = value
end

bot.on("told", function(event)
  words = words + 1
  local player, text = event.player, event.text
  local number, answer = text:match("^answer (%d+) (.+)$")
  if number and not (answer:match("^bag ") or answer:match("^top ")) then
    told[player] = told[player] or {}
    same(player .. ", request ", told[player], math.tointeger(tonumber(number)), answer)
    local move = answer:match("^bought (%S+ %d+)$")
    if move then same("who has bought ", moved, move, player) end
  end
  local item = text:match("^told found (%S+)")
  if item then same("who has found ", found, item, player) end
end)

local function read_bags()
  local owners, items, all = {}, {}, {coins = 0, earned = 0, found = 0, items = 0}
  for key, bag in arena:each("bag:%") do
    local player = key:sub(#"bag:" + 1)
    if bag.coins < 0 then wrong("%s owes %d coins", player, -bag.coins) end
    for _, count in ipairs{"coins", "earned", "found"} do all[count] = all[count] + bag[count] end
    for item, thing in pairs(bag.items) do
      if owners[item] then wrong("%s is in the bags of %s and %s", item, owners[item], player) end
      owners[item], items[item] = player, thing
      all.items = all.items + 1
    end
  end
  return owners, items, all
end

local function check_items(owners, items)
  for item, thing in pairs(items) do
    local finder, number = item:match("^(%w+)%-(%d+)$")
    local bag = finder and arena:get("bag:" .. finder)
    if not bag or tonumber(number) > bag.found then wrong("nobody has ever found %s", item) end
    local buyer = moved[item .. " " .. thing.moves]
    if buyer and buyer ~= owners[item] then
      wrong("%s was told that he has %s, %s has it", buyer, item, owners[item])
    end
  end
  for item, player in pairs(found) do
    if not owners[item] then wrong("%s was told that he has found %s, it is nowhere", player, item) end
  end
  for move, player in pairs(moved) do
    local item, number = move:match("^(%S+) (%d+)$")
    if not items[item] or items[item].moves < tonumber(number) then
      wrong("%s was told that he has bought %s, which never was", player, item)
    end
  end
end

-- The newest answer that a player was told is the one that the store has, or the store has a newer one.
local function check_answers()
  for player, answers in pairs(told) do
    local last = arena:get("asked:" .. player, {number = 0})
    for number, answer in pairs(answers) do
      if number > last.number then
        wrong("%s was answered request %d, the store knows %d", player, number, last.number)
      end
      if number == last.number and answer ~= last.answer then
        wrong("%s was told %q, the store has %q", player, answer, last.answer)
      end
    end
  end
end

bot.on("audit", function()
  local owners, items, all = read_bags()
  if all.items ~= all.found then wrong("%d items were found, %d are there", all.found, all.items) end
  if all.coins ~= all.earned then wrong("%d coins were earned, %d are there", all.earned, all.coins) end
  check_items(owners, items)
  check_answers()
  local moves = 0
  for _, thing in pairs(items) do moves = moves + thing.moves end
  bot.act{action = "audited", items = all.items, coins = all.coins, moves = moves, words = words}
end)
