-- Some who look.
require "lib.work" (3, 4, {get = 5, select = 3, selectValue = 2, keys = 2, count = 2, each = 3})
