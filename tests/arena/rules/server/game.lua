-- Stands in for the server in `moonkeep test`: what would be done there are actions here, which tests see. In the arena
-- the functions are the server's own (rules.c), and this file is not read.
local game = {}

function game.hurt(player, amount)
  bot.act{action = "hurt", player = player, amount = amount}
  return amount >= 100
end

function game.tell(player, text) bot.act{action = "tell", player = player, text = text} end

function game.answer(player, number, text)
  bot.act{action = "answer", player = player, number = number, text = text}
end

return game
