#include "script/trial.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "script/playground.h"
#include "script/suspects.h"
#include "script/trial_parts.h"

enum {
  ROUNDS = 100000,  /* turns of the bots after which they will never come to rest */
  BEATS = 1000000,  /* the same for timers in one test.advance */
  SHOWN_LINES = 50, /* of the log, below a failure */
};

static const int64_t START_MS = INT64_C(1767225600000); /* 2026-01-01 00:00 UTC: the same in every run */

/* ---- clock and log ---- */

static int64_t wall_ms(void *ctx) {
  return START_MS + ((struct trial *)ctx)->moved_ms;
}

static int64_t steady_ms(void *ctx) {
  return 1000 + ((struct trial *)ctx)->moved_ms;
}

static void on_log(void *ctx, enum log_level level, const char *source, const char *text) {
  struct trial *trial = ctx;
  size_t len = strlen(trial->options.file);
  bool own = len > 4 && strlen(source) == len - 4 && strncmp(source, trial->options.file, len - 4) == 0;
  pthread_mutex_lock(&trial->lock);
  bool told = trial->told && level == LOG_ERROR;
  if (told) {
    trial->told = false;
  } else if (!own) {
    buf_putc(&trial->lines, (char)('0' + level));
    buf_add(&trial->lines, source, strlen(source) + 1);
    buf_add(&trial->lines, text, strlen(text) + 1);
  }
  pthread_mutex_unlock(&trial->lock);
  if (!told && trial->options.log) trial->options.log(trial->options.ctx, own, level, source, text);
}

/* ---- what comes from the scripts ---- */

static void on_action(void *ctx, const char *json, size_t len) {
  struct trial *trial = ((struct trial_room *)ctx)->trial;
  buf_add(&trial->actions, json, len);
  buf_putc(&trial->actions, '\n');
}

/* With one frame of Lua the message has said it all. */
static bool is_worth_it(const char *trace) {
  unsigned frames = 0;
  for (const char *at = trace; (at = strstr(at, "\n\t"));) {
    at += 2;
    frames += strncmp(at, "[C]", 3) != 0;
  }
  return frames > 1;
}

static void on_fault(void *ctx, const char *script, const char *what, const char *message,
                     const char *trace) {
  struct trial_room *room = ctx;
  struct trial *trial = room->trial;
  bool own = room == &trial->tests;
  struct buf *out = own ? &trial->failure : &trial->faults;
  if (!own) buf_printf(out, "%s: %s: ", script, what);
  buf_puts(out, message);
  if (is_worth_it(trace)) buf_printf(out, "\n%s", trace);
  if (!own) buf_putc(out, '\0');
  pthread_mutex_lock(&trial->lock);
  trial->told = true;
  pthread_mutex_unlock(&trial->lock);
}

static void fail(struct trial *trial, const char *text) {
  if (trial->failure.len) buf_putc(&trial->failure, '\n');
  buf_puts(&trial->failure, text);
}

/* ---- the rooms ---- */

static struct scripts_options options_of(struct trial *trial, struct trial_room *room) {
  return (struct scripts_options){.dir = trial->options.dir,
                                  .store = trial->store,
                                  .timers = &trial->timers,
                                  .clock = &trial->clock,
                                  .log = &trial->log,
                                  .cpu_budget_ms = trial->options.cpu_budget_ms,
                                  .memory_bytes = trial->options.memory_bytes,
                                  .action = on_action,
                                  .ctx = room,
                                  .fault = on_fault};
}

static enum moonkeep_code open_tests(struct trial *trial, struct err *err) {
  struct scripts_options options = options_of(trial, &trial->tests);
  options.only_file = trial->options.file;
  options.trial = trial;
  return scripts_open(&trial->tests.scripts, &options, err);
}

static enum moonkeep_code open_bots(struct trial *trial, struct err *err) {
  struct scripts_options options = options_of(trial, &trial->bots);
  size_t count = 0;
  const char **names = mem_alloc((trial->chosen_bots.len + 1) * sizeof *names);
  if (!names) return err_memory(err);
  const char *at = trial->chosen_bots.data, *end = at + trial->chosen_bots.len;
  for (; at < end; at += strlen(at) + 1) names[count++] = at;
  options.only = names;
  options.only_count = count;
  enum moonkeep_code code = scripts_open(&trial->bots.scripts, &options, err);
  mem_free(names);
  if (!code) scripts_start(trial->bots.scripts);
  return code;
}

/* leveling_test.lua is about the bot leveling, shop/buy_test.lua about the bot shop; lib/text_test.lua about
 * none. A name that no bot has is none that is wanted. */
static void choose_bots(struct trial *trial) {
  const char *file = trial->options.file, *slash = strchr(file, '/');
  size_t len = slash ? (size_t)(slash - file) : strlen(file) - strlen("_test.lua");
  if (trial->chosen) return;
  buf_add(&trial->chosen_bots, file, len);
  buf_putc(&trial->chosen_bots, '\0');
}

/* ---- going on ---- */

static bool run(struct trial_room *room) {
  return room->scripts && scripts_run(room->scripts);
}

static bool has_ready(const struct trial_room *room) {
  return room->scripts && (!list_empty(&room->scripts->ready) || !list_empty(&room->scripts->slowed));
}

/* Until nothing can go on by itself at this moment of the clock. */
static bool settle(struct trial *trial) {
  int64_t now = steady_ms(trial);
  for (unsigned n = 0; n < ROUNDS; n++) {
    timers_run(&trial->timers, now);
    bool more = run(&trial->bots);
    more |= run(&trial->tests);
    store_kick(trial->store, more);
    store_pump(trial->store);
    if (more || has_ready(&trial->bots) || has_ready(&trial->tests)) continue;
    if (timers_next_ms(&trial->timers) <= now) continue;
    if (store_pending(trial->store) == 0) return true;
    store_wait(trial->store, -1);
  }
  fail(trial, "the bots do not come to rest: is there a bot.sleep(0), a bot.every(0, …) or a bot.emit "
              "without an end?");
  return false;
}

static bool advance(struct trial *trial) {
  int64_t target = trial->moved_ms + trial->advance_ms;
  for (unsigned n = 0; settle(trial); n++) {
    int64_t next = timers_next_ms(&trial->timers) - steady_ms(trial) + trial->moved_ms;
    if (timers_next_ms(&trial->timers) == INT64_MAX || next > target) {
      trial->moved_ms = target;
      return settle(trial);
    }
    if (n == BEATS) {
      fail(trial, "test.advance: the timers have fired a million times on the way: a smaller step, or a "
                  "slower timer?");
      return false;
    }
    trial->moved_ms = next;
  }
  return false;
}

static bool emit(struct trial *trial) {
  struct err err = {0};
  if (trial->event.failed || trial->name.failed) err_memory(&err);
  if (!err.code)
    scripts_emit(trial->bots.scripts, trial->name.data, trial->name.len, trial->event.data, trial->event.len,
                 NULL, NULL, &err);
  if (err.code) fail(trial, err.message);
  return !err.code && settle(trial);
}

static void close_bots(struct trial *trial) {
  scripts_close(trial->bots.scripts);
  trial->bots.scripts = NULL;
}

/* As a host does it that is told to stop: sleepers and timers end, then the `stop` handlers run. */
static bool restart(struct trial *trial) {
  struct err err;
  scripts_end_waits(trial->bots.scripts);
  scripts_stop(trial->bots.scripts);
  if (!settle(trial)) return false;
  close_bots(trial);
  if (!open_bots(trial, &err)) return settle(trial);
  fail(trial, err.message);
  return false;
}

static bool do_wish(struct trial *trial) {
  buf_clear(&trial->actions);
  switch (trial->wish) {
  case TRIAL_EMIT: return emit(trial);
  case TRIAL_ADVANCE: return advance(trial);
  case TRIAL_RESTART: return restart(trial);
  }
  return false;
}

/* ---- a case ---- */

static int start_case(lua_State *L) {
  const size_t *i = lua_touserdata(L, 1);
  lib_push_case(L, *i);
  task_start(L, 0, "a test", NULL);
  return 0;
}

/* Errors of bots that the case has not asked for. */
static void take_faults(struct trial *trial) {
  const char *at = trial->faults.data, *end = at + trial->faults.len;
  for (; at < end; at += strlen(at) + 1) fail(trial, at);
  buf_clear(&trial->faults);
}

static void run_case(struct trial *trial, size_t i) {
  struct err err;
  struct scripts *tests = trial->tests.scripts;
  struct script *script = list_of(tests->all.next, struct script, link);
  if (!script_protect(script, start_case, &i, &err)) {
    fail(trial, err.message);
    return;
  }
  while (settle(trial) && tests->tasks > 0) {
    struct task *task = trial->caller;
    trial->caller = NULL;
    if (!task) {
      fail(trial, "the case waits for something that never comes");
      return;
    }
    if (!do_wish(trial)) return;
    task_wake(task);
  }
}

bool trial_run(struct trial *trial, size_t i) {
  struct err err;
  choose_bots(trial);
  if (open_bots(trial, &err) != MOONKEEP_OK) {
    fail(trial, err.message);
    return false;
  }
  bool rests = settle(trial);
  take_faults(trial);
  if (rests && !trial->failure.len) run_case(trial, i);
  take_faults(trial);
  return trial->failure.len == 0;
}

/* ---- looking ---- */

size_t trial_cases(const struct trial *trial) {
  return trial->failure.len ? 0 : trial->case_count;
}

const char *trial_case(const struct trial *trial, size_t i) {
  const char *at = trial->cases.data;
  while (i-- > 0) at += strlen(at) + 1;
  return at;
}

const char *trial_failure(struct trial *trial) {
  return buf_text(&trial->failure);
}

const char *trial_log(struct trial *trial) {
  struct buf *out = &trial->text;
  unsigned lines = 0;
  buf_clear(out);
  pthread_mutex_lock(&trial->lock);
  for (const char *at = trial->lines.data, *end = at + trial->lines.len; at < end;) {
    enum log_level level = (enum log_level)(*at - '0');
    const char *source = at + 1, *text = source + strlen(source) + 1;
    at = text + strlen(text) + 1;
    if (level >= LOG_INFO && lines++ < SHOWN_LINES)
      buf_printf(out, "%s %s: %s\n", log_level_name(level), source, text);
  }
  pthread_mutex_unlock(&trial->lock);
  if (lines > SHOWN_LINES) buf_printf(out, "(%u lines more)\n", lines - SHOWN_LINES);
  return buf_text(out);
}

/* ---- the world ---- */

static enum moonkeep_code open_store(struct trial *trial, struct err *err) {
  trial->folder = playground_make();
  if (!trial->folder)
    return err_set(err, MOONKEEP_IO, "cannot make a folder for the store of a test: %s", strerror(errno));
  struct store_options options = {.dir = trial->folder,
                                  .owner = "moonkeep test",
                                  .value_bytes = trial->options.value_bytes,
                                  .clock = &trial->clock,
                                  .log = &trial->log};
  return store_open(&trial->store, &options, err);
}

static struct trial *make(const struct trial_options *options) {
  struct trial *trial = mem_zero(sizeof *trial);
  if (!trial) return NULL;
  trial->options = *options;
  trial->clock = (struct clock){wall_ms, steady_ms, trial};
  trial->log = (struct log){.write = on_log, .ctx = trial, .level = LOG_DEBUG};
  pthread_mutex_init(&trial->lock, NULL);
  timers_init(&trial->timers);
  trial->bots.trial = trial->tests.trial = trial;
  return trial;
}

enum moonkeep_code trial_open(struct trial **out, const struct trial_options *options, struct err *err) {
  struct trial *trial = *out = make(options);
  if (!trial) return err_memory(err);
  enum moonkeep_code code = open_store(trial, err);
  if (!code) code = open_tests(trial, err);
  if (!code && !trial->failure.len && list_empty(&trial->tests.scripts->all)) code = err_memory(err);
  if (!code) return MOONKEEP_OK;
  trial_close(trial);
  *out = NULL;
  return code;
}

void trial_close(struct trial *trial) {
  if (!trial) return;
  scripts_close(trial->tests.scripts);
  close_bots(trial);
  if (trial->store) store_close(trial->store, NULL);
  if (trial->folder) playground_remove(trial->folder);
  timers_deinit(&trial->timers);
  pthread_mutex_destroy(&trial->lock);
  struct buf *const bufs[] = {&trial->chosen_bots, &trial->lines, &trial->faults, &trial->actions,
                              &trial->failure,     &trial->cases, &trial->event,  &trial->name,
                              &trial->text,        &trial->path};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) buf_deinit(bufs[i]);
  mem_free(trial->folder);
  mem_free(trial);
}

/* ---- loading alone ---- */

struct checking {
  struct trial_room room; /* first: it is the scripts' ctx */
  struct trial_check *check;
  int failed;
};

static void on_problem(void *ctx, const char *script, const char *what, const char *message,
                       const char *trace) {
  struct checking *checking = ctx;
  (void)what;
  checking->failed++;
  checking->check->problem(checking->check->ctx, LOG_ERROR, script, message, trace);
}

static void ignore_action(void *ctx, const char *json, size_t len) {
  (void)ctx, (void)json, (void)len;
}

struct suspicion {
  struct trial_check *check;
  const char *script;
};

static void on_suspect(void *ctx, const char *message) {
  const struct suspicion *suspicion = ctx;
  suspicion->check->problem(suspicion->check->ctx, LOG_WARN, suspicion->script, message, "");
}

static void look_for_mistakes(struct trial_check *check, struct scripts *scripts) {
  for (struct list *node = scripts->all.next; node != &scripts->all; node = node->next) {
    struct script *script = list_of(node, struct script, link);
    struct suspicion suspicion = {check, script->name};
    suspects_each(script, on_suspect, &suspicion);
  }
}

int trial_check(struct trial_check *check, const struct trial_options *options, struct err *err) {
  struct trial *trial = make(options);
  struct checking checking = {.room = {.trial = trial}, .check = check};
  if (!trial) return err_memory(err), -1;
  enum moonkeep_code code = open_store(trial, err);
  if (!code) {
    struct scripts_options with = options_of(trial, &checking.room);
    with.fault = on_problem;
    with.action = ignore_action;
    code = scripts_open(&trial->bots.scripts, &with, err);
  }
  if (!code) check->loaded = scripts_count(trial->bots.scripts);
  if (!code) look_for_mistakes(check, trial->bots.scripts);
  trial_close(trial);
  return code ? -1 : checking.failed;
}
