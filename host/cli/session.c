#include "cli/session.h"

#include <math.h>
#include <stdio.h>

#include "base/note.h"
#include "link/control.h"
#include "link/http.h"
#include "link/logline.h"
#include "link/notify.h"
#include "link/signals.h"

enum { LOCK_WAIT_MS = 1000, AGAIN_MS = 3600 * 1000 };

static void on_stop(void *ctx) {
  struct session *session = ctx;
  log_write(&session->log, LOG_INFO, "moonkeep", "stopping");
  host_stop(session->host);
}

static void on_reloaded(void *ctx, const char *results, size_t len) {
  (void)ctx, (void)results, (void)len; /* the log has told what came of each */
}

static void on_reload(void *ctx) {
  struct session *session = ctx;
  struct err err;
  log_write(&session->log, LOG_INFO, "moonkeep", "reloading all scripts");
  if (host_reload(session->host, NULL, on_reloaded, NULL, &err))
    log_text(&session->log, LOG_ERROR, "moonkeep", err.message);
}

/* ---- after a crash ---- */

static size_t list_left_out(struct scripts_left_out left_out[NOTE_LEFT_OUT]) {
  size_t count = 0;
  for (size_t i = 0; note && i < note->left_out_count; i++)
    if (note->left_out[i].in_force)
      left_out[count++] = (struct scripts_left_out){note->left_out[i].name, note->left_out[i].why};
  return count;
}

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  (void)listener, (void)json, (void)len;
}

static void on_changed(struct host_listener *listener, const char *script, const char *what) {
  (void)listener, (void)what;
  note_let_in(script);
}

static void tell_story(const struct session *session) {
  if (!note || !note->story[0] || note->story_told) return;
  log_text(&session->log, LOG_ERROR, "moonkeep", note->story);
  note->story_told = true;
}

/* ---- a damaged file ---- */

/* Only a start restores it. What is damaged again soon is worse off with a host that comes and goes. */
static void start_over(struct session *session) {
  int64_t now = clock_steady_ms(&clock_system);
  if (note->again_ms && now - note->again_ms < AGAIN_MS) return;
  note->again_ms = now;
  note->again = true;
  log_write(
      &session->log, LOG_WARN, "moonkeep",
      "the host ends and starts again, so that the store is restored; backup and archive have all of it");
  if (session->leave_off)
    session->leave_off(session->leave_ctx);
  else
    host_stop(session->host);
}

static void before_sleep(struct host_listener *listener) {
  struct session *session = list_of(listener, struct session, turns);
  if (note && !note->stopping && store_wants_reopening(host_store(session->host))) start_over(session);
}

/* ---- opening ---- */

static enum moonkeep_code open_host(struct session *session, struct host_listener *listener,
                                    struct err *err) {
  const struct settings *settings = &session->cli->settings;
  char owner[256];
  snprintf(owner, sizeof owner, "moonkeep %s %s", session->cli->command->name, session->scripts);
  struct scripts_left_out left_out[NOTE_LEFT_OUT];
  struct host_options options = {
      .left_out = left_out,
      .left_out_count = list_left_out(left_out),
      .store = {.dir = settings->data,
                .owner = owner,
                .cache_bytes = settings->cache_bytes,
                .value_bytes = settings->value_bytes,
                .lock_wait_ms = LOCK_WAIT_MS,
                .backups_dir = settings->backups,
                .archive = settings->archive,
                .backup_every_ms = (int64_t)(settings->backup_every_s * 1000),
                .log = &session->log},
      .scripts_dir = session->scripts,
      .watch = true,
      .listener = listener,
      .cpu_budget_ms = (int64_t)ceil(settings->cpu_budget_s * 1000),
      .memory_bytes = settings->memory_bytes,
      .trust = settings->trust,
      .grace_ms = (int64_t)(settings->grace_s * 1000),
      .log = &session->log,
  };
  return host_open(&session->host, &options, err);
}

/* A host without its control socket does its work; only the commands do not reach it. */
static void open_control(struct session *session) {
  struct err err;
  struct control_options options = {.host = session->host,
                                    .dir = session->cli->settings.data,
                                    .log = &session->log,
                                    .book = &session->book};
  logbook_watch(&session->book, host_loop(session->host));
  if (control_open(&session->control, &options, &err)) {
    session->control = NULL;
    log_text(&session->log, LOG_WARN, "control", err.message);
  }
  const struct settings *settings = &session->cli->settings;
  if (session->control && settings->listen &&
      control_listen(session->control, settings->listen, settings->token_file, &err))
    log_text(&session->log, LOG_ERROR, "control", err.message);
}

void session_init(struct session *session, struct cli *cli, enum log_level level) {
  const struct settings *settings = &cli->settings;
  *session = (struct session){.cli = cli};
  struct log console = logline_log(&cli->console, settings->log_format);
  console.level = settings->has_log_level ? settings->log_level : level;
  logbook_init(&session->book, &console);
  session->log = session->book.log;
  session->scripts = settings->argument_count > 0 ? settings->arguments[0] : "scripts";
}

/* As without its control socket: it goes on without telling how it is. */
static void open_http(struct session *session) {
  const char *address = session->cli->settings.metrics;
  struct err err;
  if (!address || !session->control) return;
  uv_loop_t *loop = host_loop(session->host);
  if (http_open(&session->http, address, control_site(session->control), loop, &err))
    log_text(&session->log, LOG_ERROR, "metrics", err.message);
}

/* The commands reach the host before anybody is told that it is ready. */
static void tell_manager(struct session *session, size_t scripts) {
  char status[64];
  snprintf(status, sizeof status, "%zu script%s", scripts, scripts == 1 ? " runs" : "s run");
  notify_begin(host_loop(session->host), status);
}

enum exit_status session_open(struct session *session, struct host_listener *listener) {
  struct err err;
  signals_take();
  tell_story(session);
  if (open_host(session, listener, &err)) return failed(session->cli, &err);
  size_t scripts = host_scripts(session->host);
  log_write(&session->log, LOG_INFO, "moonkeep",
            "moonkeep " MOONKEEP_VERSION ", %zu script%s from %s, data in %s", scripts,
            scripts == 1 ? "" : "s", session->scripts, session->cli->settings.data);
  signals_watch(host_loop(session->host), on_stop, on_reload, session);
  session->turns =
      (struct host_listener){.action = on_action, .changed = on_changed, .before_sleep = before_sleep};
  host_on_action(session->host, &session->turns);
  open_control(session);
  open_http(session);
  tell_manager(session, scripts);
  return EXIT_DONE;
}

void session_leave(struct session *session) {
  if (note && *signals_seen() > 0) note->again = false;
  notify_end(!note || !note->again);
  host_off_action(session->host, &session->turns);
  http_close(session->http);
  session->http = NULL;
  control_close(session->control);
  session->control = NULL;
  logbook_unwatch(&session->book);
  signals_unwatch();
}

enum exit_status session_close(struct session *session) {
  struct err err;
  if (host_close(session->host, &err)) return failed(session->cli, &err);
  log_write(&session->log, LOG_INFO, "moonkeep", "stopped");
  return EXIT_DONE;
}

void session_deinit(struct session *session) {
  logbook_deinit(&session->book);
}
