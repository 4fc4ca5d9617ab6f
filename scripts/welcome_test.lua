test("a newcomer is greeted once", function()
  test.equal(test.say("ann", "hello"), {"Welcome, ann! Type !help to see what we can do."})
  test.equal(test.say("ann", "hello again"), {})
end)

test("messages are counted since the first one", function()
  test.say("ann", "hello")
  test.say("bob", "hello")
  test.advance(86400)
  test.equal(test.say("ann", "!stats"),
    {"ann: 2 messages since " .. os.date("%Y-%m-%d", os.time() - 86400) .. "; all together 3 messages by 2 members"})
end)

test("what comes from no member is left alone", function()
  test.equal(test.emit{event = "message", channel = "general", text = "from a machine"}, {})
  test.equal(appData:count("%"), 0)
end)
