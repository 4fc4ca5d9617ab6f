-- The mod_storage.sqlite of a mod of Minetest 5.6.1: set_string, set_int, set_float, minetest.serialize, write_json.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE `entries` (
	`modname` TEXT NOT NULL,
	`key` BLOB NOT NULL,
	`value` BLOB NOT NULL,
	PRIMARY KEY (`modname`, `key`)
);
INSERT INTO entries VALUES('shop_mod',X'616c696365',X'666966747920c3a9');
INSERT INTO entries VALUES('shop_mod',X'636f756e74',X'3432');
INSERT INTO entries VALUES('shop_mod',X'726174696f',X'302e3235');
INSERT INTO entries VALUES('shop_mod',X'6c697374',X'72657475726e207b312c322c7b613d2262227d7d');
INSERT INTO entries VALUES('shop_mod',X'6a736f6e',X'7b227870223a352e307d');
COMMIT;
