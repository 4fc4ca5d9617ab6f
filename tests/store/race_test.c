/* Many processes that want one folder at the same moment: one has it, the others are told who, and nothing
 * that anybody was told is saved is lost; also while whoever has it is killed, and while a start restores the
 * store. ROUNDS says how many races there are. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/snapshot.h"
#include "store/store.h"

enum { RACERS = 6, MOST_KILL_US = 40000 };

/* Memory that all of them share. */
struct course {
  atomic_bool go;
  atomic_long acknowledged, submitted; /* how often one was added */
  atomic_int served, refused, restored;
  pid_t racers[RACERS];
  char why[600]; /* what was wrong; "": nothing */
};

static struct course *course;

static struct course *new_course(void) {
  void *shared = mmap(NULL, sizeof *course, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  return shared;
}

/* ---- a racer ---- */

static _Noreturn void give_up(const char *what, const char *said) {
  snprintf(course->why, sizeof course->why, "%s: %.500s", what, said);
  _exit(1);
}

/* Whoever has the folder is one of us: what an earlier process has left in the lock file would mislead. */
static void check_refusal(const struct err *err) {
  const char *process = strstr(err->message, "in use by process ");
  long pid = process ? strtol(process + strlen("in use by process "), NULL, 10) : 0;
  bool ours = false;
  for (int i = 0; i < RACERS; i++) ours |= course->racers[i] == pid;
  if (err->code != MOONKEEP_BUSY || !ours) give_up("refused", err->message);
  atomic_fetch_add(&course->refused, 1);
}

static enum moonkeep_code try_open(const char *dir, struct store **store, struct err *err) {
  struct store_options options = {
      .dir = dir, .owner = "a test", .clock = &sync_clock, .archive = STORE_ARCHIVE_SYNC};
  return store_open(store, &options, err);
}

static struct store *open_at_last(const char *dir) {
  struct store *store;
  struct err err;
  for (;;) {
    if (try_open(dir, &store, &err) == MOONKEEP_OK) return store;
    check_refusal(&err);
    usleep(200);
  }
}

/* The witness is a lock that only one who has the folder takes. Its descriptor is the older one: the kernel
 * closes it before that of the folder's lock when the process dies. */
static void serve(const char *dir, int witness) {
  bool now;
  struct store *store = open_at_last(dir);
  if (flock(witness, LOCK_EX | LOCK_NB) != 0) give_up("two have the folder", strerror(errno));
  long n = (long)sync_add(store, "appData", "n", 0);
  if (n < course->acknowledged || n > course->submitted) {
    char numbers[100];
    snprintf(numbers, sizeof numbers, "it is %ld, acknowledged %ld, submitted %ld", n,
             (long)course->acknowledged, (long)course->submitted);
    give_up("the number", numbers);
  }
  atomic_fetch_add(&course->restored, store_receipt(store, &now)[0] && now);
  store_receipt_told(store);
  atomic_store(&course->submitted, n + 1);
  sync_add(store, "appData", "n", 1);
  atomic_store(&course->acknowledged, n + 1);
  atomic_fetch_add(&course->served, 1);
  flock(witness, LOCK_UN);
  sync_close(store);
}

/* One that is doomed is killed at any moment: while it waits, opens, restores, writes, closes. */
static _Noreturn void race(const char *dir, long kill_us) {
  int witness = open(temp_path(dir, "witness"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (witness < 0) give_up("the witness", strerror(errno));
  while (!atomic_load(&course->go)) usleep(50);
  struct itimerval timer = {.it_value = {.tv_usec = kill_us}};
  if (kill_us > 0) setitimer(ITIMER_REAL, &timer, NULL); /* SIGALRM kills as SIGKILL does */
  serve(dir, witness);
  _exit(0);
}

/* ---- a race ---- */

enum loss { NOTHING, STORE_FILE, STORE_FILE_SPOILED, LOG, LOSSES };

static void lose(const char *dir, enum loss loss) {
  if (loss == STORE_FILE) unlink(temp_path(dir, "appdata.db"));
  if (loss == STORE_FILE_SPOILED) temp_write(temp_path(dir, "appdata.db"), "this is no database");
  if (loss == LOG) unlink(temp_path(dir, "appdata.db-wal"));
  if (loss != NOTHING) unlink(temp_path(dir, "appdata.db-shm"));
}

/* A log that is gone where the file has all may have been taken away by another program, whose changes the
 * archive lacks: from there on it takes a new backup, which the host makes when it has a moment. */
static void back_up(const char *dir) {
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
}

static void start_racers(const char *dir, int doomed) {
  atomic_store(&course->go, false);
  for (int i = 0; i < RACERS; i++) {
    long kill_us = i < doomed ? 1 + (long)check_below(MOST_KILL_US) : 0;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) race(dir, kill_us);
    course->racers[i] = pid;
  }
  atomic_store(&course->go, true);
}

/* How many were killed. */
static int await_racers(void) {
  int killed = 0;
  for (int i = 0; i < RACERS; i++) {
    int status;
    CHECK(waitpid(course->racers[i], &status, 0) == course->racers[i]);
    bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    killed += was_killed;
    if (course->why[0]) FAIL("%s", course->why);
    if (!was_killed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) FAIL("status %d", status);
  }
  return killed;
}

static long hold_races(int doomed, bool with_losses) {
  const char *dir = temp_dir();
  long rounds = check_rounds(8), killed = 0;
  course = new_course();
  for (long round = 0; round < rounds; round++) {
    int served = course->served;
    enum loss loss = with_losses && round > 0 ? (enum loss)(1 + check_below(LOSSES - 1)) : NOTHING;
    lose(dir, loss);
    start_racers(dir, doomed);
    int dead = await_racers();
    if (loss == LOG) back_up(dir);
    CHECK(course->served - served >= RACERS - dead);
    killed += dead;
  }
  printf("%ld races of %d: %d served, %d refusals, %d restores, %ld killed; seed %llu\n", rounds, RACERS,
         course->served, course->refused, course->restored, killed, (unsigned long long)check_seed());
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
  if (with_losses && rounds > 1) CHECK(course->restored > 0);
  munmap(course, sizeof *course);
  return killed;
}

TEST(one_of_many_has_the_folder_and_the_others_are_told_who) {
  hold_races(0, false);
}

TEST(killed_ones_let_go_of_the_folder_at_once_and_lose_nothing) {
  hold_races(RACERS / 2, false);
}

TEST(one_of_many_restores_a_store_that_is_lost) {
  hold_races(0, true);
}

TEST(killed_ones_leave_a_restore_to_the_next) {
  hold_races(RACERS / 2, true);
}
