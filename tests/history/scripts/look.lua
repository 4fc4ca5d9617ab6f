-- Says what the stores hold, before anybody else begins.
local ops = require "lib.ops"

bot.on("look", function(event)
  ops.begin(event.seed, event.first, event.by)
  ops.look()
  print "= looked"
end)
