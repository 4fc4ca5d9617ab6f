/* Bit rot: any one bit of the store file flips while nobody looks, and every answer is still the right one,
 * or an error, or the file is refused; never a wrong value, a crash, or a call without end.
 *
 * The file is small and holds every kind of row: short and long keys, small values and some over several
 * pages, with an expiry and without, rows that another program wrote, and a journal that a killed process has
 * left. It is made compact, so that each key and value stands in it once, and then the bits are flipped in
 * its bytes, not by SQL. ROUNDS bits are tried of each part of the file, at random; FLIPS=all tries
 * all; BYTE=n those of one byte. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

/* ---- what the file holds ---- */

enum { LONG_KEY = 900, VALUE_ROOM = 10000, SOON_MS = 1000000000 };

struct fact {
  const char *bucket;
  char *key, *json;
  bool lasts;   /* has no expiry */
  bool foreign; /* written by another program: it has no checksum of its own */
  bool late;    /* stands only in the journal */
};

static struct fact facts[32];
static int fact_count;
static bool has_journal; /* the file has one, and what it says of the first row counts, not the table */

/* Text that is nowhere twice. */
static char *noise(const char *start, size_t len, const char *end) {
  size_t start_len = strlen(start), end_len = strlen(end);
  char *text = malloc(start_len + len + end_len + 1);
  memcpy(text, start, start_len);
  for (size_t i = 0; i < len; i++) text[start_len + i] = (char)('a' + check_below(26));
  memcpy(text + start_len + len, end, end_len + 1);
  return text;
}

static struct fact *know(const char *bucket, const char *start, size_t key_len, size_t json_len) {
  struct fact *fact = &facts[fact_count++];
  *fact = (struct fact){.bucket = bucket, .lasts = true};
  fact->key = noise(start, key_len, "");
  fact->json = noise("\"", json_len, "\"");
  return fact;
}

static void plan(void) {
  fact_count = 0;
  for (int i = 0; i < 6; i++) know("appData", "user:", 8, 30)->lasts = i % 2;
  know("appData", "long:", LONG_KEY, 20);
  know("appData", "big:", 8, VALUE_ROOM);
  know("appData", "big:", LONG_KEY, VALUE_ROOM / 2)->lasts = false;
  know("appData", "foreign:", 8, 30)->foreign = true;
  know("economy", "gold:", 8, 12);
  know("economy", "silver:", 8, 12)->lasts = false;
  know("economy", "tin:", 8, 12)->foreign = true;
  know("appData", "late:", 8, 40)->late = true;
  know("appData", "late:", LONG_KEY, 200)->late = true;
  know("economy", "late:", 8, VALUE_ROOM / 2)->late = true;
}

static int64_t expiry(const struct fact *fact) {
  return fact->lasts ? 0 : clock_wall_ms(&sync_clock) + SOON_MS;
}

static void set_facts(struct store *store, bool late) {
  for (int i = 0; i < fact_count; i++)
    if (!facts[i].foreign && facts[i].late == late)
      sync_set_until(store, facts[i].bucket, facts[i].key, facts[i].json, expiry(&facts[i]));
}

static void run_sql(const char *dir, const char *sql) {
  sqlite3 *db;
  char *why = NULL;
  CHECK(sqlite3_open(temp_path(dir, "appdata.db"), &db) == SQLITE_OK);
  if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) FAIL("%s: %s", sql, why);
  sqlite3_close(db);
}

static void write_foreign_rows(const char *dir) {
  for (int i = 0; i < fact_count; i++) {
    char sql[512];
    snprintf(sql, sizeof sql, "INSERT INTO %s(key, value) VALUES('%s', '%s')", facts[i].bucket, facts[i].key,
             facts[i].json);
    if (facts[i].foreign) run_sql(dir, sql);
  }
}

static void change_first(void) {
  facts[0].json[1] = 'Z';
  facts[0].lasts = true;
}

/* The journal of a process that was killed, after a change to a row that is in the table too. */
static void leave_a_journal(const char *dir) {
  pid_t child = fork();
  if (child == 0) {
    struct store *store = sync_open(dir);
    set_facts(store, true);
    change_first();
    sync_set(store, facts[0].bucket, facts[0].key, facts[0].json);
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
}

struct file {
  unsigned char *bytes;
  size_t len;
  unsigned char *parts; /* of each byte: which part of the file it belongs to */
};

/* Without what is deleted, and without a log. */
static void read_compact(struct file *file, const char *dir) {
  run_sql(dir, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
  file->bytes = (unsigned char *)temp_read(temp_path(dir, "appdata.db"), &file->len);
  file->parts = calloc(file->len, 1);
}

/* ---- the parts of the file ---- */

enum part { OTHER, VALUE, EXPIRY, SUM, KEY, INDEX, JOURNAL, FOREIGN, UNUSED, PARTS };
static const char *const part_names[PARTS] = {"all else", "values",  "expiries",     "checksums", "keys",
                                              "index",    "journal", "foreign rows", "unused"};

static size_t find(const struct file *file, const void *text, size_t len) {
  const unsigned char *at = memmem(file->bytes, file->len, text, len);
  return at ? (size_t)(at - file->bytes) : file->len;
}

static void mark_at(struct file *file, size_t at, size_t len, enum part part) {
  CHECK(at + len <= file->len);
  memset(file->parts + at, part, len);
}

/* Texts over several pages stand there in pieces. Returns where the last one ends. */
static size_t mark(struct file *file, const char *text, size_t len, enum part part) {
  size_t end = 0;
  while (len > 0) {
    size_t at = find(file, text, len < 12 ? len : 12), same = 0;
    CHECK(at < file->len);
    while (same < len && at + same < file->len && file->bytes[at + same] == (unsigned char)text[same]) same++;
    mark_at(file, at, same, part);
    text += same;
    len -= same;
    end = at + same;
  }
  return end;
}

/* A row of a table is its key, value, expiry and checksum, one behind the other; a row of the index is the
 * key. */
static void mark_fact(struct file *file, const struct fact *fact) {
  char start[LONG_KEY + 64];
  size_t key_len = strlen(fact->key);
  size_t start_len = (size_t)snprintf(start, sizeof start, "%s%.12s", fact->key, fact->json);
  size_t at = find(file, start, start_len);
  CHECK(at < file->len);
  for (size_t i = 0; i + key_len <= file->len; i++)
    if (memcmp(file->bytes + i, fact->key, key_len) == 0) mark_at(file, i, key_len, i == at ? KEY : INDEX);
  size_t end = mark(file, fact->json, strlen(fact->json), fact->foreign ? FOREIGN : VALUE);
  if (fact->foreign) {
    mark_at(file, at, key_len, FOREIGN);
    return;
  }
  if (!fact->lasts) mark_at(file, end, 6, EXPIRY);
  mark_at(file, end + (fact->lasts ? 0 : 6), 8, SUM);
}

/* A journal row is its moment, its changes and its checksum. */
static void mark_journal(struct file *file, const char *dir) {
  sqlite3 *db;
  sqlite3_stmt *rows;
  CHECK(sqlite3_open(temp_path(dir, "appdata.db"), &db) == SQLITE_OK);
  CHECK(sqlite3_prepare_v2(db, "SELECT changes FROM _journal", -1, &rows, NULL) == SQLITE_OK);
  while (sqlite3_step(rows) == SQLITE_ROW) {
    const char *changes = sqlite3_column_blob(rows, 0);
    size_t len = (size_t)sqlite3_column_bytes(rows, 0), start = find(file, changes, len < 60 ? len : 60);
    size_t end = mark(file, changes, len, JOURNAL);
    mark_at(file, start - 6, 6, JOURNAL);
    mark_at(file, end, 8, JOURNAL);
  }
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

/* What stands between the cells is zero. */
static void mark_unused(struct file *file) {
  enum { NEAR = 8 };
  size_t zeros = 0;
  for (size_t i = 0; i < file->len; i++) {
    zeros = file->bytes[i] ? 0 : zeros + 1;
    if (zeros > 2 * NEAR && file->parts[i - NEAR] == OTHER) file->parts[i - NEAR] = UNUSED;
  }
}

static void make_file(struct file *file) {
  const char *dir = temp_dir();
  plan();
  struct store *store = sync_open(dir);
  set_facts(store, false);
  if (!has_journal) set_facts(store, true);
  sync_close(store);
  write_foreign_rows(dir);
  if (has_journal) leave_a_journal(dir);
  read_compact(file, dir);
  for (int i = 0; i < fact_count; i++)
    if (!has_journal || !facts[i].late) mark_fact(file, &facts[i]);
  if (has_journal) mark_journal(file, dir);
  mark_unused(file);
  if (has_journal) change_first();
}

static void free_file(struct file *file) {
  for (int i = 0; i < fact_count; i++) {
    free(facts[i].key);
    free(facts[i].json);
  }
  free(file->bytes);
  free(file->parts);
}

/* ---- one flip ---- */

struct flip {
  size_t at;
  int bit;
  enum part part;
};

static struct flip flip;

enum outcome { RIGHT, ERROR, HIDDEN, REFUSED, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {"right", "an error", "hidden", "refused"};
static long tally[PARTS][OUTCOMES];
static enum outcome worst;

static void note(enum outcome outcome) {
  if (outcome > worst) worst = outcome;
}

#define ROTTEN(...)                                                                                          \
  do {                                                                                                       \
    printf("byte %zu bit %d (%s): ", flip.at, flip.bit, part_names[flip.part]);                              \
    FAIL(__VA_ARGS__);                                                                                       \
  } while (0)

/* Damage never looks like a lack of memory or of space. */
static void check_error(const struct err *err, const char *doing) {
  note(ERROR);
  if (err->code != MOONKEEP_CORRUPT && err->code != MOONKEEP_IO)
    ROTTEN("%s ends with %s: %s", doing, moonkeep_code_name(err->code), err->message);
}

static bool written; /* since the flip */

/* Damage to the tree that leads to a row can hide it; that is found by a check of the whole file. An entry of
 * the index that leads elsewhere is noticed by those who read, but a fold may put a second row beside it. */
static bool may_hide(void) {
  return flip.part == OTHER || (flip.part == INDEX && (has_journal || written));
}

static void missing(const struct fact *fact, const char *doing) {
  note(HIDDEN);
  if (!may_hide()) ROTTEN("%s does not see %.40s", doing, fact->key);
}

static bool may_be_anything(const struct fact *fact) {
  return fact->foreign && flip.part == FOREIGN;
}

/* The journal's change to the first row went to another row of the same key, because the first was hidden. */
static bool is_before_change(const struct fact *fact, const char *json, size_t len) {
  return has_journal && fact == facts && len == strlen(fact->json) &&
         memcmp(json + 2, fact->json + 2, len - 2) == 0;
}

static void check_value(const struct fact *fact, const char *json, size_t len, int64_t expires_at_ms,
                        const char *doing) {
  if (may_be_anything(fact)) return;
  if (may_hide() && is_before_change(fact, json, len)) {
    note(HIDDEN);
    return;
  }
  if (len != strlen(fact->json) || memcmp(json, fact->json, len) != 0 || expires_at_ms != expiry(fact))
    ROTTEN("%s says that %.40s is %.*s until %lld", doing, fact->key, (int)(len < 80 ? len : 80), json,
           (long long)expires_at_ms);
}

static void try_get(struct store *store, const struct fact *fact) {
  struct store_call *call = sync_call(store, STORE_GET, fact->bucket, fact->key);
  if (call->err) {
    check_error(call->err, "get");
    if (strcmp(call->err->key, fact->key) != 0) ROTTEN("get of %.40s names %.40s", fact->key, call->err->key);
  } else if (!call->value) {
    missing(fact, "get");
  } else {
    check_value(fact, call->value->json, call->value->len, call->value->expires_at_ms, "get");
  }
  store_call_free(call);
}

static struct fact *fact_of(const char *bucket, const char *key, size_t len) {
  for (int i = 0; i < fact_count; i++)
    if (strcmp(facts[i].bucket, bucket) == 0 && strlen(facts[i].key) == len &&
        memcmp(facts[i].key, key, len) == 0)
      return &facts[i];
  return NULL;
}

static void check_rows(const char *bucket, const struct store_call *call, bool *seen) {
  for (size_t i = 0; i < call->found_count; i++) {
    const struct store_found *row = &call->found_rows[i];
    const struct fact *fact = fact_of(bucket, call->text.data + row->key, row->key_len);
    if (!fact && flip.part != FOREIGN)
      ROTTEN("a key that was never set: %.*s", (int)row->key_len, call->text.data + row->key);
    if (!fact) continue;
    if (seen[fact - facts] && !may_hide()) ROTTEN("%.40s comes twice", fact->key);
    seen[fact - facts] = true;
    check_value(fact, call->text.data + row->json, row->json_len, row->expires_at_ms, "select");
  }
}

/* All rows that match, page by page. */
static void try_walk(struct store *store, const char *bucket, const char *pattern, uint64_t page) {
  bool seen[32] = {false}, more = true;
  char after[STORE_KEY_BYTES + 1] = "";
  size_t after_len = 0;
  for (int pages = 0; more; pages++) {
    struct store_call *call = make_scan(sync_bucket(store, bucket), pattern);
    call->limit = page;
    if (after_len > 0) store_call_after(call, after, after_len);
    sync_run(store, call);
    if (pages > fact_count) ROTTEN("a walk without end");
    more = !call->err && call->more && call->found_count > 0;
    if (call->err) {
      check_error(call->err, "select");
      store_call_free(call);
      return;
    }
    check_rows(bucket, call, seen);
    if (more) {
      const struct store_found *last = &call->found_rows[call->found_count - 1];
      memcpy(after, call->text.data + last->key, after_len = last->key_len);
    }
    store_call_free(call);
  }
  size_t prefix = strcspn(pattern, "%");
  for (int i = 0; i < fact_count; i++)
    if (strcmp(facts[i].bucket, bucket) == 0 && strncmp(facts[i].key, pattern, prefix) == 0 && !seen[i] &&
        !may_be_anything(&facts[i]))
      missing(&facts[i], "select");
}

static void try_count(struct store *store, const char *bucket) {
  struct store_call *call = make_scan(sync_bucket(store, bucket), "%");
  uint64_t there = 0;
  call->want = STORE_COUNT;
  sync_run(store, call);
  for (int i = 0; i < fact_count; i++) there += strcmp(facts[i].bucket, bucket) == 0;
  if (call->err)
    check_error(call->err, "count");
  else if (call->count != there && flip.part != FOREIGN)
    missing(&facts[0], "count");
  store_call_free(call);
}

static const char newer[] = "\"newer\"";

static enum store_verdict renew(struct store_call *call, const struct value *current) {
  const struct fact *fact = fact_of(bucket_name(call->bucket), call->key, call->key_len);
  if (current)
    check_value(fact, current->json, current->len, current->expires_at_ms, "update");
  else
    missing(fact, "update");
  call->value = value_new(newer, strlen(newer), 0);
  return STORE_WRITE;
}

static bool try_update(struct store *store, const struct fact *fact) {
  struct store_call *call =
      store_call_new(STORE_UPDATE, sync_bucket(store, fact->bucket), fact->key, strlen(fact->key));
  call->apply = renew;
  sync_run(store, call);
  bool went_well = !call->err;
  if (call->err) check_error(call->err, "update");
  store_call_free(call);
  return went_well;
}

static bool try_delete(struct store *store, const struct fact *fact) {
  struct store_call *call = sync_call(store, STORE_DELETE, fact->bucket, fact->key);
  bool went_well = !call->err;
  if (call->err) check_error(call->err, "delete");
  if (!call->err && !call->found) missing(fact, "delete");
  store_call_free(call);
  return went_well;
}

static bool is_erased(const struct fact *fact) {
  return strcmp(fact->bucket, "economy") == 0 && strncmp(fact->key, "silver:", 7) == 0;
}

static bool try_delete_like(struct store *store) {
  struct store_call *call = store_call_new(STORE_DELETE_LIKE, sync_bucket(store, "economy"), NULL, 0);
  store_call_pattern(call, "silver:%", 8);
  sync_run(store, call);
  bool went_well = !call->err;
  if (call->err) check_error(call->err, "deleteLike");
  store_call_free(call);
  return went_well;
}

/* What has been changed since: its new value, or absent, or an error. What hides a row hides its change too.
 */
static void check_changed(struct store *store, const struct fact *fact, const char *want) {
  const char *is = sync_get(store, fact->bucket, fact->key);
  if (strcmp(is, want) == 0) return;
  if (strncmp(is, "error", 5) == 0)
    note(ERROR);
  else if (may_hide())
    note(HIDDEN);
  else
    ROTTEN("%.40s is %.80s after it was made %s", fact->key, is, want);
}

static struct store *try_open(const char *dir) {
  struct err err;
  struct store *store;
  enum moonkeep_code code = sync_try_open(dir, &store, &err);
  if (!code) return store;
  note(REFUSED);
  if (code != MOONKEEP_CORRUPT && code != MOONKEEP_IO && code != MOONKEEP_INVALID)
    ROTTEN("opening ends with %s: %s", moonkeep_code_name(code), err.message);
  CHECK(strlen(err.message) > 20);
  return NULL;
}

static void try_close(struct store *store) {
  struct err err;
  if (store_close(store, &err)) check_error(&err, "close");
}

static void read_everything(struct store *store) {
  for (int i = 0; i < fact_count; i++) try_get(store, &facts[i]);
  try_walk(store, "appData", "%", 0);
  try_walk(store, "economy", "%", 0);
  try_walk(store, "appData", "%", 2);
  try_walk(store, "appData", "user:%", 0);
  try_walk(store, "appData", "big:%", 1);
  try_count(store, "appData");
}

static bool has_buckets(struct store *store) {
  struct err err;
  struct bucket *bucket;
  enum moonkeep_code code = store_bucket(store, "appData", &bucket, &err);
  if (!code) code = store_bucket(store, "economy", &bucket, &err);
  if (code) note(ERROR);
  return !code;
}

/* A damaged name of a table may stand in the way of the right one. */
static struct store *open_again(const char *dir) {
  struct store *store = try_open(dir);
  if (!store || has_buckets(store)) return store;
  try_close(store);
  return NULL;
}

/* One row is changed, one deleted, and what came of it is looked at again in a file that has been closed. */
static void change_and_reopen(struct store *store, const char *dir) {
  written = true;
  int changed = (int)check_below((uint64_t)fact_count);
  int deleted = (changed + 1 + (int)check_below((uint64_t)fact_count - 1)) % fact_count;
  bool did_change = try_update(store, &facts[changed]), did_delete = try_delete(store, &facts[deleted]);
  if (did_change) check_changed(store, &facts[changed], newer);
  if (did_delete) check_changed(store, &facts[deleted], "absent");
  bool did_erase = try_delete_like(store);
  try_close(store);
  if (!(store = open_again(dir))) return;
  if (did_change && !is_erased(&facts[changed])) check_changed(store, &facts[changed], newer);
  if (did_delete) check_changed(store, &facts[deleted], "absent");
  for (int i = 0; i < fact_count; i++)
    if (i != changed && i != deleted && !(did_erase && is_erased(&facts[i]))) try_get(store, &facts[i]);
  try_close(store);
}

static void look(const char *dir) {
  struct store *store = open_again(dir);
  if (!store) return;
  written = false;
  read_everything(store);
  change_and_reopen(store, dir);
}

/* What is covered by a checksum is never read unnoticed. */
static void check_noticed(void) {
  bool checked = flip.part == VALUE || flip.part == EXPIRY || flip.part == SUM;
  if (checked && !has_journal && worst != ERROR) ROTTEN("nobody noticed");
  if (flip.part == JOURNAL && worst != REFUSED) ROTTEN("nobody noticed");
}

static void try_flip(struct file *file, const char *dir) {
  if (getenv("VERBOSE")) printf("byte %zu bit %d (%s)\n", flip.at, flip.bit, part_names[flip.part]);
  file->bytes[flip.at] ^= (unsigned char)(1 << flip.bit);
  remove(temp_path(dir, "appdata.db-wal"));
  remove(temp_path(dir, "appdata.db-shm"));
  temp_write_bytes(temp_path(dir, "appdata.db"), file->bytes, file->len);
  file->bytes[flip.at] ^= (unsigned char)(1 << flip.bit);
  worst = RIGHT;
  look(dir);
  check_noticed();
  tally[flip.part][worst]++;
}

/* ---- all of them ---- */

/* Files that live for a moment need no disk. */
static void use_memory_for_files(void) {
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
}

static void flip_some_of(struct file *file, const char *dir, enum part part, long rounds) {
  size_t *places = malloc(file->len * sizeof *places), count = 0;
  for (size_t i = 0; i < file->len; i++)
    if (file->parts[i] == part) places[count++] = i;
  for (long round = 0; count > 0 && round < rounds; round++) {
    flip = (struct flip){places[check_below(count)], (int)check_below(8), part};
    try_flip(file, dir);
  }
  free(places);
}

static void flip_byte(struct file *file, const char *dir, size_t at) {
  for (int bit = 0; bit < 8 && file->parts[at] != UNUSED; bit++) {
    flip = (struct flip){at, bit, file->parts[at]};
    try_flip(file, dir);
  }
}

static void report(void) {
  printf("seed %llu\n", (unsigned long long)check_seed());
  for (int part = 0; part < PARTS; part++) {
    printf("%-14s", part_names[part]);
    for (int i = 0; i < OUTCOMES; i++) printf(" %s: %ld", outcome_names[i], tally[part][i]);
    printf("\n");
  }
}

static void rot(bool with_journal, long rounds) {
  struct file file;
  has_journal = with_journal;
  use_memory_for_files();
  make_file(&file);
  const char *dir = temp_dir(), *byte = getenv("BYTE");
  memset(tally, 0, sizeof tally);
  if (byte)
    flip_byte(&file, dir, strtoul(byte, NULL, 10));
  else if (getenv("FLIPS") && strcmp(getenv("FLIPS"), "all") == 0)
    for (size_t i = 0; i < file.len; i++) flip_byte(&file, dir, i);
  else
    for (enum part part = 0; part < PARTS; part++) flip_some_of(&file, dir, part, check_rounds(rounds));
  report();
  free_file(&file);
}

TEST(a_flipped_bit_of_the_file_is_noticed_when_it_is_read) {
  rot(false, 60);
}

TEST(a_flipped_bit_beside_or_in_the_journal_is_noticed_when_the_file_is_opened) {
  rot(true, 60);
}
