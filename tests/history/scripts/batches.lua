-- Some who change many keys at once.
require "lib.work" (2, 3, {list = 6, deleteLike = 1, update = 3, get = 1})
