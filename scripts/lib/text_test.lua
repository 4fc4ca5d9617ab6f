local text = require "lib.text"

test("a command is a word behind an exclamation mark, and what follows", function()
  local function command(said) return {text.command{userId = "ann", text = said}} end
  test.equal(command("!buy Sword "), {"buy", "Sword"})
  test.equal(command("!RANK"), {"rank", ""})
  test.equal(command("buy sword"), {})
  test.equal({text.command{text = "!rank"}}, {}) -- from nobody
end)

test("a pattern matches escaped text alone", function()
  for _, said in ipairs{"a_b", "50%", "a\\b"} do
    appData:set(said, true)
    test.equal(appData:keys(text.escape(said)), {said})
  end
end)

test("spans are told in the largest unit", function()
  test.equal(text.span(1), "1 second")
  test.equal(text.span(90), "1 minute")
  test.equal(text.span(7200), "2 hours")
  test.equal(text.span(86400 * 3), "3 days")
end)

test("blanks are trimmed", function()
  test.equal(text.trim("  a b \n"), "a b")
  test.equal(text.trim(" \t "), "")
end)
