-- One update of a key for each event, as a rule of a game would make it.
bot.on("work", function(event)
  appData:update(event.key, function(player)
    player.coins = player.coins + 1
    return player
  end, {coins = 0, name = event.key, items = {"sword", "shield"}})
end)
