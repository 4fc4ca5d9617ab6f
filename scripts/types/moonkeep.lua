---@meta moonkeep
-- What scripts of moonkeep can call, for editors that read LuaCATS (lua-language-server). ../README.md tells more.
-- This file is never run.

---A value that a store, an event or an action can hold. It comes back exactly as it went in.
---@alias moonkeep.Value string|number|boolean|moonkeep.Null|table

---@class moonkeep.Null: lightuserdata

-- ---- bot ----

---The script's own side of the host. It cannot be changed.
---@class moonkeep.Bot
---@field name string the script's name
---@field inherited any what the version before has left with `bot.handover`; nil: nothing
---@field log moonkeep.Log
bot = {}

---Calls `fn(event)`, in a task of its own, for each event of this name.
---@param event string `"message"`, `"start"`, `"stop"`, any other name; `"*"` is every event but `start` and `stop`
---@param fn fun(event: moonkeep.Event)
---@return moonkeep.Handler
function bot.on(event, fn) end

---Raises an event for every script of this host, this one too. Its handlers run after this task has given way.
---@param event string
---@param data? table<string, moonkeep.Value> its fields
function bot.emit(event, data) end

---Sends an action out. The host adds `script`.
---@param action {action: string, [string]: moonkeep.Value}
function bot.act(action) end

---Sends `{action = "send", channel = channel, text = text}` out.
---@param channel string|number
---@param text string|number
function bot.send(channel, text) end

---Calls `fn()` once, in a task of its own.
---@param seconds number
---@param fn fun()
---@return moonkeep.Timer
function bot.after(seconds, fn) end

---Calls `fn()` again and again, the first time after `seconds`.
---@param seconds number
---@param fn fun()
---@return moonkeep.Timer
function bot.every(seconds, fn) end

---Waits; others go on meanwhile. Only in handlers, timers and `bot.spawn`.
---@param seconds number
function bot.sleep(seconds) end

---Calls `fn(...)` in a task of its own, after this one has given way.
---@param fn fun(...)
---@param ... any
function bot.spawn(fn, ...) end

---`fn()` is called when the next version of this script is about to run; what it returns is that one's `bot.inherited`.
---@param fn? fun(): moonkeep.Value?
function bot.handover(fn) end

---@class moonkeep.Log
bot.log = {}

---@param ... any
function bot.log.debug(...) end

---The same as `print`.
---@param ... any
function bot.log.info(...) end

---@param ... any
function bot.log.warn(...) end

---@param ... any
function bot.log.error(...) end

---A subscription to events.
---@class moonkeep.Handler
local Handler = {}

---Ends it. May be called again.
function Handler:off() end

---A timer that was set.
---@class moonkeep.Timer
local Timer = {}

---Ends it. May be called again, and for one that is over.
function Timer:cancel() end

---What a handler gets: a table of its own with the fields of the event.
---@class moonkeep.Event
---@field event string its name
---@field id? any what the sender calls it
---@field channel? string|number where it came from
---@field userId? string|number whom it came from
---@field text? string what was said
---@field [string] any
local Event = {}

---Sends the text to the channel that the event came from.
---@param text string|number
function Event:reply(text) end

-- ---- stores ----

---@class moonkeep.Expiry
---@field ttl? number seconds from now
---@field expires_at? number seconds since 1970, as `os.time()` gives them

---@class moonkeep.Row: moonkeep.Expiry
---@field key string
---@field value moonkeep.Value

---@class moonkeep.Range
---@field limit? integer at most so many keys
---@field after? string only keys behind this one

---What store calls raise.
---@class moonkeep.Error
---@field code "invalid_key"|"invalid_value"|"invalid_pattern"|"invalid"|"too_large"|"nested"|"full"|"io"|"memory"|"unknown"|"corrupt"|"closed"|"timeout"|"busy"
---@field message string
---@field key? string

---A store: keys with values, on disk. All scripts share all stores. Calls return when what they did is on disk.
---@class moonkeep.Store
local Store = {}

---The value of the key, or `default`.
---@generic T
---@param key string
---@param default? T
---@return T|any value
function Store:get(key, default) end

---Gives the key a value; without options it never expires. With a table: one row, or a list of rows, all of them or none.
---@param key string
---@param value moonkeep.Value
---@param options? moonkeep.Expiry
---@overload fun(self: moonkeep.Store, row: moonkeep.Row)
---@overload fun(self: moonkeep.Store, rows: moonkeep.Row[])
function Store:set(key, value, options) end

---Gives `fn` the newest value, or `default` where the key is absent, and stores what it returns; nothing gets in between.
---`fn` may return `moonkeep.unchanged` or `moonkeep.absent`, may not return nil, call a store or wait.
---@generic T
---@param key string
---@param fn fun(value: T): any
---@param default? T
---@param options? moonkeep.Expiry
---@return any value the new value
function Store:update(key, fn, default, options) end

---What a transaction's function changes and reads; `tx:store(name)` is the same for another store.
---@class moonkeep.Transaction
local Transaction = {}

---@param key string
---@param default? any
---@return any
function Transaction:get(key, default) end

---@param key string
---@param value any
---@param options? table
function Transaction:set(key, value, options) end

---@param key string
---@param fn fun(current: any): any
---@param default? any
---@param options? table
---@return any
function Transaction:update(key, fn, default, options) end

---@param key string
---@return boolean
function Transaction:delete(key) end

---@param name string
---@return moonkeep.Transaction
function Transaction:store(name) end

---Calls `fn(tx)`, then makes all changes of `tx` at one moment, or none. `fn` runs again when another change got in
---between, so it must only touch `tx`.
---@param fn fun(tx: moonkeep.Transaction): ...
---@return ...
function Store:transaction(fn) end

---@param key string
---@return boolean found whether the key was there
function Store:delete(key) end

---@param pattern string `%` any text, `_` one character, `\` escapes
---@return integer count how many keys went
function Store:deleteLike(pattern) end

---Keys with their values, in key order.
---@param pattern string
---@param range? moonkeep.Range
---@return moonkeep.Row[]
function Store:select(pattern, range) end

---Values, in key order.
---@param pattern string
---@param range? moonkeep.Range
---@return any[]
function Store:selectValue(pattern, range) end

---Keys, in order.
---@param pattern string
---@param range? moonkeep.Range
---@return string[]
function Store:keys(pattern, range) end

---@param pattern string
---@return integer
function Store:count(pattern) end

---`for key, value in store:each("xp:%") do`: page by page, however large the store is.
---@param pattern string
---@param range? moonkeep.Range
---@return fun(): string, any
function Store:each(pattern, range) end

---The store `appData`.
---@type moonkeep.Store
appData = nil

---@class moonkeep.RootServer
---@field dataStore table<string, moonkeep.Store> stores by their name
rootServer = {}

---@class moonkeep.Lifecycle
rootServer.lifecycle = {}

---`bot.on("start", onStarting)` and `bot.on("stop", onStopping)`.
---@param onStarting? fun(event: moonkeep.Event)
---@param onStopping? fun(event: moonkeep.Event)
function rootServer.lifecycle.start(onStarting, onStopping) end

-- ---- test ----

---In `NAME_test.lua`, in place of `bot`. `test(name, fn)` is a case; each has a world of its own.
---@class moonkeep.Test
---@overload fun(name: string, fn: fun())
test = {}

---Which bots of the folder the file is about: at its top. Without it, the one that it is named after.
---@param ... string
function test.bots(...) end

---A message. Returns the texts that bots have sent, and all their actions, when they have come to rest.
---@param user string
---@param text string
---@param channel? string "general" where it is nil
---@return string[] texts
---@return table[] actions
function test.say(user, text, channel) end

---Any event: `test.emit{event = "join", userId = "ann"}`.
---@param event {event: string, [string]: moonkeep.Value}
---@return string[] texts
---@return table[] actions
function test.emit(event) end

---Moves the clock: timers fire, sleepers wake, keys expire. Nothing is waited for.
---@param seconds number
---@return string[] texts
---@return table[] actions
function test.advance(seconds) end

---Ends the bots in order and starts them again, over the same stores.
---@return string[] texts
---@return table[] actions
function test.restart() end

---The same value, or tables with the same in them.
---@param got any
---@param wanted any
---@param what? string said where it fails
function test.equal(got, wanted, what) end

---Neither nil nor false.
---@param value any
---@param what? string
function test.ok(value, what) end

---A text, or one of a list of texts, has this part.
---@param text string|string[]
---@param part string
function test.contains(text, part) end

---`fn()` raises an error with this part in its text.
---@param fn fun()
---@param part? string
---@return any err
function test.raises(fn, part) end

---@param what? string
function test.fail(what) end

---The errors of bots that nobody has caught, since the last call. Those that were not asked for fail the case.
---@return string[]
function test.errors() end

---What the bots have logged in this case.
---@return {level: string, script: string, text: string}[]
function test.log() end

-- ---- require "moonkeep" ----

---@class moonkeep
---@field null moonkeep.Null JSON's null, the same as `cjson.null`
---@field unchanged userdata what an update function returns to leave the value as it is
---@field absent userdata what an update function returns to delete the key
---@field version string
local moonkeep = {}

---Marks a table as a list, so that it stays one when it is empty.
---@param table? table
---@return table
function moonkeep.array(table) end

return moonkeep
