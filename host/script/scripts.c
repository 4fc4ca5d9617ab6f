#include "script/scripts.h"

#include <string.h>

#include "base/mem.h"
#include "script/event.h"
#include "script/finds.h"
#include "script/lib.h"
#include "script/look.h"
#include "script/reload.h"
#include "script/script.h"
#include "script/task.h"

enum {
  RUN_JOBS = 64,           /* how many jobs scripts_run does before the loop gets its turn */
  MEMORY_BYTES = 64 << 20, /* what a script may use, where nobody says */
};

/* ---- open and close ---- */

static const char *left_out(const struct scripts *scripts, const char *name) {
  const struct scripts_options *options = &scripts->options;
  for (size_t i = 0; i < options->left_out_count; i++)
    if (strcmp(options->left_out[i].name, name) == 0) return options->left_out[i].why;
  return NULL;
}

static void load_found(struct scripts *scripts, const struct found *found) {
  const struct log *log = scripts->options.log;
  const char *why = left_out(scripts, found->name);
  struct bot *bot = bot_new(scripts, found->name, found->file);
  if (!bot)
    log_write(log, LOG_ERROR, found->name, "not loaded: out of memory");
  else if (!why)
    reload_try(bot, true);
  else if (!source_note(&bot->tried, scripts->options.dir, bot->file)) /* as if it had been tried */
    log_write(log, LOG_ERROR, found->name, "out of memory");
  else
    log_write(log, LOG_WARN, found->name, "left out: %s; save %s to let it in again", why, bot->file);
  if (bot && why) bot_explain(bot, why);
}

static bool is_wanted(const struct scripts_options *options, const char *name) {
  if (!options->only) return !options->only_file;
  for (size_t i = 0; i < options->only_count; i++)
    if (strcmp(options->only[i], name) == 0) return true;
  return false;
}

/* A file that is no bot of the folder by its name: a test. */
static void load_file(struct scripts *scripts, const char *file) {
  char *copy = mem_copy(file, strlen(file)), *name = mem_copy(file, strlen(file) - strlen(".lua"));
  struct found found = {name, copy};
  if (copy && name) load_found(scripts, &found);
  mem_free(copy);
  mem_free(name);
}

static void load_all(struct scripts *scripts, const struct finds *finds) {
  const struct scripts_options *options = &scripts->options;
  for (size_t i = 0; i < finds->count; i++)
    if (is_wanted(options, finds->all[i].name)) load_found(scripts, &finds->all[i]);
  if (options->only_file) load_file(scripts, options->only_file);
  if (finds->count == 0 && !options->only_file && !options->only)
    log_write(scripts->options.log, LOG_WARN, "scripts", "no scripts in %s: put a file like hello.lua there",
              scripts->options.dir);
}

struct scripts *scripts_make(const struct scripts_options *options) {
  struct scripts *scripts = mem_zero(sizeof *scripts);
  char *dir = scripts ? mem_copy(options->dir, strlen(options->dir)) : NULL;
  if (!dir) {
    mem_free(scripts);
    return NULL;
  }
  scripts->options = *options;
  scripts->options.dir = dir;
  if (!scripts->options.clock) scripts->options.clock = &clock_system;
  list_init(&scripts->bots);
  if (!scripts->options.memory_bytes) scripts->options.memory_bytes = MEMORY_BYTES;
  budget_init(&scripts->budget, options->cpu_budget_ms, options->budget_signal, options->log);
  list_init(&scripts->all);
  list_init(&scripts->others);
  list_init(&scripts->ready);
  list_init(&scripts->slowed);
  list_init(&scripts->held);
  watch_init(&scripts->watch);
  return scripts;
}

enum moonkeep_code scripts_open(struct scripts **out, const struct scripts_options *options,
                                struct err *err) {
  struct finds finds = {0};
  struct scripts *scripts = NULL;
  enum moonkeep_code code = finds_read(&finds, options->dir, options->log, err);
  if (code == MOONKEEP_OK) {
    scripts = scripts_make(options);
    if (!scripts) code = err_memory(err);
  }
  if (code == MOONKEEP_OK) load_all(scripts, &finds);
  finds_deinit(&finds);
  *out = scripts;
  return code;
}

static void drop_all(struct list *list) {
  for (struct list *node = list->next; node != list; node = node->next) {
    struct script *script = list_of(node, struct script, link);
    script->stage = SCRIPT_OVER;
    script_drop(script, "the host stopped");
    reload_forget(script);
  }
}

static void free_all(struct list *list) {
  while (!list_empty(list)) script_free(list_of(list->next, struct script, link));
}

static void drop_events(struct list *jobs) {
  for (struct list *node; (node = list_pop(jobs));) {
    struct event *event = list_of(list_of(node, struct job, link), struct event, job);
    event->failed = true;
    event_free(event);
  }
}

void scripts_close(struct scripts *scripts) {
  if (!scripts) return;
  scripts->closing = true;
  scripts_end_reloads(scripts);
  drop_all(&scripts->all);
  drop_all(&scripts->others);
  drop_events(&scripts->ready); /* with the tasks and turns gone, only events are left in line */
  drop_events(&scripts->held);
  while (scripts->calls > 0) store_wait(scripts->options.store, -1);
  free_all(&scripts->all);
  free_all(&scripts->others);
  while (!list_empty(&scripts->bots)) bot_free(list_of(scripts->bots.next, struct bot, link));
  watch_close(&scripts->watch);
  buf_deinit(&scripts->scratch);
  budget_deinit(&scripts->budget);
  mem_free((char *)scripts->options.dir);
  mem_free(scripts);
}

size_t scripts_count(const struct scripts *scripts) {
  return scripts->count;
}

uint64_t scripts_events_done(const struct scripts *scripts, uint64_t *failed) {
  *failed = scripts->events_failed;
  return scripts->events_done;
}

void scripts_each(const struct scripts *scripts, void (*visit)(void *ctx, const struct scripts_state *),
                  void *ctx) {
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next) {
    const struct bot *bot = list_of(node, struct bot, link);
    const struct script *live = bot->live;
    struct scripts_state state = {.name = bot->name, .file = bot->file, .why = bot->why};
    if (live) {
      state.version = live->generation;
      state.bytes = live->bytes;
      state.limit_bytes = live->limit_bytes;
      state.loaded_ms = live->loaded_ms;
      state.runs = live->runs;
      state.errors = live->errors;
      state.cpu_us = (uint64_t)(live->cpu_ns / 1000);
      for (struct list *task = live->tasks.next; task != &live->tasks; task = task->next) state.tasks++;
    }
    visit(ctx, &state);
  }
}

/* ---- events ---- */

/* The host's own events have no one who waits for them; where memory is short they are lost, and said to be.
 */
static void lost(struct scripts *scripts, const char *name) {
  log_write(scripts->options.log, LOG_ERROR, "scripts", "no %s event: out of memory", name);
}

void scripts_start(struct scripts *scripts) {
  if (scripts->started) return;
  scripts->started = true;
  for (struct list *node = scripts->all.next; node != &scripts->all; node = node->next)
    if (!event_deliver_to(list_of(node, struct script, link), "start")) lost(scripts, "start");
  for (struct list *node = scripts->held.next; node != &scripts->held; node = node->next) scripts->queued++;
  list_join(&scripts->ready, &scripts->held);
  look_open(scripts);
}

void scripts_stop(struct scripts *scripts) {
  static const char json[] = "{\"event\":\"stop\"}";
  scripts_end_reloads(scripts);
  if (!event_queue(scripts, true, "stop", 4, json, sizeof json - 1)) lost(scripts, "stop");
}

/* ---- reloading ---- */

int scripts_watch_fd(const struct scripts *scripts) {
  return scripts->watch.fd;
}

void scripts_look(struct scripts *scripts) {
  if (watch_read(&scripts->watch)) look_soon(scripts);
}

void scripts_end_reloads(struct scripts *scripts) {
  if (scripts->ending) return;
  scripts->ending = true;
  look_close(scripts);
  reload_end(scripts);
}

enum moonkeep_code scripts_emit(struct scripts *scripts, const char *name, size_t name_len, const char *json,
                                size_t len, void (*done)(void *ctx, const struct scripts_outcome *),
                                void *ctx, struct err *err) {
  struct event *event = event_queue(scripts, false, name, name_len, json, len);
  if (!event) return err_memory(err);
  event->done = done;
  event->ctx = ctx;
  return MOONKEEP_OK;
}

/* ---- running ---- */

static bool run_first(struct list *jobs) {
  struct list *node = list_pop(jobs);
  if (!node) return false;
  struct job *job = list_of(node, struct job, link);
  job->run(job);
  return true;
}

/* Each has run, and made its call, before the next one is let go: so no more go than there is room for. */
static bool run_slowed(struct scripts *scripts) {
  return store_has_room(scripts->options.store) && run_first(&scripts->slowed);
}

size_t scripts_room_in_line(const struct scripts *scripts, size_t most) {
  enum { WAITING = 4 };
  size_t awake = scripts->tasks - scripts->sleeping, calls = store_pending(scripts->options.store);
  if (awake >= WAITING * most && calls >= WAITING * most) return 0;
  if (scripts->slowed_count >= most) return 0;
  for (const struct list *at = scripts->ready.next; at != &scripts->ready && most > 0; at = at->next) most--;
  return most;
}

void scripts_set_deadline(struct scripts *scripts, int64_t until_us) {
  scripts->until_us = until_us;
}

bool scripts_run(struct scripts *scripts) {
  for (unsigned n = 0; n < RUN_JOBS; n++) {
    if (scripts->until_us && n > 0 && clock_ticks_us() >= scripts->until_us) break;
    bool ran = run_slowed(scripts);
    if (!run_first(&scripts->ready) && !ran) return false;
  }
  return !list_empty(&scripts->ready);
}

static int64_t earlier(const struct timer *timer, int64_t ms) {
  return timer->place && timer->due_ms < ms ? timer->due_ms : ms;
}

static int64_t next_due(const struct script *script) {
  int64_t next_ms = lib_next_timer(script);
  for (struct list *node = script->tasks.next; node != &script->tasks; node = node->next)
    next_ms = earlier(&list_of(node, struct task, link)->timer, next_ms);
  return next_ms;
}

static int64_t earlier_of(const struct list *list, int64_t next_ms) {
  for (struct list *node = list->next; node != list; node = node->next) {
    int64_t due_ms = next_due(list_of(node, struct script, link));
    if (due_ms < next_ms) next_ms = due_ms;
  }
  return next_ms;
}

size_t scripts_slowed(const struct scripts *scripts) {
  return scripts->slowed_count;
}

struct scripts_load scripts_load(const struct scripts *scripts) {
  struct scripts_load load = {.next_ms = INT64_MAX};
  load.running = scripts->tasks - scripts->sleeping + scripts->queued;
  load.sleeping = scripts->sleeping;
  load.timers = scripts->timers;
  load.events = scripts->events;
  if (load.sleeping + load.timers == 0) return load;
  load.next_ms = earlier_of(&scripts->all, earlier_of(&scripts->others, INT64_MAX));
  return load;
}

static void end_sleepers(struct script *script) {
  for (struct list *node = script->tasks.next, *next; node != &script->tasks; node = next) {
    struct task *task = list_of(node, struct task, link);
    next = node->next;
    if (task->state == TASK_SLEEPING) task_drop(task, "the host stopped");
  }
}

static void end_waits(struct list *list) {
  for (struct list *node = list->next; node != list; node = node->next) {
    struct script *script = list_of(node, struct script, link);
    end_sleepers(script);
    lib_end_timers(script);
  }
}

void scripts_end_waits(struct scripts *scripts) {
  end_waits(&scripts->all);
  end_waits(&scripts->others);
}
