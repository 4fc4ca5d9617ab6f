/* Damage anywhere in a data folder with backups and an archive: bits that flip, pages that are zeroed or
 * written to the wrong place, in the store file, in a backup, in the archive. Never a wrong value, never a
 * crash, and what backup and archive have is brought back, with a receipt.
 *
 * A round damages one file in one place. ROUNDS bits (1,000 in the long run) and a fifth as many pages, of
 * each kind and in each sort of file, after a clean stop and after a kill; SEED repeats a run. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/inspect.h"
#include "store/mark.h"
#include "store/snapshot.h"

enum { KEYS = 40, OPS = 110, FIRST_BACKUP = 60, SECOND_BACKUP = 90, BIG = 6000, FILES = 16 };

/* ---- what has been done, one group after the other ---- */

static struct op { int key, version; /* version 0: deleted */ } ops[OPS];

static char *value_of(int key, int version) {
  static char json[BIG + 64];
  int room = key % 10 == 0 ? BIG : 20 + key;
  int len = snprintf(json, 32, "\"%d:%d:", key, version);
  memset(json + len, 'a' + (key + version) % 26, (size_t)room);
  strcpy(json + len + room, "\"");
  return json;
}

static const char *name_of(int key) {
  static char name[32];
  snprintf(name, sizeof name, "key:%d", key);
  return name;
}

static void plan(void) {
  for (int i = 0; i < OPS; i++)
    ops[i] = (struct op){i < KEYS ? i : (int)check_below(KEYS), i % 11 == 10 && i > KEYS ? 0 : i + 1};
}

/* The key's version after so many of them; 0: absent. */
static int version_at(int key, int count) {
  while (count-- > 0)
    if (ops[count].key == key) return ops[count].version;
  return 0;
}

/* ---- the folder ---- */

static struct store *try_open(const char *dir, struct err *err) {
  struct store *store;
  struct store_options options = {
      .dir = dir, .owner = "a test", .clock = &sync_clock, .archive = STORE_ARCHIVE_ON};
  return store_open(&store, &options, err) ? NULL : store;
}

static struct store *must_open(const char *dir) {
  struct err err;
  struct store *store = try_open(dir, &err);
  if (!store) FAIL("cannot open: %s", err.message);
  return store;
}

static void run_ops(struct store *store, int from, int to) {
  for (int i = from; i < to; i++)
    if (ops[i].version)
      sync_set(store, "appData", name_of(ops[i].key), value_of(ops[i].key, ops[i].version));
    else
      sync_delete(store, "appData", name_of(ops[i].key));
}

static void back_up(const char *dir) {
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  sync_advance(1000);
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
}

static void await_archived(struct store *store) {
  struct store_archive_state state = {0};
  for (int i = 0; i < 12000 && state.at_ms == 0; i++) {
    store_archive_state(store, &state);
    if (state.behind_bytes > 0) state.at_ms = 0;
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000L}, NULL);
  }
  CHECK(state.at_ms != 0);
}

/* The last ones are in the journal, and the log has them, when the process is killed. */
static void kill_in_the_middle(const char *dir) {
  pid_t pid = fork();
  if (pid == 0) {
    struct store *store = must_open(dir);
    run_ops(store, SECOND_BACKUP, OPS - 10);
    sync_flush(store);
    run_ops(store, OPS - 10, OPS);
    await_archived(store);
    kill(getpid(), SIGKILL);
  }
  waitpid(pid, NULL, 0);
}

static const char *make_folder(bool killed) {
  const char *dir = temp_dir();
  const int until[] = {FIRST_BACKUP, SECOND_BACKUP, OPS};
  plan();
  for (int i = 0; i < 3; i++) {
    if (i == 2 && killed) {
      kill_in_the_middle(dir);
      break;
    }
    struct store *store = must_open(dir);
    run_ops(store, i ? until[i - 1] : 0, until[i]);
    sync_close(store);
    if (i < 2) back_up(dir);
  }
  return dir;
}

enum target { STORE, BACKUP, ARCHIVE, OTHER };
static const char *const target_names[] = {"store", "backup", "archive"};

static struct image {
  struct file {
    char name[96];
    enum target target;
    char *bytes;
    size_t len;
    struct timespec time;
  } files[FILES];
  int count;
} image;

static enum target target_of(const char *name) {
  if (strcmp(name, "appdata.db") == 0) return STORE;
  if (strstr(name, ".archive")) return ARCHIVE;
  return strncmp(name, "backups/", 8) == 0 ? BACKUP : OTHER;
}

static void read_files(const char *dir, const char *prefix) {
  DIR *folder = opendir(temp_path(dir, prefix));
  CHECK(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    struct stat st;
    struct file file = {0};
    snprintf(file.name, sizeof file.name, "%s%.80s", prefix, entry->d_name);
    CHECK(stat(temp_path(dir, file.name), &st) == 0);
    if (!S_ISREG(st.st_mode) || strstr(file.name, ".lock")) continue;
    file.target = target_of(file.name);
    file.time = st.st_mtim;
    file.bytes = temp_read(temp_path(dir, file.name), &file.len);
    CHECK(file.bytes && image.count < FILES);
    image.files[image.count++] = file;
  }
  closedir(folder);
}

static void free_image(void) {
  for (int i = 0; i < image.count; i++) free(image.files[i].bytes);
  image = (struct image){0};
}

/* With its time: a disk that forgets does not say so. */
static void write_file(const char *dir, const struct file *file, const char *bytes) {
  const struct timespec times[] = {file->time, file->time};
  const char *path = temp_path(dir, file->name);
  temp_write_bytes(path, bytes, file->len);
  CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
}

/* ---- one place of damage ---- */

enum kind { FLIP, ZERO, MISDIRECT, KINDS };
static const char *const kind_names[] = {"flipped bits", "zeroed pages", "misdirected pages"};

static struct damage {
  const struct file *file;
  enum kind kind;
  size_t at, from;
  int bit;
} damage;

#define WRONG(...)                                                                                           \
  do {                                                                                                       \
    printf("%s of %s at %zu (bit %d, from %zu): ", kind_names[damage.kind], damage.file->name, damage.at,    \
           damage.bit, damage.from);                                                                         \
    FAIL(__VA_ARGS__);                                                                                       \
  } while (0)

static const struct file *choose_file(enum target target) {
  for (;;) {
    const struct file *file = &image.files[check_below((uint64_t)image.count)];
    if (file->target == target && file->len > 64) return file;
  }
}

static void copy_damaged(char *bytes, enum target target) {
  size_t page = target == ARCHIVE ? 512 : 4096, len = damage.file->len;
  size_t at = damage.at / page * page, from = damage.from / page * page;
  size_t room = len - at < page ? len - at : page;
  memcpy(bytes, damage.file->bytes, len);
  if (damage.kind == FLIP) bytes[damage.at] ^= (char)(1 << damage.bit);
  if (damage.kind == ZERO) memset(bytes + at, 0, room);
  if (damage.kind == MISDIRECT) {
    if (len - from < room) room = len - from;
    memcpy(bytes + at, damage.file->bytes + from, room);
  }
}

/* The file's bytes with a place of damage in them; to be freed. */
static char *choose_damage(enum target target, enum kind kind) {
  do damage.file = choose_file(target);
  while (kind == MISDIRECT && damage.file->len <= 1024); /* there has to be another place */
  char *bytes = malloc(damage.file->len);
  do {
    damage = (struct damage){damage.file, kind, check_below(damage.file->len), check_below(damage.file->len),
                             (int)check_below(8)};
    copy_damaged(bytes, target);
  } while (memcmp(bytes, damage.file->bytes, damage.file->len) == 0);
  return bytes;
}

static const char *write_folder(const char *bytes) {
  mark_trusts_copies = true; /* it is the same disk */
  const char *dir = temp_dir();
  mkdir(temp_path(dir, "backups"), 0777);
  for (int i = 0; i < image.count; i++)
    write_file(dir, &image.files[i], &image.files[i] == damage.file ? bytes : image.files[i].bytes);
  return dir;
}

/* ---- looking ---- */

struct seen {
  int versions[KEYS]; /* 0: absent; -1: an error */
  int errors;
};

static int version_of(int key, const struct value *value) {
  if (!value) return 0;
  for (int i = 0; i < OPS; i++)
    if (ops[i].key == key && ops[i].version) {
      const char *json = value_of(key, ops[i].version);
      if (strlen(json) == value->len && memcmp(json, value->json, value->len) == 0) return ops[i].version;
    }
  WRONG("%s is what it never was: %.60s", name_of(key), value->json);
}

static void check_error(const struct err *err) {
  if (err->code != MOONKEEP_CORRUPT && err->code != MOONKEEP_IO)
    WRONG("an error of %s: %s", moonkeep_code_name(err->code), err->message);
}

static struct seen look(struct store *store) {
  struct seen seen = {0};
  for (int key = 0; key < KEYS; key++) {
    struct store_call *call = sync_call(store, STORE_GET, "appData", name_of(key));
    if (call->err) check_error(call->err);
    seen.versions[key] = call->err ? -1 : version_of(key, call->value);
    seen.errors += call->err != NULL;
    store_call_free(call);
  }
  return seen;
}

static bool is_state(const struct seen *seen, int count) {
  for (int key = 0; key < KEYS; key++)
    if (seen->versions[key] != version_at(key, count)) return false;
  return true;
}

/* The store as it was after so many; -1: it never was like that. */
static int state_of(const struct seen *seen) {
  for (int count = OPS; count >= 0; count--)
    if (is_state(seen, count)) return count;
  return -1;
}

/* What is read by walking is what is read key by key. */
static void check_walk(struct store *store, const struct seen *seen) {
  struct store_call *call = sync_run(store, make_scan(sync_bucket(store, "appData"), "%"));
  size_t there = 0;
  for (int key = 0; key < KEYS; key++) there += seen->versions[key] != 0;
  if (call->err) WRONG("select: %s", call->err->message);
  if (call->found_count != there) WRONG("select finds %zu rows, not %zu", call->found_count, there);
  store_call_free(call);
}

/* ---- the store file ---- */

enum outcome { UNTOUCHED, REPAIRED, RESTORED, HIDDEN, REFUSED, SHORTER, OUTCOMES };
static const char *const outcome_names[] = {"untouched", "repaired", "restored",
                                            "hidden",    "refused",  "up to the damage"};
static long tally[3][OUTCOMES];

static bool receipt_says(const struct store *store, const char *word) {
  bool now;
  return strstr(store_receipt(store, &now), word) != NULL;
}

static void check_right(struct store *store, const struct seen *seen) {
  if (!is_state(seen, OPS)) {
    for (int key = 0; key < KEYS; key++)
      if (seen->versions[key] != version_at(key, OPS))
        WRONG("%s is of version %d, not %d", name_of(key), seen->versions[key], version_at(key, OPS));
  }
  check_walk(store, seen);
}

/* Nothing but the newest values, errors, and, of a file that nobody has checked, rows that are hidden. */
static bool check_honest(const struct seen *seen, bool checked) {
  bool hidden = false;
  for (int key = 0; key < KEYS; key++) {
    int is = seen->versions[key], want = version_at(key, OPS);
    if (is == want || is == -1) continue;
    if (is != 0 || checked) WRONG("%s is of version %d, not %d", name_of(key), is, want);
    hidden = true;
  }
  return hidden;
}

static bool has_checked(const struct store *store) {
  return receipt_says(store, "\"kind\":\"restored\"");
}

/* What was met is repaired meanwhile, row by row; the rest by the next start. */
static struct seen await_repair(struct store *store, struct seen seen) {
  for (int i = 0; i < 400 && seen.errors > 0; i++) {
    int before = seen.errors;
    sync_advance(1000);
    store_wait(store, 5);
    seen = look(store);
    if (seen.errors < before) i = 0;
  }
  return seen;
}

/* Refused, with a sentence: the file is taken away, as the person would, and a backup takes its place. */
static struct store *take_away(const char *dir, const struct err *err) {
  if (err->code != MOONKEEP_CORRUPT && err->code != MOONKEEP_INVALID && err->code != MOONKEEP_IO)
    WRONG("opening ends with %s: %s", moonkeep_code_name(err->code), err->message);
  unlink(temp_path(dir, "appdata.db"));
  unlink(temp_path(dir, "appdata.db-wal"));
  unlink(temp_path(dir, "appdata.db-shm"));
  return must_open(dir);
}

static enum outcome damage_store(const char *dir, bool killed) {
  struct err err;
  enum outcome outcome = UNTOUCHED;
  struct store *store = try_open(dir, &err);
  if (!store) {
    outcome = REFUSED;
    store = take_away(dir, &err);
  }
  struct seen seen = look(store);
  bool hidden = check_honest(&seen, killed || outcome == REFUSED || has_checked(store));
  if (seen.errors > 0) seen = await_repair(store, seen);
  hidden |= check_honest(&seen, false);
  if (outcome != REFUSED && receipt_says(store, "kind")) outcome = REPAIRED;
  if (outcome != REFUSED && has_checked(store)) outcome = RESTORED;
  if (seen.errors == 0 && !hidden) {
    check_right(store, &seen);
    store_close(store, &err);
    return outcome;
  }
  /* The check of the whole file, which comes once a day and after a stop that was not clean. */
  store_close(store, &err);
  unlink(temp_path(dir, "appdata.mark"));
  store = must_open(dir);
  seen = look(store);
  check_right(store, &seen);
  if (!receipt_says(store, "kind")) WRONG("no receipt");
  sync_close(store);
  return hidden ? HIDDEN : RESTORED;
}

/* ---- backups and archive ---- */

static void count_file(void *ctx, const struct inspected *file) {
  *(int *)ctx += !file->good;
  if (!file->good && !file->why->message[0]) WRONG("%s is not good, and nothing is said", file->name);
}

static int faults_of(const char *dir) {
  int told = 0;
  unsigned bad;
  struct err err;
  struct inspect inspect = {.dir = dir, .full = true, .told = count_file, .ctx = &told};
  if (inspect_run(&inspect, &bad, &err)) WRONG("check: %s", err.message);
  return (int)bad;
}

static int missing_of(const struct store *store) {
  bool now;
  const char *says = strstr(store_receipt(store, &now), "\"missing\":");
  return says ? atoi(says + strlen("\"missing\":")) : -1;
}

/* The store file is lost too. */
static enum outcome restore_from(const char *dir, enum target target) {
  int faults = faults_of(dir);
  unlink(temp_path(dir, "appdata.db"));
  unlink(temp_path(dir, "appdata.db-wal"));
  unlink(temp_path(dir, "appdata.db-shm"));
  struct store *store = must_open(dir);
  struct seen seen = look(store);
  int count = state_of(&seen);
  if (count < SECOND_BACKUP) WRONG("what was restored is of no moment (%d)", count);
  if (target == BACKUP && count != OPS) WRONG("restored up to %d of %d", count, OPS);
  check_walk(store, &seen);
  /* Not each operation is a commit: some change nothing. */
  int lost = missing_of(store);
  if (lost > OPS - count || (lost == 0 && count < OPS)) WRONG("%d are missing, not %d", lost, OPS - count);
  sync_close(store);
  /* A length that has become too long looks like an end that was torn off, as a crash leaves it. */
  if (count < OPS && faults == 0 && damage.kind == ZERO) WRONG("the check finds nothing");
  if (count == OPS) return faults > 0 ? RESTORED : UNTOUCHED;
  return SHORTER;
}

static enum outcome damage_other(const char *dir, const char *again, enum target target) {
  struct store *store = must_open(dir);
  struct seen seen = look(store);
  check_right(store, &seen);
  sync_close(store);
  return restore_from(again, target);
}

/* ---- all of it ---- */

static void damage_once(enum target target, enum kind kind, bool killed) {
  char *bytes = choose_damage(target, kind);
  if (getenv("VERBOSE")) {
    printf("%s of %s at %zu\n", kind_names[kind], damage.file->name, damage.at);
    fflush(stdout);
  }
  const char *dir = write_folder(bytes), *again = NULL;
  if (target == STORE) {
    tally[kind][damage_store(dir, killed)]++;
  } else {
    again = write_folder(bytes);
    tally[kind][damage_other(dir, again, target)]++;
    temp_remove(again);
  }
  temp_remove(dir);
  free(bytes);
}

static void report(enum target target) {
  for (int kind = 0; kind < KINDS; kind++) {
    printf("%s, %s:", target_names[target], kind_names[kind]);
    for (int i = 0; i < OUTCOMES; i++)
      if (tally[kind][i] > 0) printf(" %ld %s", tally[kind][i], outcome_names[i]);
    printf("\n");
  }
}

static void damage_many(enum target target, bool killed) {
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
  const char *dir = make_folder(killed);
  long rounds = check_rounds(10), pages = (rounds + 4) / 5;
  memset(tally, 0, sizeof tally);
  read_files(dir, "");
  read_files(dir, "backups/");
  for (long i = 0; i < rounds; i++) damage_once(target, FLIP, killed);
  for (long i = 0; i < pages; i++) damage_once(target, ZERO, killed);
  for (long i = 0; i < pages; i++) damage_once(target, MISDIRECT, killed);
  printf("seed %llu\n", (unsigned long long)check_seed());
  report(target);
  free_image();
}

TEST(damage_to_the_store_file_is_repaired) {
  damage_many(STORE, false);
}

TEST(damage_to_the_store_file_of_a_killed_process_is_repaired) {
  damage_many(STORE, true);
}

TEST(damage_to_a_backup_costs_nothing) {
  damage_many(BACKUP, false);
}

TEST(damage_to_the_archive_costs_at_most_what_comes_behind_it_and_is_told) {
  damage_many(ARCHIVE, true);
}
