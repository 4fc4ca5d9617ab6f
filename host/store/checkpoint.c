/* The write-ahead log goes into the store file, which then says so. */
#include "store/engine_parts.h"
#include "store/seal.h"

enum moonkeep_code engine_number_log(struct engine *engine, bool closed, const char *doing, struct err *err) {
  struct seal seal = {.id = engine->id,
                      .logs = engine->logs + (engine->counted ? 0 : 1),
                      .base = engine->settled > 0 ? engine->settled : engine->base,
                      .closed = closed};
  return seal_write(engine->db, &seal, doing, err);
}

void engine_log_is_numbered(struct engine *engine, bool closed) {
  if (!engine->counted) engine->logs++;
  engine->counted = true;
  engine->at_work = !closed;
}

/* In a transaction of its own, where nothing else is to be committed. It waits for no disk. One that is full
 * must not keep the log from being emptied. */
static enum moonkeep_code count_log(struct engine *engine, bool closed, struct err *err) {
  static const char doing[] = "checkpoint";
  enum moonkeep_code code = engine_relax(engine, doing, err);
  if (!code) code = engine_number_log(engine, closed, doing, err);
  if (!code) code = sql_run(engine->db, "COMMIT", doing, err);
  if (!code) engine_log_is_numbered(engine, closed);
  if (code) engine_rollback(engine, code);
  return code == MOONKEEP_FULL || code == MOONKEEP_BUSY ? MOONKEEP_OK : code;
}

/* All of the log is in the file. Where a part of it was there before, a copy may have the number and not the
 * rest: then it is counted once more. */
static enum moonkeep_code settled(struct engine *engine, struct err *err) {
  bool counted = engine->counted, partly = engine->partly;
  engine->wal_pages = engine->done_pages = 0;
  engine->counted = engine->partly = false;
  if (counted && partly) return engine_checkpoint(engine, err);
  if (counted) engine->settled = engine->logs;
  return MOONKEEP_OK;
}

enum moonkeep_code engine_checkpoint(struct engine *engine, struct err *err) {
  int log_pages = 0, done_pages = 0;
  enum moonkeep_code code = engine->counted ? MOONKEEP_OK : count_log(engine, false, err);
  if (code) return code;
  int rc = sqlite3_wal_checkpoint_v2(engine->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log_pages, &done_pages);
  /* Busy means that a reader still needs some of it: the rest goes next time. */
  if (rc != SQLITE_OK && (rc & 0xFF) != SQLITE_BUSY) return sql_fail(engine->db, rc, "checkpoint", err);
  engine->done_pages = done_pages;
  if (log_pages == done_pages) return settled(engine, err);
  engine->partly = true;
  return MOONKEEP_OK;
}

enum moonkeep_code engine_finish(struct engine *engine, struct err *err) {
  enum moonkeep_code code =
      engine->db ? engine_comfort(engine, engine_fold_all(engine, err), err) : MOONKEEP_OK;
  if (code || !engine->db) return code;
  bool wrote = engine->counted || engine->wal_pages > 0 || engine->at_work;
  if (wrote) code = count_log(engine, true, err);
  if (code) return code;
  int rc = sqlite3_wal_checkpoint_v2(engine->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  if (rc != SQLITE_OK && (rc & 0xFF) != SQLITE_BUSY) return sql_fail(engine->db, rc, "checkpoint", err);
  /* The last one to close may now take the empty log away. */
  if (rc == SQLITE_OK) sqlite3_db_config(engine->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
  return MOONKEEP_OK;
}
