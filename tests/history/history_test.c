/* Histories of a host in which three scripts with many tasks change and read the same few keys of two stores,
 * by chance, and which is killed again and again; each is checked (history.h). In half of them there is an
 * archive that every change waits for, backups are taken, and between two hosts the store file is lost or
 * damaged, its log is, or the store is brought back to an earlier moment: no call may notice, but for that
 * moment. SEED repeats one, ROUNDS makes more of them, HISTORY=FILE writes the last one down. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timers.h"
#include "check.h"
#include "helpers/temp.h"
#include "history/history.h"
#include "script/scripts.h"
#include "store/archive.h"
#include "store/recall.h"
#include "store/snapshot.h"
#include "store/store.h"

enum {
  LIVES = 6,         /* of one history: hosts that are killed, but for the last two */
  LIFE_CALLS = 400,  /* made at most before a host ends */
  LIFE_IDS = 100000, /* numbers for the calls of one life */
  RECORD_BYTES = 4 << 20,
  MOST_LOOKS = 16, /* that are remembered */
};

/* Memory that outlives the child: a line counts when `len` does. */
struct record {
  _Atomic size_t len;
  _Atomic int64_t wall_ms, steady_ms; /* the host's clock, which stands still but where the host moves it */
  _Atomic int calls;                  /* in this life */
  int64_t looked_ms[MOST_LOOKS]; /* when everything had been read; there is nothing of that moment later */
  int look_count;
  bool archived;       /* the history has an archive, backups and losses */
  bool needs_backup;   /* a log was lost, which another program may have taken away after its own changes */
  _Atomic int backups; /* taken */
  int lost, brought_back; /* how often */
  char text[RECORD_BYTES];
};

static struct record *record;

static void record_line(const char *text) {
  size_t len = record->len;
  int n = snprintf(record->text + len, RECORD_BYTES - len, "%lld %s\n", (long long)record->wall_ms, text);
  if (len + (size_t)n >= RECORD_BYTES) abort();
  record->len = len + (size_t)n;
}

/* ---- the child: a host ---- */

struct host {
  struct clock clock;
  struct log log;
  struct timers timers;
  struct store *store;
  struct scripts *scripts;
};

static int64_t wall_ms(void *ctx) {
  (void)ctx;
  return record->wall_ms;
}

static int64_t steady_ms(void *ctx) {
  (void)ctx;
  return record->steady_ms;
}

/* What scripts print is the history; what is worse than that has no place in it. */
static void take_line(void *ctx, enum log_level level, const char *source, const char *text) {
  (void)ctx;
  (void)source;
  if (level == LOG_INFO && strchr("+-~=", text[0])) record_line(text);
  if (level > LOG_INFO) record_line(text);
  record->calls += level == LOG_INFO && text[0] == '+';
  if (text[0] == '=' && record->look_count < MOST_LOOKS)
    record->looked_ms[record->look_count++] = record->wall_ms;
}

static void drop_action(void *ctx, const char *json, size_t len) {
  (void)ctx;
  (void)json;
  (void)len;
}

static void must(enum moonkeep_code code, const struct err *err) {
  if (code) {
    record_line(err->message);
    _exit(1);
  }
}

static void open_host(struct host *host, const char *dir) {
  static const size_t caches[] = {1, 4000, 0}; /* bytes: everything is loaded again, some is, nothing is */
  struct err err;
  host->clock = (struct clock){wall_ms, steady_ms, NULL};
  host->log = (struct log){take_line, NULL, LOG_INFO};
  timers_init(&host->timers);
  struct store_options store = {.dir = dir,
                                .owner = "a test",
                                .clock = &host->clock,
                                .cache_bytes = caches[check_below(3)],
                                .archive = record->archived ? STORE_ARCHIVE_SYNC : STORE_ARCHIVE_OFF};
  must(store_open(&host->store, &store, &err), &err);
  struct scripts_options scripts = {.dir = "tests/history/scripts",
                                    .store = host->store,
                                    .timers = &host->timers,
                                    .clock = &host->clock,
                                    .log = &host->log,
                                    .action = drop_action};
  must(scripts_open(&host->scripts, &scripts, &err), &err);
  scripts_start(host->scripts);
}

static void advance(struct host *host, int64_t ms) {
  record->wall_ms += ms;
  record->steady_ms += ms;
  timers_run(&host->timers, record->steady_ms);
}

/* Now and then so far that the journal is folded under load. */
static void let_time_pass(struct host *host) {
  if (check_below(4) == 0) advance(host, (int64_t)check_below(25));
  if (check_below(200) == 0) advance(host, 1100);
}

/* ---- its backups ---- */

static bool backing_up;

static void backed_up(struct store_backup *request, const struct store_backup_state *made,
                      const struct err *err) {
  (void)request, (void)made;
  if (err && err->code != MOONKEEP_CLOSED) record_line(err->message);
  backing_up = false;
  record->backups += !err;
}

/* Takes one while the others go on. */
static void begin_backup(struct host *host) {
  static struct store_backup request = {backed_up};
  struct err err;
  if (!record->archived || backing_up) return;
  backing_up = true;
  must(store_backup(host->store, &request, &err), &err);
}

static void back_up(struct host *host) {
  begin_backup(host);
  while (backing_up) store_wait(host->store, -1);
  record->needs_backup = false;
}

static void emit(struct host *host, const char *name, uint64_t first) {
  char json[200];
  struct err err;
  int n = snprintf(json, sizeof json, "{\"event\":\"%s\",\"seed\":%llu,\"first\":%llu,\"by\":4}", name,
                   (unsigned long long)check_below(1u << 30), (unsigned long long)first);
  must(scripts_emit(host->scripts, name, strlen(name), json, (size_t)n, NULL, NULL, &err), &err);
}

/* Runs until nothing is left to do, or so many calls have been made. */
static void run(struct host *host, int calls) {
  while (record->calls < calls) {
    bool more = scripts_run(host->scripts);
    store_kick(host->store, more);
    store_pump(host->store);
    let_time_pass(host);
    if (check_below(400) == 0) begin_backup(host);
    if (more) continue;
    struct scripts_load load = scripts_load(host->scripts);
    if (store_pending(host->store) > 0)
      store_wait(host->store, -1);
    else if (load.running == 0 && load.sleeping == 0)
      return;
    else if (load.running == 0)
      advance(host, load.next_ms - record->steady_ms);
  }
}

static _Noreturn void live(const char *dir, int life) {
  struct host host;
  struct err err;
  open_host(&host, dir);
  if (record->needs_backup || check_below(3) == 0) back_up(&host);
  uint64_t first = (uint64_t)(life + 1) * LIFE_IDS;
  emit(&host, "look", first);
  run(&host, INT32_MAX);
  advance(&host, 1); /* nothing more happens in the moment of the look */
  emit(&host, "begin", first + LIFE_IDS / 2 / 4 * 4);
  run(&host, LIFE_CALLS);
  emit(&host, "over", 0);
  run(&host, INT32_MAX);
  scripts_close(host.scripts);
  must(store_close(host.store, &err), &err);
  _exit(0);
}

/* ---- the parent ---- */

static void wait_for(pid_t child, int calls) {
  int status;
  while (record->calls < calls && waitpid(child, &status, WNOHANG) == 0) usleep(50);
}

static void live_once(const char *dir, int life, bool kill_it) {
  int status = 0, calls = (int)check_below(LIFE_CALLS);
  uint64_t skip = check_below(1000); /* the child goes another way each time */
  record->calls = 0;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    while (skip-- > 0) check_random();
    live(dir, life);
  }
  if (kill_it) {
    wait_for(child, calls);
    usleep((useconds_t)check_below(500));
    kill(child, SIGKILL);
  }
  if (waitpid(child, &status, 0) != child) return; /* wait_for has seen its end */
  if (kill_it && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    record_line("! killed");
  else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    record_line("the host has crashed");
}

/* ---- between two hosts ---- */

static void spoil_page(const char *path) {
  char zeros[4096] = {0};
  struct stat st;
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) return;
  off_t page = (off_t)check_below((uint64_t)(st.st_size / 4096 + 1)) * 4096;
  CHECK(pwrite(fd, zeros, sizeof zeros, page) == sizeof zeros);
  close(fd);
}

/* To a moment at which everything had been read, where there is a backup of before it still. */
static void bring_back(const char *dir) {
  struct clock clock = {wall_ms, steady_ms, NULL};
  struct recalled recalled;
  struct err err;
  if (record->look_count == 0) return;
  int64_t to_ms = record->looked_ms[check_below((uint64_t)record->look_count)];
  bool newest = check_below(3) == 0;
  struct recall recall = {.dir = dir, .until_ms = newest ? INT64_MAX : to_ms, .clock = &clock};
  enum moonkeep_code code = recall_run(&recall, &recalled, &err);
  recalled_deinit(&recalled);
  if (code && !newest && strstr(err.message, "from before that moment")) return;
  if (code) record_line(err.message);
  char line[40];
  snprintf(line, sizeof line, "< %lld", (long long)to_ms);
  if (!code && !newest) record_line(line);
  record->brought_back++;
}

/* Before anything was saved there is nothing to bring back, and a damaged file is refused. */
static bool is_kept(const char *dir) {
  const char *backups = temp_path(dir, "backups");
  struct snapshot *all;
  struct err err;
  size_t count;
  uint64_t seq;
  int64_t at_ms;
  if (snapshot_list(backups, &all, &count, &err)) FAIL("%s", err.message);
  mem_free(all);
  if (archive_reach(backups, 1, 0, &seq, &at_ms, &err)) FAIL("%s", err.message);
  return count > 0 || seq > 0;
}

static void lose_something(const char *dir) {
  if (!is_kept(dir)) return;
  const char *file = temp_path(dir, "appdata.db"), *log = temp_path(dir, "appdata.db-wal");
  bool has_log = access(log, F_OK) == 0;
  record->lost++;
  switch (check_below(6)) {
  case 0: unlink(file); break;
  case 1: unlink(file), unlink(log), unlink(temp_path(dir, "appdata.db-shm")); break;
  case 2: temp_write(file, "this is no database"); break;
  case 3:
    if (has_log) spoil_page(file); /* only after a kill is the file looked at as a whole at once */
    break;
  case 4:
    unlink(log), unlink(temp_path(dir, "appdata.db-shm"));
    record->needs_backup |= has_log;
    break;
  default: bring_back(dir);
  }
}

/* Chance is not all that makes a history, time does too: one that does not hold may not come again. */
static const char *write_down(void) {
  static char path[256];
  const char *given = getenv("HISTORY");
  snprintf(path, sizeof path, "%s", given ? given : "/tmp/moonkeep-history-XXXXXX");
  int fd = given ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : mkstemp(path);
  if (fd < 0 || write(fd, record->text, record->len) != (ssize_t)record->len) return "nowhere";
  close(fd);
  return path;
}

/* A history from a file, once more. */
static bool check_given(void) {
  size_t len;
  struct buf why = {0};
  const char *path = getenv("CHECK");
  char *text = path ? temp_read(path, &len) : NULL;
  if (!text) return false;
  enum history_verdict verdict = history_check(text, len, &why, NULL);
  free(text);
  if (verdict != HISTORY_HOLDS) FAIL("the history does not hold\n%s", buf_text(&why));
  buf_deinit(&why);
  return true;
}

static void live_and_check(struct history_stats *sum) {
  const char *dir = temp_dir();
  struct buf why = {0};
  struct history_stats stats;
  record->len = 0;
  record->wall_ms = 1767225600000;
  record->steady_ms = 0;
  record->look_count = 0;
  record->archived = check_below(2) == 0;
  record->needs_backup = false;
  for (int life = 0; life < LIVES; life++) {
    bool lose = life > 0 && record->archived && !record->needs_backup && check_below(3) > 0;
    record->wall_ms += 2; /* what happened before has moments of its own */
    if (lose) lose_something(dir);
    record->wall_ms += 2;
    live_once(dir, life, life < LIVES - 2);
  }
  enum history_verdict verdict = history_check(record->text, record->len, &why, &stats);
  const char *what = verdict == HISTORY_TOO_WIDE ? "cannot be checked" : "does not hold";
  if (verdict != HISTORY_HOLDS) FAIL("the history %s (it is in %s)\n%s", what, write_down(), buf_text(&why));
  buf_deinit(&why);
  sum->calls += stats.calls;
  sum->unanswered += stats.unanswered;
  sum->kills += stats.kills;
  if (stats.states > sum->states) sum->states = stats.states;
}

TEST(what_tasks_see_is_one_order_of_changes_whatever_is_killed) {
  struct history_stats sum = {0};
  if (check_given()) return;
  record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(record != MAP_FAILED);
  for (long round = check_rounds(4); round > 0; round--) live_and_check(&sum);
  printf("%zu calls, %zu unanswered, %zu kills, at most %zu states, %d backups, %d losses, %d times brought "
         "back; "
         "seed %llu\n",
         sum.calls, sum.unanswered, sum.kills, sum.states, (int)record->backups, record->lost,
         record->brought_back, (unsigned long long)check_seed());
  CHECK(sum.kills > 0 && sum.unanswered > 0); /* something was under way when it was killed */
  munmap(record, sizeof *record);
}
