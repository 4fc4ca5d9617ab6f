test("a poll is opened, voted in and closed", function()
  test.equal(test.say("ann", "!poll Tea or coffee? | Tea | Coffee"),
    {"Tea or coffee?\n1. Tea: 0 votes\n2. Coffee: 0 votes\nVote with !vote and a number."})
  test.equal(test.say("bob", "!vote 2"), {"bob votes for Coffee"})
  test.equal(test.say("cat", "!close"), {"only ann can close this poll"})
  test.equal(test.say("ann", "!close"), {"The poll is closed. Tea or coffee?\n1. Tea: 0 votes\n2. Coffee: 1 vote"})
  test.equal(test.say("bob", "!vote 1"), {"there is no poll here"})
end)

test("a member's later vote replaces the earlier one", function()
  test.say("ann", "!poll Tea? | Yes | No")
  test.say("bob", "!vote 1")
  test.say("bob", "!vote 2")
  test.equal(test.say("bob", "!results"), {"Tea?\n1. Yes: 0 votes\n2. No: 1 vote"})
end)

test("each channel has a poll of its own", function()
  test.say("ann", "!poll Tea? | Yes | No", "kitchen")
  test.equal(test.say("ann", "!results", "hall"), {"there is no poll here"})
  test.contains(test.say("bob", "!poll Coffee? | Yes | No", "kitchen"), "there is a poll already: Tea?")
end)

test("a vote is a number of the list", function()
  test.say("ann", "!poll Tea? | Yes | No")
  for _, vote in ipairs{"3", "0", "tea", "1.5", ""} do
    test.equal(test.say("bob", "!vote " .. vote), {"vote with a number from 1 to 2"}, vote)
  end
end)
