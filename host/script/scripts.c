#include "script/scripts.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "script/event.h"
#include "script/file.h"
#include "script/lib.h"
#include "script/script.h"
#include "script/task.h"

enum { RUN_JOBS = 64 }; /* how many jobs scripts_run does before the loop gets its turn */

/* ---- the folder ---- */

struct found {       /* a bot: NAME.lua or NAME/init.lua */
  char *name, *file; /* owned */
};

struct finds {
  struct found *all; /* owned */
  size_t count, cap;
};

static void finds_deinit(struct finds *finds) {
  for (size_t i = 0; i < finds->count; i++) {
    mem_free(finds->all[i].name);
    mem_free(finds->all[i].file);
  }
  mem_free(finds->all);
}

static bool add_found(struct finds *finds, const char *name, size_t name_len, const char *file) {
  if (finds->count == finds->cap) {
    size_t cap = finds->cap ? finds->cap * 2 : 16;
    struct found *all = mem_resize(finds->all, cap * sizeof *all);
    if (!all) return false;
    finds->all = all;
    finds->cap = cap;
  }
  struct found found = {mem_copy(name, name_len), mem_copy(file, strlen(file))};
  finds->all[finds->count++] = found;
  return found.name && found.file;
}

static bool ends_with(const char *text, const char *end) {
  size_t text_len = strlen(text), end_len = strlen(end);
  return text_len > end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* Looks at one name in the folder; false: no memory. */
static bool look_at(const char *dir, const char *entry, struct finds *finds) {
  if (entry[0] == '.' || entry[0] == '_' || ends_with(entry, "_test.lua")) return true;
  char *path = file_path(dir, entry), *init = path ? file_path(path, "init.lua") : NULL;
  char *init_name = file_path(entry, "init.lua");
  bool ok = path && init && init_name;
  struct stat st;
  if (ok && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
    if (file_exists(init)) ok = add_found(finds, entry, strlen(entry), init_name);
  } else if (ok && ends_with(entry, ".lua")) {
    ok = add_found(finds, entry, strlen(entry) - 4, entry);
  }
  mem_free(path);
  mem_free(init);
  mem_free(init_name);
  return ok;
}

static enum moonkeep_code read_folder(const char *dir, struct finds *finds, struct err *err) {
  DIR *folder = opendir(dir);
  if (!folder && errno == ENOENT)
    return err_set(err, MOONKEEP_INVALID, "the scripts folder %s does not exist (make it with: mkdir %s)",
                   dir, dir);
  if (!folder && errno == ENOTDIR)
    return err_set(err, MOONKEEP_INVALID, "%s is not a folder; scripts are read from a folder of .lua files",
                   dir);
  if (!folder)
    return err_set(err, MOONKEEP_INVALID, "cannot read the scripts folder %s: %s", dir, strerror(errno));
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(folder));) ok = look_at(dir, entry->d_name, finds);
  closedir(folder);
  return ok ? MOONKEEP_OK : err_memory(err);
}

/* By name, and NAME.lua before NAME/init.lua. */
static int by_name(const void *a, const void *b) {
  const struct found *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : ends_with(x->file, "/init.lua") - ends_with(y->file, "/init.lua");
}

static void load_found(struct scripts *scripts, const struct found *found) {
  if (utf8_valid(found->name, strlen(found->name)) != strlen(found->name)) {
    log_write(scripts->options.log, LOG_ERROR, "scripts", "left out, its name is not UTF-8: %s", found->file);
    return;
  }
  struct script *script = script_load(scripts, found->name, found->file);
  if (!script) return;
  list_add(&scripts->all, &script->link);
  scripts->count++;
}

static void load_all(struct scripts *scripts, const struct finds *finds) {
  for (size_t i = 0; i < finds->count; i++) {
    const struct found *found = &finds->all[i];
    if (i > 0 && strcmp(found[-1].name, found->name) == 0)
      log_write(scripts->options.log, LOG_WARN, found->name, "left out %s: %s has the same name", found->file,
                found[-1].file);
    else
      load_found(scripts, found);
  }
  if (finds->count == 0)
    log_write(scripts->options.log, LOG_WARN, "scripts", "no scripts in %s: put a file like hello.lua there",
              scripts->options.dir);
}

/* ---- open and close ---- */

static struct scripts *make(const struct scripts_options *options) {
  struct scripts *scripts = mem_zero(sizeof *scripts);
  char *dir = scripts ? mem_copy(options->dir, strlen(options->dir)) : NULL;
  if (!dir) {
    mem_free(scripts);
    return NULL;
  }
  scripts->options = *options;
  scripts->options.dir = dir;
  if (!scripts->options.clock) scripts->options.clock = &clock_system;
  list_init(&scripts->all);
  list_init(&scripts->ready);
  list_init(&scripts->slowed);
  list_init(&scripts->held);
  return scripts;
}

enum moonkeep_code scripts_open(struct scripts **out, const struct scripts_options *options,
                                struct err *err) {
  struct finds finds = {0};
  struct scripts *scripts = NULL;
  enum moonkeep_code code = read_folder(options->dir, &finds, err);
  if (code == MOONKEEP_OK) {
    scripts = make(options);
    if (!scripts) code = err_memory(err);
  }
  if (code == MOONKEEP_OK) {
    if (finds.count) qsort(finds.all, finds.count, sizeof *finds.all, by_name);
    load_all(scripts, &finds);
  }
  finds_deinit(&finds);
  *out = scripts;
  return code;
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
  for (struct list *node = scripts->all.next; node != &scripts->all; node = node->next)
    script_drop(list_of(node, struct script, link));
  drop_events(&scripts->ready); /* with the tasks gone, only events are left in line */
  drop_events(&scripts->held);
  while (scripts->calls > 0) store_wait(scripts->options.store, -1);
  while (!list_empty(&scripts->all)) script_free(list_of(scripts->all.next, struct script, link));
  buf_deinit(&scripts->scratch);
  mem_free((char *)scripts->options.dir);
  mem_free(scripts);
}

size_t scripts_count(const struct scripts *scripts) {
  return scripts->count;
}

/* ---- events ---- */

/* The host's own events have no one who waits for them; where memory is short they are lost, and said to be.
 */
static void lifecycle(struct scripts *scripts, const char *name, const char *json) {
  if (!event_queue(scripts, true, name, strlen(name), json, strlen(json)))
    log_write(scripts->options.log, LOG_ERROR, "scripts", "no %s event: out of memory", name);
}

void scripts_start(struct scripts *scripts) {
  if (scripts->started) return;
  lifecycle(scripts, "start", "{\"event\":\"start\"}");
  scripts->started = true;
  for (struct list *node = scripts->held.next; node != &scripts->held; node = node->next) scripts->queued++;
  list_join(&scripts->ready, &scripts->held);
}

void scripts_stop(struct scripts *scripts) {
  lifecycle(scripts, "stop", "{\"event\":\"stop\"}");
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

bool scripts_run(struct scripts *scripts) {
  for (unsigned n = 0; n < RUN_JOBS; n++) {
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
  for (struct list *node = scripts->all.next; node != &scripts->all; node = node->next) {
    int64_t due_ms = next_due(list_of(node, struct script, link));
    if (due_ms < load.next_ms) load.next_ms = due_ms;
  }
  return load;
}

static void end_sleepers(struct script *script) {
  for (struct list *node = script->tasks.next, *next; node != &script->tasks; node = next) {
    struct task *task = list_of(node, struct task, link);
    next = node->next;
    if (task->state == TASK_SLEEPING) task_drop(task, "the host stopped");
  }
}

void scripts_end_waits(struct scripts *scripts) {
  for (struct list *node = scripts->all.next; node != &scripts->all; node = node->next) {
    struct script *script = list_of(node, struct script, link);
    end_sleepers(script);
    lib_end_timers(script);
  }
}
