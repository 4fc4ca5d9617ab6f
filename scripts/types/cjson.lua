---@meta cjson
-- require "cjson": lua-cjson without its settings. Its numbers have 14 digits; stores do not go through it.

---@class cjson
---@field null moonkeep.Null JSON's null, the same as `moonkeep.null`
---@field _NAME string
---@field _VERSION string
local cjson = {}

---@param value any
---@return string
function cjson.encode(value) end

---@param text string
---@return any
function cjson.decode(text) end

return cjson
