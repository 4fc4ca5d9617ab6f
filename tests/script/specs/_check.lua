-- A few words for specs: test("what it promises", function() … end), and the checks below. The tests of a file run
-- one after another in its `start` handler, each a task of its own sort: they may wait.
local check = {}
local tests = {}

local function show(value)
  if type(value) == "string" then return string.format("%q", value) end
  if type(value) ~= "table" or getmetatable(value) ~= nil then return tostring(value) end
  local parts = {}
  for k, v in pairs(value) do parts[#parts + 1] = "[" .. show(k) .. "]=" .. show(v) end
  table.sort(parts)
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

function check.same(got, want)
  if not same(got, want) then error("got " .. show(got) .. ", want " .. show(want), 2) end
end

function check.yes(value, what)
  if not value then error(what or "it is not so", 2) end
end

-- The call raises an error object with this code, whose message contains the text; gives the object back.
function check.raises(code, text, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error("nothing was raised", 2) end
  if type(err) ~= "table" then error("raised " .. show(err), 2) end
  if err.code ~= code then error("code is " .. show(err.code) .. ": " .. tostring(err), 2) end
  if not err.message:find(text, 1, true) then error("message is " .. show(err.message), 2) end
  return err
end

-- The call raises a plain error that contains the text.
function check.fails(text, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error("nothing was raised", 2) end
  if not tostring(err):find(text, 1, true) then error("raised " .. show(err), 2) end
end

function check.test(name, fn)
  tests[#tests + 1] = {name = name, fn = fn}
end

rootServer.lifecycle.start(function()
  for _, test in ipairs(tests) do
    local ok, err = pcall(test.fn)
    bot.act {action = ok and "passed" or "failed", name = test.name, error = not ok and tostring(err) or nil}
  end
  bot.act {action = "finished", count = #tests}
end)

return check
