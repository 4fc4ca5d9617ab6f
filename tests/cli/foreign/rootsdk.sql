-- What @rootsdk/server-bot 0.17.0 leaves in rootsdk.sqlite3 after: set a twice, set b and old with an expiry, update n twice.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE `__rootapp_kv` (`key` varchar(255) not null, `community_id` varchar(255), `value` varchar(255) not null, `expires_at` datetime);
INSERT INTO __rootapp_kv VALUES('a',NULL,'{"xp":50,"list":[],"f":0.1}',NULL);
INSERT INTO __rootapp_kv VALUES('a',NULL,'{"xp":60}',NULL);
INSERT INTO __rootapp_kv VALUES('b',NULL,'"text é"',4000000000250);
INSERT INTO __rootapp_kv VALUES('old',NULL,'1',1000000000000);
INSERT INTO __rootapp_kv VALUES('n',NULL,'2',NULL);
CREATE UNIQUE INDEX `__rootapp_kv_community_id_key_unique` on `__rootapp_kv` (`community_id`, `key`);
COMMIT;
