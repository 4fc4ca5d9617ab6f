-- Many who change single keys.
require "lib.work" (1, 6, {get = 4, set = 3, update = 8, delete = 2, select = 1})
