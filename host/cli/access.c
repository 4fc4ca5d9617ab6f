#include "cli/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "link/client.h"
#include "link/fields.h"
#include "link/rpc.h"
#include "store/store.h"

enum { TRY_MS = 2000, COMMAND_MS = 60000, PAUSE_MS = 20 };

void access_begin(struct cli *cli, struct buf *params) {
  buf_puts(params, "{\"store\":");
  put_any_text(params, cli->settings.store, strlen(cli->settings.store));
}

void access_text(struct buf *params, const char *name, const char *text) {
  buf_printf(params, ",\"%s\":", name);
  put_any_text(params, text, strlen(text));
}

/* ---- the answer ---- */

static enum moonkeep_code read_error(const struct field *error, struct err *err) {
  struct field fields[] = {{.name = "message"}, {.name = "data"}};
  struct field data[] = {{.name = "code"}, {.name = "key"}};
  struct buf message = {0}, code = {0}, key = {0};
  fields_read(error->at, error->len, fields, 2, false, NULL);
  if (fields[1].type == JSON_OBJECT) fields_read(fields[1].at, fields[1].len, data, 2, false, NULL);
  field_text(&fields[0], &message);
  if (fields[1].type == JSON_OBJECT && field_text(&data[0], &code)) field_text(&data[1], &key);
  enum moonkeep_code number = err_code(buf_text(&code));
  if (number == MOONKEEP_OK) number = MOONKEEP_UNKNOWN;
  err_key(err, number, key.data ? key.data : "", key.len, "%s", buf_text(&message));
  buf_deinit(&message);
  buf_deinit(&code);
  buf_deinit(&key);
  return number;
}

enum moonkeep_code access_read_answer(const char *line, size_t len, struct buf *result, struct err *err) {
  struct field fields[] = {{.name = "result"}, {.name = "error"}};
  if (fields_read(line, len, fields, 2, false, NULL) != FIELDS_OK)
    return err_set(err, MOONKEEP_IO, "the running host gave an answer that is not JSON");
  if (fields[1].type == JSON_OBJECT) return read_error(&fields[1], err);
  buf_add(result, fields[0].at, fields[0].type == JSON_END ? 0 : fields[0].len);
  return result->failed ? err_memory(err) : MOONKEEP_OK;
}

/* ---- the two ways ---- */

static enum moonkeep_code ask_and_read(int fd, const struct buf *line, bool change, int silence_ms,
                                       struct buf *result, struct err *err) {
  struct buf answer = {0};
  enum moonkeep_code code = client_call(fd, line->data, line->len, change, silence_ms, &answer, err);
  if (!code) code = access_read_answer(answer.data, answer.len, result, err);
  buf_deinit(&answer);
  return code;
}

static enum moonkeep_code ask_host(int fd, const struct buf *line, bool change, struct buf *result,
                                   struct err *err) {
  enum moonkeep_code code = ask_and_read(fd, line, change, 0, result, err);
  client_close(fd);
  return code;
}

struct direct {
  struct rpc_peer peer;
  struct buf answer;
  bool done;
};

static void on_answer(struct rpc_peer *peer, const char *line, size_t len, size_t cost) {
  struct direct *direct = list_of(peer, struct direct, peer);
  (void)cost;
  buf_add(&direct->answer, line, len);
  direct->done = true;
}

enum moonkeep_code access_open(struct cli *cli, struct log *log, struct store **store, struct err *err) {
  const struct settings *settings = &cli->settings;
  *log = (struct log){.write = console_log, .ctx = &cli->console};
  log->level = settings->has_log_level ? settings->log_level : LOG_WARN;
  char owner[64] = "moonkeep ";
  strncat(owner, cli->command->name, sizeof owner - 10);
  struct store_options options = {.dir = settings->data, .owner = owner, .log = log};
  options.value_bytes = settings->value_bytes;
  options.backups_dir = settings->backups;
  options.archive = settings->archive;
  options.backs_up_edits = true;
  return store_open(store, &options, err);
}

static enum moonkeep_code ask_store(struct cli *cli, const struct buf *line, struct buf *result,
                                    struct err *err) {
  struct log log;
  struct store *store;
  enum moonkeep_code code = access_open(cli, &log, &store, err);
  if (code) return code;
  struct rpc_site site = {.store = store};
  struct direct direct = {.peer = {.answer = on_answer}};
  rpc_peer_init(&direct.peer);
  rpc_handle(&site, &direct.peer, line->data, line->len - 1);
  while (!direct.done) store_wait(store, -1);
  code = direct.answer.failed ? err_memory(err)
                              : access_read_answer(direct.answer.data, direct.answer.len, result, err);
  buf_deinit(&direct.answer);
  struct err at_end;
  if (store_close(store, &at_end)) /* the answer stands: what was told is on disk */
    log_write(&log, LOG_WARN, "store", "%s", at_end.message);
  return code;
}

/* ---- the call ---- */

static const struct {
  const char *method, *of_nothing; /* the answer of a store that does not exist; NULL: it is made */
  bool change;
} kinds[] = {
    {"get", "{\"found\":false}", false},
    {"set", NULL, true},
    {"setAll", NULL, true},
    {"update", NULL, true},
    {"delete", "false", true},
    {"deleteLike", "0", true},
    {"select", "[]", false},
    {"keys", "[]", false},
    {"count", "0", false},
    {"backup", "null", true},
};

static int kind_of(const char *method) {
  int i = 0;
  while (strcmp(kinds[i].method, method) != 0) i++;
  return i;
}

static bool is_missing(const char *dir) {
  struct stat st;
  return stat(dir, &st) != 0 && errno == ENOENT;
}

/* Whether a command has the folder, by the words of folder_open. It ends by itself, and as many as there are
 * at once have to take turns. */
static bool is_command(const char *message) {
  for (size_t i = 0; i < commands_count; i++) {
    char owner[64];
    snprintf(owner, sizeof owner, "(moonkeep %s)", commands[i].name);
    if (strstr(message, owner)) return true;
  }
  return false;
}

bool access_try_again(enum moonkeep_code code, const struct err *err, int64_t *since_ms) {
  int64_t now = clock_steady_ms(&clock_system);
  if (*since_ms == 0) *since_ms = now;
  if (code != MOONKEEP_BUSY && code != MOONKEEP_CLOSED) return false;
  if (now - *since_ms >= (is_command(err->message) ? COMMAND_MS : TRY_MS)) return false;
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
  return true;
}

static enum moonkeep_code ask(struct cli *cli, const struct buf *line, bool change, struct buf *result,
                              struct err *err) {
  int64_t since_ms = 0;
  enum moonkeep_code code;
  do {
    int fd = client_open(cli->settings.data);
    code = fd >= 0 ? ask_host(fd, line, change, result, err) : ask_store(cli, line, result, err);
  } while (access_try_again(code, err, &since_ms));
  return code;
}

enum moonkeep_code access_call(struct cli *cli, const char *method, const struct buf *params,
                               struct buf *result, struct err *err) {
  int kind = kind_of(method);
  if (kinds[kind].of_nothing && is_missing(cli->settings.data)) {
    if (store_check_name(cli->settings.store, err)) return err->code;
    console_complain(&cli->console, "there is no data folder %s, so nothing is stored there",
                     cli->settings.data);
    buf_puts(result, kinds[kind].of_nothing);
    return MOONKEEP_OK;
  }
  struct buf line = {0};
  buf_printf(&line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":", method);
  buf_add(&line, params->data, params->len);
  buf_puts(&line, "}}\n");
  enum moonkeep_code code =
      line.failed || params->failed ? err_memory(err) : ask(cli, &line, kinds[kind].change, result, err);
  buf_deinit(&line);
  return code;
}

/* ---- what only a host can do ---- */

int access_connect(struct cli *cli, struct err *err) {
  int fd = client_open(cli->settings.data);
  if (fd >= 0) return fd;
  if (errno == ENOENT || errno == ECONNREFUSED)
    err_set(err, MOONKEEP_CLOSED, "no host runs on %s: start one with `moonkeep run --data %s`",
            cli->settings.data, cli->settings.data);
  else
    err_set(err, MOONKEEP_IO, "cannot reach the host on %s: %s", cli->settings.data, strerror(errno));
  return -1;
}

void access_put_request(struct buf *line, const char *method, const struct buf *params) {
  buf_printf(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"", method);
  if (params && params->len > 0) {
    buf_puts(line, ",\"params\":");
    buf_add(line, params->data, params->len);
  }
  buf_puts(line, "}\n");
  line->failed |= params && params->failed;
}

enum moonkeep_code access_ask(int fd, const struct buf *line, int silence_ms, struct buf *result,
                              struct err *err) {
  if (line->failed) return err_memory(err);
  return ask_and_read(fd, line, false, silence_ms, result, err);
}

enum moonkeep_code access_host(struct cli *cli, const char *method, const struct buf *params, int silence_ms,
                               struct buf *result, struct err *err) {
  struct buf line = {0};
  int fd = access_connect(cli, err);
  if (fd < 0) return err->code;
  access_put_request(&line, method, params);
  enum moonkeep_code code = access_ask(fd, &line, silence_ms, result, err);
  client_close(fd);
  buf_deinit(&line);
  return code;
}
