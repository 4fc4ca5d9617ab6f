#include "store/seal.h"

#include "store/sum.h"

static int64_t sum_of(const struct seal *seal) {
  const int64_t parts[] = {seal->id, seal->base, seal->closed};
  return sum_group(seal->logs, seal->id, parts, sizeof parts);
}

enum moonkeep_code seal_write(sqlite3 *db, const struct seal *seal, const char *doing, struct err *err) {
  char sql[200];
  sqlite3_snprintf(sizeof sql, sql,
                   "INSERT OR REPLACE INTO _meta VALUES('logs', %lld), ('base', %lld), ('closed', %d),"
                   " ('seal', %lld)",
                   (long long)seal->logs, (long long)seal->base, (int)seal->closed, (long long)sum_of(seal));
  return sql_run(db, sql, doing, err);
}

bool seal_read(sqlite3 *db, struct seal *seal, bool *sealed) {
  int64_t faults, seals, sum, closed;
  *sealed = false;
  if (!sql_ask(db, "SELECT count(*) FROM temp.pragma_quick_check('_meta') WHERE quick_check<>'ok'",
               &faults) ||
      faults > 0 || !sql_ask(db, "SELECT count(*) FROM _meta WHERE name='seal'", &seals) ||
      !sql_ask(db, "SELECT value FROM _meta WHERE name='seal'", &sum) ||
      !sql_ask(db, "SELECT value FROM _meta WHERE name='id'", &seal->id) ||
      !sql_ask(db, "SELECT value FROM _meta WHERE name='logs'", &seal->logs) ||
      !sql_ask(db, "SELECT value FROM _meta WHERE name='base'", &seal->base) ||
      !sql_ask(db, "SELECT value FROM _meta WHERE name='closed'", &closed))
    return false;
  seal->closed = closed != 0;
  *sealed = seals > 0;
  return seals == 0 || sum == sum_of(seal);
}
