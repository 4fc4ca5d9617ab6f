#include "script/look.h"

#include <string.h>

#include "base/mem.h"
#include "script/ask.h"
#include "script/file.h"
#include "script/finds.h"
#include "script/reload.h"

static int64_t now_ms(const struct scripts *scripts) {
  return clock_steady_ms(scripts->options.clock);
}

/* ---- what there is ---- */

static void take_found(struct scripts *scripts, const struct found *found) {
  struct bot *bot = bot_find(scripts, found->name);
  if (!bot) bot = bot_new(scripts, found->name, found->file);
  if (!bot) return; /* no memory: the next look tries again */
  if (strcmp(bot->file, found->file) != 0 && !bot_renew(bot, found->file)) return;
  bot->found = true;
}

static void watch_source(struct scripts *scripts, const char *file) {
  char *path = file_path(scripts->options.dir, file);
  if (path) watch_path(&scripts->watch, path, strlen(scripts->options.dir));
  mem_free(path);
}

/* In a folder of the scripts folder an init.lua may appear; where scripts come from, more is of interest. It
 * need not: `moonkeep run .` has the data folder there. */
static void watch_all(struct scripts *scripts, const struct finds *finds) {
  struct watch *watch = &scripts->watch;
  watch_begin(watch);
  watch_path(watch, scripts->options.dir, 0);
  watch_folder(watch, scripts->options.dir, WATCH_CONTENT);
  for (size_t i = 0; i < finds->folder_count; i++) {
    char *path = file_path(scripts->options.dir, finds->folders[i]);
    if (path) watch_path(watch, path, strlen(scripts->options.dir));
    if (path) watch_folder(watch, path, WATCH_CLOSED);
    mem_free(path);
  }
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next) {
    struct list *sources = bot_sources(list_of(node, struct bot, link));
    for (struct list *at = sources->next; at != sources; at = at->next)
      watch_source(scripts, list_of(at, struct source, link)->path);
  }
  watch_end(watch);
}

/* Where the folder cannot be read, what runs goes on. */
static void tell_missing(struct scripts *scripts, const struct err *err) {
  if (!scripts->missing)
    log_write(scripts->options.log, LOG_WARN, "scripts", "%s; what is loaded goes on", err->message);
  scripts->missing = true;
}

enum moonkeep_code look_find(struct scripts *scripts, struct err *err) {
  struct finds finds = {0};
  enum moonkeep_code code = finds_read(&finds, scripts->options.dir, NULL, err);
  if (code) {
    finds_deinit(&finds); /* what was found so far is not whole */
    tell_missing(scripts, err);
  } else {
    scripts->missing = false;
    for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next)
      list_of(node, struct bot, link)->found = false;
    for (size_t i = 0; i < finds.count; i++) take_found(scripts, &finds.all[i]);
  }
  if (scripts->watch.fd >= 0) watch_all(scripts, &finds);
  finds_deinit(&finds);
  return code;
}

/* ---- what has changed ---- */

static struct stamp stamp_now(const struct scripts *scripts, const struct source *source) {
  char *path = file_path(scripts->options.dir, source->path);
  struct stamp stamp = path ? stamp_of(path) : source->seen;
  mem_free(path);
  return stamp;
}

static void see(struct scripts *scripts, struct source *source, int64_t now) {
  struct stamp stamp = stamp_now(scripts, source);
  if (stamp_same(&stamp, &source->seen)) return;
  source->seen = stamp;
  source->since_ms = now;
  if (!watch_is_whole(&scripts->watch, &stamp)) scripts->busy_ms = now;
}

static void see_all(struct scripts *scripts, int64_t now) {
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next) {
    struct list *sources = bot_sources(list_of(node, struct bot, link));
    for (struct list *at = sources->next; at != sources; at = at->next)
      see(scripts, list_of(at, struct source, link), now);
  }
}

static int64_t later(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* When a changed file has stood still for long enough. One that was not renamed into place may be one of many
 * that are being changed: then all of them have to have come to rest. */
static int64_t rest_of(const struct scripts *scripts, const struct source *source, int64_t patience_ms) {
  if (watch_is_written(&scripts->watch, &source->seen)) return source->since_ms + LOOK_WRITTEN_MS;
  if (source->seen.kind == STAMP_ABSENT) return source->since_ms + LOOK_GONE_MS;
  int64_t rest_ms = watch_is_whole(&scripts->watch, &source->seen)
                        ? source->since_ms + LOOK_WHOLE_MS
                        : later(source->since_ms, scripts->busy_ms) + LOOK_STILL_MS;
  return sooner(rest_ms, patience_ms);
}

/* When the bot is to be loaded; INT64_MAX: it has not changed. */
static int64_t due_of(struct bot *bot, int64_t now) {
  struct list *sources = bot_sources(bot);
  int64_t due_ms = INT64_MIN;
  bool changed = list_empty(sources);
  for (struct list *at = sources->next; at != sources; at = at->next) {
    const struct source *source = list_of(at, struct source, link);
    if (stamp_same(&source->seen, &source->loaded)) continue;
    if (bot->first_ms == 0) bot->first_ms = now;
    changed = true;
    due_ms = later(due_ms, rest_of(bot->scripts, source, bot->first_ms + LOOK_PATIENCE_MS));
  }
  if (!changed) bot->first_ms = 0;
  return changed ? due_ms : INT64_MAX;
}

static void load(struct bot *bot) {
  bot->first_ms = 0;
  if (bot->found)
    reload_try(bot, false);
  else
    reload_remove(bot);
}

/* Loads what has changed; when the first of the others is due. */
static int64_t load_due(struct scripts *scripts, int64_t now) {
  int64_t next_ms = INT64_MAX;
  for (struct list *node = scripts->bots.next, *next; node != &scripts->bots; node = next) {
    struct bot *bot = list_of(node, struct bot, link);
    next = node->next;
    int64_t due_ms = ask_waits(bot) && !bot->next ? now : due_of(bot, now);
    if (due_ms <= now) {
      load(bot);
      due_ms = now + LOOK_STILL_MS; /* it may have been changed meanwhile, and not been taken */
    }
    next_ms = sooner(next_ms, due_ms);
  }
  return next_ms;
}

/* ---- when ---- */

static void on_timer(struct timer *timer) {
  look_now(list_of(timer, struct scripts, look));
}

static void set_look(struct scripts *scripts, int64_t due_ms) {
  if (scripts->look.place && scripts->look.due_ms <= due_ms) return;
  scripts->look.fire = on_timer;
  timer_set(scripts->options.timers, &scripts->look, due_ms);
}

/* Watching may end at any look, when the system has no more watches to give. */
static void tell_unwatched(struct scripts *scripts) {
  if (!scripts->options.watch || !scripts->watch.error || scripts->unwatched) return;
  scripts->unwatched = true;
  log_write(scripts->options.log, LOG_WARN, "scripts",
            "cannot watch the scripts folder (%s): looking at its files every %d ms instead",
            strerror(scripts->watch.error), LOOK_UNWATCHED_MS);
}

/* There may be no other look, and whoever has asked is not to wait for one. */
static void give_up_asked(struct scripts *scripts, const struct err *err) {
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next) {
    struct bot *bot = list_of(node, struct bot, link);
    if (!bot->next) ask_answer(bot, "failed", err->message);
  }
}

void look_now(struct scripts *scripts) {
  if (scripts->ending || !scripts->started) return;
  struct err err;
  int64_t now = now_ms(scripts), next_ms = INT64_MAX;
  timer_clear(scripts->options.timers, &scripts->look);
  scripts->looked_ms = now;
  if (look_find(scripts, &err)) {
    give_up_asked(scripts, &err);
  } else {
    see_all(scripts, now);
    next_ms = load_due(scripts, now);
  }
  tell_unwatched(scripts);
  int64_t every_ms = now + (scripts->unwatched ? LOOK_UNWATCHED_MS : LOOK_EVERY_MS);
  if (scripts->options.watch && every_ms < next_ms) next_ms = every_ms;
  if (next_ms < INT64_MAX) set_look(scripts, next_ms);
}

void look_soon(struct scripts *scripts) {
  if (scripts->options.watch && !scripts->ending && scripts->started)
    set_look(scripts, later(now_ms(scripts), scripts->looked_ms + LOOK_GATHER_MS));
}

void look_open(struct scripts *scripts) {
  if (!scripts->options.watch) return;
  struct err err;
  watch_open(&scripts->watch);
  tell_unwatched(scripts);
  look_find(scripts, &err);
  set_look(scripts, now_ms(scripts) + LOOK_GATHER_MS);
}

void look_close(struct scripts *scripts) {
  timer_clear(scripts->options.timers, &scripts->look);
}
