-- luacheck: ignore
---- a pattern that backtracks
(("a"):rep(100000) .. "b"):find(("a*"):rep(20) .. "c")
---- blanks at the end
local s = (" "):rep(1000000) .. "x"
s:match("%s+$")
---- a lazy pattern
(("a"):rep(100000)):find(".-b")
---- a lazy pattern, twice
(("a"):rep(30000)):find(".-.-.-b")
---- gsub with an empty pattern
while true do (("a"):rep(1000000)):gsub("", "x") end
---- gsub with a callback that loops
("x"):gsub(".", function() while true do end end)
---- gsub with a callback that catches
while true do pcall(string.gsub, "x", ".", function() while true do pcall(function() while true do end end) end end) end
---- gsub with a table that loops
("x"):gsub(".", setmetatable({}, {__index = function() while true do end end}))
---- gsub that backtracks
(("a"):rep(50000)):gsub("a*a*a*a*b", "")
---- gmatch that backtracks
for _ in (("a"):rep(50000)):gmatch("a*a*a*a*b") do end
---- gmatch without end
while true do for _ in (("a"):rep(1000)):gmatch(".") do end end
---- captures that are asked again
(("a"):rep(20000)):find("(a*)(a*)%1%2b")
---- balanced without end
(("("):rep(200000)):find("%b()")
---- balanced at every place
while true do (("("):rep(3000)):gsub("%b()", "") end
---- frontier
while true do (("a "):rep(100000)):gsub("%f[%w]%w+%f[%W]", "%0") end
---- sets
while true do (("a"):rep(100000)):find("[^%w%s%p%c]") end
---- plain find in a huge text
local s, w = ("a"):rep(5000000), ("a"):rep(2000000) .. "b"
while true do s:find(w, 1, true) end
---- rep of nothing
while true do (""):rep(1 << 62) end
---- rep of nothing with nothing between
while true do (""):rep(math.maxinteger, "") end
---- rep of too much
("x"):rep(1 << 40)
---- rep to the limit of memory
local t = {}
while true do t[#t + 1] = ("x"):rep(1000000) .. #t end
---- rep with a long separator
("x"):rep(1 << 30, ("y"):rep(1000))
---- format with many conversions
string.format(("%99.99f"):rep(100000), table.unpack({1e308}, 1, 100000))
---- format of long strings, many times
local s = ("x"):rep(4000000)
local t = {}
for i = 1, 200 do t[i] = s end
string.format(("%.3s"):rep(200), table.unpack(t))
---- format in a loop
while true do string.format("%d %s %q %5.2f", 1, "x", "y", 2.5) end
---- format of an object whose tostring loops
string.format("%s", setmetatable({}, {__tostring = function() while true do end end}))
---- concatenation
local s = "x"
while true do s = s .. s end
---- concatenation of many
local s = ("x"):rep(1000)
while true do s = s .. "y" .. s .. "y" .. s end
---- concatenation with a metamethod
while true do local _ = "x" .. setmetatable({}, {__concat = function() while true do end end}) end
---- comparison
local a, b = ("x"):rep(4000000) .. "a", ("x"):rep(4000000) .. "b"
while true do local _ = a < b end
---- utf8
local s = ("\u{10FFFF}"):rep(1000000)
while true do utf8.len(s) end
---- utf8 offset
local s = ("\u{10FFFF}"):rep(1000000)
while true do utf8.offset(s, 900000) end
---- utf8 codepoints
utf8.codepoint(("\u{10FFFF}"):rep(2000000), 1, -1)
---- utf8 codes
while true do for _ in utf8.codes(("x"):rep(100000)) do end end
---- utf8 codes over continuations
local f, s, c = utf8.codes("a" .. ("\x80"):rep(3000000))
while true do pcall(f, s, 1) end
---- byte and char
while true do string.char((("x"):rep(200)):byte(1, -1)) end
---- byte of too many
(("x"):rep(8000000)):byte(1, -1)
---- reverse, upper, lower, sub
local s = ("x"):rep(1000000)
while true do s:reverse():upper():lower():sub(2, -2) end
---- pack
while true do string.pack("s4s4j", ("x"):rep(100000), "y", 1) end
---- unpack of too many
string.unpack(("b"):rep(2000000), ("x"):rep(2000000))
---- a long format of pack
while true do string.packsize(("!16 "):rep(100000)) end
---- tonumber of long texts
local s = ("1"):rep(5000000)
while true do tonumber(s) tonumber(s, 36) end
---- date with a long format
os.date(("%c"):rep(100000))
---- date in a loop
while true do os.date("%c") end
---- time in a loop
while true do os.time {year = 2 ^ 30, month = 1, day = 1} end
---- a pattern too complex
(("("):rep(30)):find(("(.-)"):rep(32) .. "x")
error "refused"
