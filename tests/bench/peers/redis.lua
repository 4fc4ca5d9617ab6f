-- The functions that Redis runs for an update; tests/bench/redis.c puts scripts/lib/shapes.lua before them, as
-- `shapes`. They answer with a number, not with the new value: that is less to send.
local function register(name)
  local shape = shapes[name]
  redis.register_function(name, function(keys)
    local text = redis.call("GET", keys[1])
    local value = text and cjson.decode(text) or shape.new(0)
    redis.call("SET", keys[1], cjson.encode(shape.gain(value)))
    return 1
  end)
end

register "counter"
register "object"
register "document"
