-- Our string and table functions beside Lua's own, with the same random arguments: the same results, the same errors.
-- The globals are lib_test.c's: stock and ours, each with string and table; random(n), from 1 to n; rounds.
-- luacheck: globals stock ours random rounds, no max line length
local unpack, pack = stock.table.unpack, stock.table.pack

local function one_of(list) return list[random(#list)] end

local function text(alphabet, longest)
  local parts = {}
  for i = 1, random(longest + 1) - 1 do parts[i] = one_of(alphabet) end
  return stock.table.concat(parts)
end

local letters = {"a", "b", "c", "a", "b", " ", "\0", "(", ")", "[", "]", "%", "-", "1", "2", ".", "A", "\xff", "_", "\n"}
local pieces = {
  "a", "b", "c", ".", "%a", "%d", "%s", "%w", "%A", "%S", "%p", "%x", "%c", "%l", "%u", "%g", "[ab]", "[^a]", "[a-c]", "[%w_]",
  "[]]", "[^]]", "[a-]", "[%a-]", "%(", "%)", "%%", "%.", "(", ")", "()", "(", ")", "%1", "%2", "%b()", "%bab", "%f[%w]", "%f[^a]",
  "*", "+", "-", "?", "*", "+", "-", "?", "^", "$", "%", "[", "]", "\0", "%z", "[%", "%b", "%f", "-", " ", "1", "\xff", "[\1-\xff]"}

local function subject() return text(letters, 12) end
local function pattern() return (random(6) == 1 and "^" or "") .. text(pieces, 6) .. (random(6) == 1 and "$" or "") end
local function position() return one_of {1, 2, 3, -1, -2, 0, 5, 20, -20, nil, math.maxinteger, math.mininteger} end

local replacements = {
  function() return text({"a", "%1", "%0", "%%", "%2", "x", "%", "%9"}, 4) end,
  function() return {a = "A", b = 1, c = false, ab = "AB", [1] = "one", [" "] = true} end,
  function() return setmetatable({}, {__index = function(_, key) return #tostring(key) > 1 and key or nil end}) end,
  function() return function(...) return select("#", ...) > 1 and (...) or nil end end,
  function() return function(...) return select(-1, ...) end end,
  function() return function() return {} end end,
  function() return one_of {1, 2.5, true, "x"} end}

local function all_matches(lib, ...)
  local found = {}
  for a, b, c in lib.string.gmatch(...) do found[#found + 1] = pack(a, b, c) end
  return found
end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = one_of {1, 2, 3, 1.5, i, -i} end
  return list
end

local function copy(list)
  local new = {}
  for k, v in pairs(list) do new[k] = v end
  return setmetatable(new, getmetatable(list))
end

local function list()
  local t = {}
  for i = 1, random(8) - 1 do t[i] = one_of {"a", "bc", 1, 2.5, "", i} end
  if random(8) == 1 then t[random(4)] = one_of {{}, false} end
  if random(6) == 1 then
    return setmetatable({}, {__index = t, __newindex = function(_, k, v) t[k] = v end, __len = function() return #t + random(2) * 0 end})
  end
  return t
end

-- Each gives the arguments of one call; a function of the library, or of it as a whole.
local calls = {
  find = function() return "find", subject(), pattern(), position(), one_of {nil, false, false, true} end,
  match = function() return "match", subject(), pattern(), position() end,
  gsub = function() return "gsub", subject(), pattern(), one_of(replacements)(), one_of {nil, nil, 0, 1, 2, -1} end,
  gmatch = function() return all_matches, subject(), pattern(), position() end,
  rep = function() return "rep", text(letters, 3), one_of {0, 1, 2, 3, 7, -1, 1000, 2.0, "2"}, one_of {nil, "", ",", "ab"} end,
  format = function() return "format", text({"%d", "%s", "%5.2f", "%q", "%%", "x", "%x", "%-5s", "%i", "%c", "%a", "%", "%y"}, 3),
    one_of {1, "a", 2.5, nil, true}, one_of {"b", 3, nil} end,
  wrong = function() return one_of {"find", "match", "gsub", "gmatch", "rep"}, one_of {nil, 1, true, {}}, one_of {nil, 2, {}, "x"}, one_of {nil, 3, {}, print} end}

local table_calls = {
  concat = function() return "concat", list(), one_of {nil, "", ",", 1}, one_of {nil, 1, 2, 0, -1}, one_of {nil, 1, 2, 3, 9} end,
  insert = function() return "insert", list(), one_of {1, 2, 0, 3, "x", 9}, one_of {"new", 5} end,
  append = function() return "insert", list(), "new" end,
  remove = function() return "remove", list(), one_of {nil, 1, 2, 0, 9, -1} end,
  move = function() return "move", list(), one_of {1, 2, 0, 3}, one_of {0, 1, 3, 5}, one_of {1, 2, 3, 4, -1}, one_of {false, {}} or nil end,
  far = function() return "move", {}, one_of {1, 0, math.mininteger}, math.maxinteger, one_of {2, math.maxinteger} end,
  sort = function() return "sort", numbers(random(300) - 1), one_of {false, function(a, b) return a > b end} or nil end,
  mixed = function() return "sort", {1, "a", 2, "b"} end,
  wrong = function() return one_of {"concat", "insert", "remove", "move", "sort"}, one_of {nil, 1, "x", {}, setmetatable({}, {__len = function() return "x" end})},
    one_of {nil, 2, {}, "x"}, one_of {nil, 3, {}, print}, one_of {nil, 1} end}

local function run(lib, name, ...)
  local fn = type(name) == "string" and lib[name] or name
  return pack(pcall(function(...) local f = fn return f(...) end, ...))
end

local function shown(value, depth)
  if type(value) == "table" and depth < 3 then
    local parts = {}
    for k, v in pairs(value) do parts[#parts + 1] = shown(k, 3) .. "=" .. shown(v, depth + 1) end
    stock.table.sort(parts)
    return "{" .. stock.table.concat(parts, ", ") .. "}"
  elseif type(value) == "string" then
    local normal = stock.string.gsub(value, "to '[^']*'", "to 'it'")
    return stock.string.format("%q", normal)
  elseif type(value) == "number" then
    return math.type(value) .. " " .. tostring(value)
  end
  return type(value)
end

local function compare(which, make)
  local args = pack(make())
  local lib = {stock[which], ours[which]}
  if type(args[1]) == "function" then lib = {stock, ours} end
  local first, second = args, {n = args.n}
  for i = 1, args.n do
    local plain = type(args[i]) == "table" and not getmetatable(args[i])
    second[i] = plain and copy(args[i]) or args[i]
  end
  -- what has a metatable is not copied: only the first of the two calls may change it
  for i = 2, args.n do if type(args[i]) == "table" and getmetatable(args[i]) and which == "table" then return end end
  if type(args[1]) == "function" then
    first, second = {args[1], lib[1], unpack(args, 2, args.n)}, {args[1], lib[2], unpack(args, 2, args.n)}
    first.n, second.n = args.n + 1, args.n + 1
  end
  local want, got = run(lib[1], unpack(first, 1, first.n)), run(lib[2], unpack(second, 1, second.n))
  local a, b = shown(want, 0), shown(got, 0)
  if which == "table" then -- what has become of the arguments
    a, b = a .. shown({unpack(first, 2, first.n)}, 0), b .. shown({unpack(second, 2, second.n)}, 0)
  end
  if a ~= b then error("\nLua  " .. a .. "\nours " .. b .. "\nof   " .. tostring(args[1]) .. shown({unpack(args, 2, args.n)}, 0), 0) end
end

local string_names, table_names = {}, {}
for name in pairs(calls) do string_names[#string_names + 1] = name end
for name in pairs(table_calls) do table_names[#table_names + 1] = name end
stock.table.sort(string_names)
stock.table.sort(table_names)
for _ = 1, rounds do
  compare("string", calls[one_of(string_names)])
  if random(4) == 1 then compare("table", table_calls[one_of(table_names)]) end
end
