-- The values of the bench, and what an update makes of them: the same text runs in moonkeep, Redis, Tarantool and
-- plain Lua, and so does without what 5.1 has not. (Redis has no `math` before its functions run.)
return {
  counter = {
    new = function(n) return n end,
    gain = function(n) return n + 1 end,
  },
  object = {
    new = function(n)
      return {
        xp = n,
        level = math.floor(n / 100),
        name = "a member of the guild",
        items = { 1, 2, 3 },
        last = 1700000000 + n,
        active = true,
      }
    end,
    gain = function(member)
      member.xp = member.xp + 50
      member.level = math.floor(member.xp / 100)
      member.last = member.last + 1
      return member
    end,
  },
  document = {
    new = function(n)
      local items = {}
      for i = 1, 32 do
        items[i] = { id = 1000 + i, name = "sword of dawn", wear = 0.5, rare = false }
      end
      return { gold = n, saved = 1700000000 + n, items = items }
    end,
    gain = function(inventory)
      inventory.gold = inventory.gold + 1
      inventory.saved = inventory.saved + 1
      return inventory
    end,
  },
}
