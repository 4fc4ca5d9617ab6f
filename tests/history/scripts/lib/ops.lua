-- The operations of the workload. Each says what it is about to call before it does, and what came back after; the
-- lines go to the recorder of the test (history.h has their form), which adds the time and keeps them where a kill
-- does not reach.
local moonkeep = require "moonkeep"

local ops = {}
local stores = {appData = appData, bucket = rootServer.dataStore.bucket}
local store_names = {"appData", "bucket"}
local keys = {"a:1", "a:2", "a:3", "b:1", "b:2", "c"}
local patterns = {"a:%", "b:%", "%:1", "_:2", "%", "c"}
local random = math.random

local next_id, step

-- Numbers the operations first, first + by, …
function ops.begin(seed, first, by)
  math.randomseed(seed)
  next_id, step = first, by
end

local function called(what, ...)
  local id = next_id
  next_id = id + step
  print(("+ %d " .. what):format(id, ...))
  return id
end

local function returned(id, text) print("- " .. id .. " " .. text) end

-- Calls fn and says what it makes of the answer, or why there is none.
local function run(id, fn)
  local ok, result = pcall(fn)
  if not ok then result = "error " .. tostring(result) end
  returned(id, result)
end

-- Every value names the operation that wrote it, its key, and the operation whose value that one replaced. Some are
-- long, so that pages, groups and caches of all sizes come up.
local function value(id, key, saw)
  return {w = id, k = key, saw = saw, pad = random(8) == 1 and ("x"):rep(random(2000)) or nil}
end

-- Which operation wrote this value; 0: there is none.
local function writer(key, v)
  if v == nil then return 0 end
  if v.k ~= key then error("the value of " .. tostring(v.k) .. " in " .. key, 0) end
  return v.w
end

local function a_store()
  local name = store_names[random(#store_names)]
  return name, stores[name]
end

local function a_key() return keys[random(#keys)] end

-- Half of what is written expires: by ttl or by a whole second, sooner or later.
local function an_expiry()
  local which = random(8)
  if which == 1 then
    local at = os.time() + random(0, 1)
    return {expires_at = at}, at * 1000
  elseif which <= 4 then
    local ms = random(1, 60)
    return {ttl = ms / 1000}, "+" .. ms
  end
  return nil, "0"
end

function ops.get()
  local name, store = a_store()
  local key = a_key()
  local id = called("get %s %s", name, key)
  run(id, function() return writer(key, store:get(key)) end)
end

function ops.set()
  local name, store = a_store()
  local key = a_key()
  local options, expiry = an_expiry()
  local id = called("set %s %s %s", name, expiry, key)
  run(id, function()
    store:set(key, value(id, key), options)
    return ""
  end)
end

-- Two or three keys with one tag.
function ops.list()
  local name, store = a_store()
  local options, expiry = an_expiry()
  local first, rows, said = random(#keys), {}, {}
  for i = 1, random(2, 3) do
    local key = keys[(first + i * 2) % #keys + 1]
    rows[i], said[i] = {key = key, ttl = options and options.ttl, expires_at = options and options.expires_at}, key
  end
  local id = called("set %s %s %s", name, expiry, table.concat(said, " "))
  for _, row in ipairs(rows) do row.value = value(id, row.key) end
  run(id, function()
    store:set(rows)
    return ""
  end)
end

local hows = {"write", "write", "write", "write", "keep", "drop", "raise", "nothing"}

function ops.update()
  local name, store = a_store()
  local key, how = a_key(), hows[random(#hows)]
  local options, expiry = nil, "0"
  if random(3) == 1 then options, expiry = an_expiry() end
  local id = called("update %s %s %s %s", name, key, how, expiry)
  local mine = {}
  local function fn(current)
    local saw = writer(key, current)
    print("~ " .. id .. " " .. saw)
    if how == "write" then return value(id, key, saw) end
    if how == "keep" then return moonkeep.unchanged end
    if how == "drop" then return moonkeep.absent end
    if how == "raise" then error(mine, 0) end
  end
  run(id, function()
    local ok, result = pcall(store.update, store, key, fn, nil, options)
    if ok then return writer(key, result) end
    local expected = how == "raise" and result == mine or how == "nothing" and result.code == "invalid_value"
    return expected and "raised" or error(result, 0)
  end)
end

function ops.delete()
  local name, store = a_store()
  local key = a_key()
  local id = called("delete %s %s", name, key)
  run(id, function() return store:delete(key) and 1 or 0 end)
end

function ops.deleteLike()
  local name, store = a_store()
  local pattern = patterns[random(#patterns)]
  local id = called("deleteLike %s %s", name, pattern)
  run(id, function() return store:deleteLike(pattern) end)
end

-- "key=writer:expiry", with the expiry in milliseconds.
local function row_text(key, v, expires_at)
  return ("%s=%d:%d"):format(key, writer(key, v), math.floor((expires_at or 0) * 1000 + 0.5))
end

local function rows_text(rows, text)
  local said = {}
  for i, row in ipairs(rows) do said[i] = text(row) end
  return table.concat(said, " ")
end

-- What the recorder sees of each kind of scan: keys show no writers, values no expiries, and "-" is what is not seen.
local scans = {
  select = function(row) return row_text(row.key, row.value, row.expires_at) end,
  selectValue = function(v) return ("%s=%d:-"):format(v.k, v.w) end,
  keys = function(key) return key .. "=-:-" end,
}

local function scan(kind, name, pattern, options)
  local store = stores[name]
  local id = called("%s %s %s %d %s", kind, name, pattern, options.limit or 0, options.after or ".")
  run(id, function() return rows_text(store[kind](store, pattern, options), scans[kind]) end)
end

local function a_range()
  return {limit = random(3) == 1 and random(4) or nil, after = random(3) == 1 and a_key() or nil}
end

for kind in pairs(scans) do
  ops[kind] = function()
    scan(kind, store_names[random(#store_names)], patterns[random(#patterns)], a_range())
  end
end

function ops.count()
  local name, store = a_store()
  local pattern = patterns[random(#patterns)]
  local id = called("count %s %s", name, pattern)
  run(id, function() return store:count(pattern) end)
end

function ops.each()
  local name, store = a_store()
  local pattern = patterns[random(#patterns)]
  local id = called("each %s %s", name, pattern)
  run(id, function()
    local said = {}
    for key, v in store:each(pattern) do said[#said + 1] = ("%s=%d:-"):format(key, writer(key, v)) end
    return table.concat(said, " ")
  end)
end

-- Everything, store by store: what a host finds when it begins.
function ops.look()
  for _, name in ipairs(store_names) do scan("select", name, "%", {}) end
end

return ops
