#include "helpers/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

static int64_t wall_ms(void *ctx) {
  return ((struct rig *)ctx)->wall_ms;
}

static int64_t steady_ms(void *ctx) {
  return ((struct rig *)ctx)->steady_ms;
}

static void write_line(void *ctx, enum log_level level, const char *source, const char *text) {
  struct rig *rig = ctx;
  buf_printf(&rig->lines, "%s %s: %s\n", log_level_name(level), source, text);
}

static void take_action(void *ctx, const char *json, size_t len) {
  struct rig *rig = ctx;
  buf_add(&rig->actions, json, len);
  buf_putc(&rig->actions, '\n');
  if (getenv("RIG_ECHO")) fprintf(stderr, "%.*s\n", (int)len, json);
}

static void take_answer(void *ctx, const struct scripts_outcome *outcome) {
  struct rig *rig = ctx;
  if (outcome->ok)
    buf_puts(&rig->answers, "ok");
  else
    buf_add(&rig->answers, outcome->errors, outcome->errors_len);
  buf_putc(&rig->answers, '\n');
}

void rig_init(struct rig *rig) {
  memset(rig, 0, sizeof *rig);
  strcpy(rig->dir, "/tmp/moonkeep-test-XXXXXX");
  CHECK(mkdtemp(rig->dir));
  snprintf(rig->scripts_dir, sizeof rig->scripts_dir, "%s/scripts", rig->dir);
  CHECK(mkdir(rig->scripts_dir, 0700) == 0);
  rig->wall_ms = 1700000000000;
  rig->steady_ms = 1000;
  rig->cpu_budget_ms = 60000;
  rig->budget_signal = getenv("COUNT_STEPS") ? -1 : 0;
  rig->grace_ms = 10000;
  rig->clock = (struct clock){wall_ms, steady_ms, rig};
  rig->log = (struct log){write_line, rig, LOG_DEBUG};
  timers_init(&rig->timers);
  char data[128];
  snprintf(data, sizeof data, "%s/data", rig->dir);
  struct err err;
  struct store_options options = {.dir = data, .owner = "a test", .clock = &rig->clock};
  if (store_open(&rig->store, &options, &err) != MOONKEEP_OK) FAIL("%s", err.message);
}

void rig_write(struct rig *rig, const char *name, const char *source) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", rig->scripts_dir, name);
  for (char *slash = path + strlen(rig->scripts_dir) + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
  FILE *file = fopen(path, "w");
  CHECK(file);
  fputs(source, file);
  fclose(file);
}

void rig_replace(struct rig *rig, const char *name, const char *source) {
  char from[1024], to[1024];
  rig_write(rig, ".saved", source);
  snprintf(from, sizeof from, "%s/.saved", rig->scripts_dir);
  snprintf(to, sizeof to, "%s/%s", rig->scripts_dir, name);
  CHECK(rename(from, to) == 0);
}

enum moonkeep_code rig_try_open(struct rig *rig, struct err *err) {
  struct scripts_options options = {.dir = rig->scripts_dir,
                                    .store = rig->store,
                                    .timers = &rig->timers,
                                    .clock = &rig->clock,
                                    .log = &rig->log,
                                    .cpu_budget_ms = rig->cpu_budget_ms,
                                    .budget_signal = rig->budget_signal,
                                    .memory_bytes = rig->memory_bytes,
                                    .trust = rig->trust,
                                    .action = take_action,
                                    .ctx = rig,
                                    .watch = rig->watch,
                                    .grace_ms = rig->grace_ms,
                                    .left_out = rig->left_out,
                                    .left_out_count = rig->left_out_count};
  return scripts_open(&rig->scripts, &options, err);
}

void rig_open(struct rig *rig) {
  struct err err;
  if (rig_try_open(rig, &err) != MOONKEEP_OK) FAIL("%s", err.message);
  scripts_start(rig->scripts);
  rig_settle(rig);
}

void rig_run(struct rig *rig, const char *source) {
  rig_init(rig);
  rig_write(rig, "bot.lua", source);
  rig_open(rig);
}

void rig_settle(struct rig *rig) {
  for (;;) {
    bool more = scripts_run(rig->scripts);
    store_kick(rig->store, more);
    store_pump(rig->store);
    if (more) continue;
    if (scripts_load(rig->scripts).running == 0) return;
    if (store_pending(rig->store) > 0) store_wait(rig->store, -1);
  }
}

void rig_advance(struct rig *rig, int64_t ms) {
  int64_t end_ms = rig->steady_ms + ms;
  for (;;) {
    int64_t next_ms = timers_next_ms(&rig->timers);
    if (next_ms > end_ms) next_ms = end_ms;
    if (next_ms > rig->steady_ms) {
      rig->wall_ms += next_ms - rig->steady_ms;
      rig->steady_ms = next_ms;
    }
    timers_run(&rig->timers, rig->steady_ms);
    rig_settle(rig);
    if (rig->steady_ms == end_ms && timers_next_ms(&rig->timers) > end_ms) return;
  }
}

void rig_emit(struct rig *rig, const char *name, const char *json) {
  struct err err;
  enum moonkeep_code code =
      scripts_emit(rig->scripts, name, strlen(name), json, strlen(json), take_answer, rig, &err);
  if (code != MOONKEEP_OK) FAIL("%s", err.message);
  rig_settle(rig);
}

void rig_close(struct rig *rig) {
  struct err err;
  scripts_close(rig->scripts);
  rig->scripts = NULL;
  if (rig->store && store_close(rig->store, &err) != MOONKEEP_OK) FAIL("%s", err.message);
  rig->store = NULL;
}

void rig_deinit(struct rig *rig) {
  rig_close(rig);
  timers_deinit(&rig->timers);
  buf_deinit(&rig->actions);
  buf_deinit(&rig->lines);
  buf_deinit(&rig->answers);
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", rig->dir);
  CHECK(system(command) == 0);
}

/* The text so far, valid until the next call on this buffer; what follows begins anew. */
static const char *take(struct buf *buf) {
  const char *text = buf_text(buf);
  buf->len = 0;
  return text;
}

const char *rig_actions(struct rig *rig) {
  return take(&rig->actions);
}

const char *rig_log(struct rig *rig) {
  return take(&rig->lines);
}

const char *rig_answers(struct rig *rig) {
  return take(&rig->answers);
}
