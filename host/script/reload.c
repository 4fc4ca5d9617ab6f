#include "script/reload.h"

#include <string.h>

#include "base/mem.h"
#include "script/ask.h"
#include "script/event.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/quote.h"
#include "script/task.h"

enum { PATIENCE_MS = 1000 }; /* what runs has so long to end, where the grace period is shorter */

static int64_t now_ms(const struct scripts *scripts) {
  return clock_steady_ms(scripts->options.clock);
}

/* ---- bots ---- */

struct bot *bot_find(const struct scripts *scripts, const char *name) {
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next) {
    struct bot *bot = list_of(node, struct bot, link);
    if (strcmp(bot->name, name) == 0) return bot;
  }
  return NULL;
}

/* In front of the first that comes behind it. */
static void add_bot(struct scripts *scripts, struct bot *bot) {
  struct list *node = scripts->bots.next;
  while (node != &scripts->bots && strcmp(list_of(node, struct bot, link)->name, bot->name) < 0)
    node = node->next;
  list_add(node, &bot->link);
}

struct bot *bot_new(struct scripts *scripts, const char *name, const char *file) {
  struct bot *bot = mem_zero(sizeof *bot);
  if (!bot) return NULL;
  bot->scripts = scripts;
  list_init(&bot->link);
  list_init(&bot->tried);
  list_init(&bot->asks);
  bot->name = mem_copy(name, strlen(name));
  if (bot->name && bot_renew(bot, file)) {
    add_bot(scripts, bot);
    return bot;
  }
  bot_free(bot);
  return NULL;
}

void bot_free(struct bot *bot) {
  list_take(&bot->link);
  ask_answer(bot, "failed", "the host is ending");
  sources_free(&bot->tried);
  mem_free(bot->why);
  mem_free(bot->name);
  mem_free(bot->file);
  mem_free(bot);
}

bool bot_renew(struct bot *bot, const char *file) {
  char *copy = mem_copy(file, strlen(file));
  struct list tried;
  list_init(&tried);
  struct source *source = copy ? source_note(&tried, bot->scripts->options.dir, file) : NULL;
  if (!source) {
    mem_free(copy);
    return false;
  }
  source->loaded = source->seen = (struct stamp){.kind = STAMP_NEVER};
  mem_free(bot->file);
  bot->file = copy;
  sources_free(&bot->tried);
  list_join(&bot->tried, &tried);
  return true;
}

void bot_explain(struct bot *bot, const char *why) {
  enum { MOST_BYTES = 2000 };
  mem_free(bot->why);
  bot->why = why ? mem_copy(why, strnlen(why, MOST_BYTES)) : NULL;
}

struct list *bot_sources(struct bot *bot) {
  if (!list_empty(&bot->tried) || !bot->live) return &bot->tried;
  return bot->next ? &bot->next->sources : &bot->live->sources;
}

/* ---- the end of a version ---- */

static void finish(struct script *script) {
  if (script->stage == SCRIPT_STOPPING)
    log_write(script_log(script), LOG_DEBUG, script->name, "version %u has ended", script->generation);
  script->stage = SCRIPT_OVER;
  script_drop(script, "the script was stopped");
  script_free(script);
}

static void stop_sleepers(struct script *script, const char *why) {
  for (struct list *node = script->tasks.next, *next; node != &script->tasks; node = next) {
    struct task *task = list_of(node, struct task, link);
    next = node->next;
    if (task->state == TASK_SLEEPING) task_drop(task, why);
  }
}

static void stop_tasks(struct script *script, const char *why) {
  while (!list_empty(&script->tasks)) task_drop(list_of(script->tasks.next, struct task, link), why);
}

static void on_grace_over(struct timer *timer) {
  static const char why[] = "the script was reloaded, and this did not end within the grace period";
  struct script *script = list_of(timer, struct script, grace);
  struct scripts *scripts = script->scripts;
  size_t before = scripts->tasks;
  if (now_ms(scripts) >= script->patience_ends_ms)
    stop_tasks(script, why);
  else
    stop_sleepers(script, why);
  if (scripts->tasks < before)
    log_write(script_log(script), LOG_WARN, script->name,
              "the old version was still at work after the grace period: %zu of its tasks stopped",
              before - scripts->tasks);
  if (!list_empty(&script->tasks) &&
      !timer_set(scripts->options.timers, &script->grace, script->patience_ends_ms))
    stop_tasks(script, why);
}

static void set_grace(struct script *script) {
  struct scripts *scripts = script->scripts;
  int64_t grace_ms = scripts->options.grace_ms, now = now_ms(scripts);
  script->patience_ends_ms = now + (grace_ms > PATIENCE_MS ? grace_ms : PATIENCE_MS);
  script->grace.fire = on_grace_over;
  if (timer_set(scripts->options.timers, &script->grace, now + grace_ms)) return;
  stop_tasks(script, "out of memory");
}

/* The old versions of a bot together may hold as much memory as one script. Where they follow each other
 * faster than they drain, the oldest has to go. */
static void make_room(struct scripts *scripts, const char *name) {
  struct script *oldest = NULL;
  size_t bytes = 0, limit_bytes = scripts->options.memory_bytes;
  for (struct list *node = scripts->others.prev; node != &scripts->others; node = node->prev) {
    struct script *script = list_of(node, struct script, link);
    if (script->stage == SCRIPT_NEXT || list_empty(&script->tasks) || strcmp(script->name, name) != 0)
      continue;
    bytes += script->bytes;
    oldest = script;
    if (bytes > limit_bytes) break;
  }
  if (!oldest || bytes <= limit_bytes) return;
  log_write(scripts->options.log, LOG_WARN, name,
            "old versions that are still at work hold more memory than a script may: stopped the oldest");
  stop_tasks(oldest, "the script was reloaded, and its old versions held too much memory for this to end");
}

/* The live version gets no more events; what it has begun goes on. */
static void retire(struct script *script) {
  struct scripts *scripts = script->scripts;
  script->stage = SCRIPT_DRAINING;
  script->bot = NULL;
  script->handing_over = false;
  list_take(&script->link);
  list_add(&scripts->others, &script->link);
  lib_end_timers(script);
  set_grace(script);
  make_room(scripts, script->name);
  reload_poke(script);
}

static void drain(struct script *script) {
  if (script->starting == 0) event_release(script);
  if (!list_empty(&script->tasks) || !list_empty(&script->held)) return;
  script->stage = SCRIPT_STOPPING;
  set_grace(script);
  if (!event_deliver_to(script, "stop"))
    log_write(script_log(script), LOG_ERROR, script->name, "no stop event: out of memory");
  reload_poke(script);
}

/* ---- the next version ---- */

static void report(struct bot *bot, const char *message, const char *trace) {
  const struct scripts_options *options = &bot->scripts->options;
  const struct log *log = options->log;
  struct buf text = {0};
  if (options->fault) options->fault(options->ctx, bot->name, "not loaded", message, trace);
  buf_printf(&text, "%s: %s", bot->live ? "not reloaded" : "not loaded", message);
  if (*trace) buf_printf(&text, "\n%s", trace);
  if (bot->live) buf_puts(&text, "\nthe old version is still running");
  log_text(log, LOG_ERROR, bot->name, text.failed ? message : buf_text(&text));
  buf_deinit(&text);
  bot_explain(bot, message);
  ask_answer(bot, "failed", message);
}

static void tell(struct bot *bot, const char *what, const char *more) {
  const struct scripts_options *options = &bot->scripts->options;
  log_write(options->log, LOG_INFO, bot->name, "%s%s", what, more);
  if (options->changed) options->changed(options->ctx, bot->name, what);
  ask_answer(bot, what, NULL);
}

/* The live version goes on alone; the files of this one have to change before there is another try. */
static void throw_away(struct bot *bot, struct script *script) {
  sources_free(&bot->tried);
  list_join(&bot->tried, &script->sources);
  if (bot->next == script) bot->next = NULL;
  if (bot->live && bot->live->handing_over) {
    bot->live->handing_over = false;
    reload_poke(bot->live);
  }
  finish(script);
}

static void count_in(struct bot *bot, struct script *script) {
  script->stage = SCRIPT_LIVE;
  script->loaded_ms = clock_wall_ms(script->scripts->options.clock);
  script->generation = ++bot->generation;
  bot_explain(bot, NULL);
  bot->live = script;
}

static void take_over(struct script *script) {
  struct bot *bot = script->bot;
  struct script *old = bot->live;
  list_take(&script->link);
  list_add(&old->link, &script->link); /* in its place */
  bot->next = NULL;
  count_in(bot, script);
  event_move_held(old, script);
  retire(old);
  reload_poke(script);
  tell(bot, "reloaded", "");
}

static void add_live(struct scripts *scripts, struct script *script) {
  struct list *node = scripts->all.next;
  while (node != &scripts->all && strcmp(list_of(node, struct script, link)->name, script->name) < 0)
    node = node->next;
  list_add(node, &script->link);
  scripts->count++;
}

/* There is no other version that it could take over from. */
static void begin(struct bot *bot, struct script *script) {
  struct scripts *scripts = bot->scripts;
  count_in(bot, script);
  add_live(scripts, script);
  if (!scripts->started) return; /* its `start` comes with those of the others */
  if (!event_deliver_to(script, "start"))
    log_write(script_log(script), LOG_ERROR, script->name, "no start event: out of memory");
  tell(bot, "loaded", "");
}

static void stand_by(struct bot *bot, struct script *script) {
  bot->next = script;
  list_add(&bot->scripts->others, &script->link);
  if (!event_deliver_to(script, "start")) reload_start_failed(script, "out of memory", "");
  reload_poke(script);
}

/* A file that was changed while it was read, or after: what was loaded may be half of it. */
static bool is_torn(const struct script *script) {
  return !sources_fresh(&script->sources, script->scripts->options.dir);
}

/* Whether the next version is the live one's code, as far as it has been read: then it will want the same
 * modules. */
static bool is_same_code(const struct script *script, const struct script *live) {
  for (struct list *node = script->sources.next; node != &script->sources; node = node->next) {
    const struct source *now = list_of(node, struct source, link);
    const struct source *before = source_find(&live->sources, now->path);
    if (before && !stamp_same(&before->loaded, &now->loaded)) return false;
  }
  return true;
}

/* A module that handlers require is not read before they run. One that was saved with a mistake in it must
 * not take the place of the one that works, all the same. */
static bool late_modules_compile(struct script *script, struct script *live, struct fault_text *why) {
  const char *dir = script->scripts->options.dir;
  if (!live || !is_same_code(script, live)) return true;
  for (struct list *node = live->sources.next; node != &live->sources; node = node->next) {
    const struct source *source = list_of(node, struct source, link);
    if (source_find(&script->sources, source->path) || source_is_fresh(source, dir)) continue;
    if (source_is_there(source, dir) && !script_compiles(script, source->path, why)) return false;
  }
  return true;
}

static void judge(struct bot *bot, struct script *script, bool loaded, bool first, struct fault_text *why) {
  if (!first && is_torn(script)) {
    throw_away(bot, script); /* and the next look tries again */
  } else if (!loaded) {
    report(bot, buf_text(&why->message), buf_text(&why->trace));
    throw_away(bot, script);
  } else if (bot->live) {
    stand_by(bot, script);
  } else {
    begin(bot, script);
  }
}

void reload_try(struct bot *bot, bool first) {
  struct fault_text why = {0};
  struct script *script = script_new(bot->scripts, bot->name);
  if (bot->next) throw_away(bot, bot->next);
  if (!script) {
    report(bot, "out of memory", "");
    return;
  }
  script->bot = bot;
  sources_free(&bot->tried);
  bool loaded =
      script_load(script, bot->file, bot->live, &why) && late_modules_compile(script, bot->live, &why);
  judge(bot, script, loaded, first, &why);
  fault_text_deinit(&why);
}

bool reload_start_failed(struct script *script, const char *message, const char *trace) {
  if (script->stage != SCRIPT_NEXT || script->failed) return false;
  struct buf text = {0};
  buf_puts(&text, message);
  quote_line(script, message, &text);
  script->failed = true;
  report(script->bot, text.failed ? message : buf_text(&text), trace);
  buf_deinit(&text);
  reload_poke(script);
  return true;
}

void reload_remove(struct bot *bot) {
  struct script *live = bot->live;
  if (bot->next) throw_away(bot, bot->next);
  if (live) {
    bot->scripts->count--;
    retire(live);
    tell(bot, "unloaded", ": its file is gone");
  }
  ask_answer(bot, "unloaded", NULL);
  bot_free(bot);
}

/* ---- turns ---- */

static void take_turn(struct job *job) {
  struct script *script = list_of(job, struct script, turn);
  script->scripts->queued--;
  switch (script->stage) {
  case SCRIPT_LIVE:
    if (script->starting == 0 && !script->handing_over) event_release(script);
    break;
  case SCRIPT_NEXT:
    if (script->failed)
      throw_away(script->bot, script);
    else if (script->starting == 0)
      take_over(script);
    break;
  case SCRIPT_DRAINING: drain(script); break;
  case SCRIPT_STOPPING:
    if (list_empty(&script->tasks)) finish(script);
    break;
  case SCRIPT_OVER: break;
  }
}

void reload_poke(struct script *script) {
  if (script->stage == SCRIPT_OVER || !list_empty(&script->turn.link)) return;
  script->turn.run = take_turn;
  list_add(&script->scripts->ready, &script->turn.link);
  script->scripts->queued++;
}

void reload_forget(struct script *script) {
  timer_clear(script->scripts->options.timers, &script->grace);
  if (list_empty(&script->turn.link)) return;
  list_take(&script->turn.link);
  script->scripts->queued--;
}

void reload_end(struct scripts *scripts) {
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next) {
    struct bot *bot = list_of(node, struct bot, link);
    if (bot->next) throw_away(bot, bot->next);
    ask_answer(bot, "failed", "the host is ending");
  }
}
