/* Histories of a host in which three scripts with many tasks change and read the same few keys of two stores,
 * by chance, and which is killed again and again; each is checked (history.h). SEED repeats one, ROUNDS makes
 * more of them, HISTORY=FILE writes the last one down. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timers.h"
#include "check.h"
#include "helpers/temp.h"
#include "history/history.h"
#include "script/scripts.h"
#include "store/store.h"

enum {
  LIVES = 6,         /* of one history: hosts that are killed, but for the last two */
  LIFE_CALLS = 400,  /* made at most before a host ends */
  LIFE_IDS = 100000, /* numbers for the calls of one life */
  RECORD_BYTES = 4 << 20,
};

/* Memory that outlives the child: a line counts when `len` does. */
struct record {
  _Atomic size_t len;
  _Atomic int64_t wall_ms, steady_ms; /* the host's clock, which stands still but where the host moves it */
  _Atomic int calls;                  /* in this life */
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
  struct store_options store = {
      .dir = dir, .owner = "a test", .clock = &host->clock, .cache_bytes = caches[check_below(3)]};
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
  uint64_t first = (uint64_t)(life + 1) * LIFE_IDS;
  emit(&host, "look", first);
  run(&host, INT32_MAX);
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
  for (int life = 0; life < LIVES; life++) live_once(dir, life, life < LIVES - 2);
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
  printf("%zu calls, %zu unanswered, %zu kills, at most %zu states\n", sum.calls, sum.unanswered, sum.kills,
         sum.states);
  CHECK(sum.kills > 0 && sum.unanswered > 0); /* something was under way when it was killed */
  munmap(record, sizeof *record);
}
