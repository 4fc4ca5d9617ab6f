/* The store commands. Each checks what the person wrote before it touches anything, makes one request, and
 * prints. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "link/fields.h"
#include "link/seconds.h"
#include "store/store.h"

enum { STDIN_BYTES = 64 << 20 };

static enum exit_status print(struct cli *cli, struct buf *text) {
  int error = text->failed ? ENOMEM : 0;
  if (!error && text->len > 0) error = console_write(&cli->console, CONSOLE_OUT, text->data, text->len);
  if (text->failed) console_complain(&cli->console, "out of memory");
  buf_deinit(text);
  return error ? EXIT_FAILED : EXIT_DONE;
}

static enum exit_status print_raw(struct cli *cli, struct buf *result) {
  buf_putc(result, '\n');
  return print(cli, result);
}

static bool for_person(const struct cli *cli) {
  return cli->console.tty[CONSOLE_OUT] && !cli->settings.json;
}

/* Makes the request with the parameters, which it frees. */
static enum exit_status request(struct cli *cli, const char *method, struct buf *params, struct buf *result) {
  struct err err;
  enum moonkeep_code code = access_call(cli, method, params, result, &err);
  buf_deinit(params);
  if (!code) return EXIT_DONE;
  buf_deinit(result);
  return failed(cli, &err);
}

/* ---- one key ---- */

static enum exit_status begin_key(struct cli *cli, struct buf *params) {
  const char *key = cli->settings.arguments[0];
  struct err err;
  if (store_check_key(cli->command->name, key, strlen(key), &err)) return failed(cli, &err);
  access_begin(cli, params);
  access_text(params, "key", key);
  return EXIT_DONE;
}

static enum exit_status print_value(struct cli *cli, const struct field *value) {
  struct buf text = {0};
  if (for_person(cli))
    print_pretty(&cli->console, &text, value->at, value->len);
  else
    buf_add(&text, value->at, value->len);
  buf_putc(&text, '\n');
  return print(cli, &text);
}

enum exit_status command_get(struct cli *cli) {
  struct buf params = {0}, result = {0};
  enum exit_status status = begin_key(cli, &params);
  if (!status) status = request(cli, "get", &params, &result);
  if (status) return status;
  struct field value = {.name = "value"};
  fields_read(result.data, result.len, &value, 1, false, NULL);
  if (value.type == JSON_END) {
    console_complain(&cli->console, "%s has no key \"%s\"", cli->settings.store, cli->settings.arguments[0]);
    status = EXIT_NOT_FOUND;
  } else {
    status = print_value(cli, &value);
  }
  buf_deinit(&result);
  return status;
}

static void read_stdin(struct buf *text) {
  ssize_t n = 1;
  while (n > 0 && text->len <= STDIN_BYTES && buf_reserve(text, 64 << 10)) {
    n = read(STDIN_FILENO, text->data + text->len, 64 << 10);
    if (n > 0) text->len += (size_t)n;
    if (n < 0 && errno == EINTR) n = 1;
  }
}

static size_t value_limit(const struct cli *cli) {
  return cli->settings.value_bytes ? cli->settings.value_bytes : STORE_VALUE_BYTES;
}

/* Appends the value in compact form. What looks like a plain word is most often a string without its quotes.
 */
static enum exit_status put_value(struct cli *cli, struct buf *params) {
  const char *given = cli->settings.arguments[1];
  struct buf text = {0};
  struct err err;
  if (strcmp(given, "-") == 0)
    read_stdin(&text);
  else
    buf_puts(&text, given);
  buf_puts(params, ",\"value\":");
  enum moonkeep_code code =
      json_compact(params, text.data ? text.data : "", text.len, value_limit(cli), &err);
  char first = text.len ? text.data[0] : '\0';
  bool is_word = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
  buf_deinit(&text);
  if (!code) return EXIT_DONE;
  if (code != MOONKEEP_INVALID_VALUE) return failed(cli, &err);
  bool named = strncmp(err.message, "not JSON", 8) == 0;
  if (is_word && strlen(given) < 100)
    return wrong_usage(cli, "the value%s %s (a text needs its quotes: '\"%s\"')", named ? " is" : ":",
                       err.message, given);
  return wrong_usage(cli, "the value%s %s", named ? " is" : ":", err.message);
}

static enum exit_status put_expiry(struct cli *cli, struct buf *params) {
  const struct settings *settings = &cli->settings;
  int64_t ms;
  if (settings->ttl_s > 0 && settings->expires_at_s > 0)
    return wrong_usage(cli, "--ttl and --expires-at exclude each other");
  double at = settings->expires_at_s;
  if (settings->ttl_s > 0) at = (double)clock_wall_ms(&clock_system) / 1000 + settings->ttl_s;
  if (at > 0 && !seconds_to_ms(at, &ms))
    return wrong_usage(cli, "%s is too far away: it counts seconds, not milliseconds",
                       settings->ttl_s > 0 ? "--ttl" : "--expires-at");
  if (settings->ttl_s > 0) buf_printf(params, ",\"ttl\":%.17g", settings->ttl_s);
  if (settings->expires_at_s > 0) buf_printf(params, ",\"expires_at\":%.17g", settings->expires_at_s);
  return EXIT_DONE;
}

enum exit_status command_set(struct cli *cli) {
  struct buf params = {0}, result = {0};
  enum exit_status status = begin_key(cli, &params);
  if (!status) status = put_value(cli, &params);
  if (!status) status = put_expiry(cli, &params);
  if (status)
    buf_deinit(&params);
  else
    status = request(cli, "set", &params, &result);
  if (!status) buf_deinit(&result);
  return status;
}

/* ---- update ---- */

/* EXIT_DONE: the parameters are whole. A default that is no value is the person's mistake. */
static enum exit_status put_function(struct cli *cli, struct buf *params) {
  const char *preset = cli->settings.preset;
  struct err err;
  access_text(params, "function", cli->settings.arguments[1]);
  if (!preset) return EXIT_DONE;
  buf_puts(params, ",\"default\":");
  enum moonkeep_code code = json_compact(params, preset, strlen(preset), value_limit(cli), &err);
  return code ? wrong_usage(cli, "--default: %s", err.message) : EXIT_DONE;
}

enum exit_status command_update(struct cli *cli) {
  struct buf params = {0}, result = {0};
  struct field value = {.name = "value"};
  struct err err;
  enum exit_status status = begin_key(cli, &params);
  if (!status) status = put_function(cli, &params);
  enum moonkeep_code code = status ? MOONKEEP_OK : access_call(cli, "update", &params, &result, &err);
  buf_deinit(&params);
  if (code) console_complain(&cli->console, "%s", err.message);
  if (code) status = EXIT_FAILED;
  if (!status) fields_read(result.data, result.len, &value, 1, false, NULL);
  if (!status && value.type != JSON_END) status = print_value(cli, &value);
  buf_deinit(&result);
  return status;
}

enum exit_status command_delete(struct cli *cli) {
  struct buf params = {0}, result = {0};
  enum exit_status status = begin_key(cli, &params);
  if (!status) status = request(cli, "delete", &params, &result);
  return status ? status : print_raw(cli, &result);
}

/* ---- many keys ---- */

static const char *pattern_of(const struct cli *cli) {
  return cli->settings.argument_count > 0 ? cli->settings.arguments[0] : "%";
}

static enum exit_status begin_pattern(struct cli *cli, struct buf *params) {
  const struct settings *settings = &cli->settings;
  const char *pattern = pattern_of(cli);
  struct err err;
  if (store_check_pattern(cli->command->name, pattern, strlen(pattern), &err)) return failed(cli, &err);
  if (settings->after && store_check_key("--after", settings->after, strlen(settings->after), &err))
    return failed(cli, &err);
  access_begin(cli, params);
  access_text(params, "pattern", pattern);
  if (settings->limit) buf_printf(params, ",\"limit\":%llu", (unsigned long long)settings->limit);
  if (settings->after) access_text(params, "after", settings->after);
  return EXIT_DONE;
}

static enum exit_status ask_pattern(struct cli *cli, const char *method, struct buf *result) {
  struct buf params = {0};
  enum exit_status status = begin_pattern(cli, &params);
  return status ? status : request(cli, method, &params, result);
}

/* One element of a list a line. */
static void put_lines(struct cli *cli, struct buf *out, const struct buf *list, bool keys) {
  struct array_walk walk;
  struct field element;
  struct buf key = {0};
  array_walk_init(&walk, list->data, list->len);
  while (array_walk_next(&walk, &element)) {
    buf_clear(&key);
    if (!keys)
      buf_add(out, element.at, element.len);
    else if (field_text(&element, &key) && cli->console.tty[CONSOLE_OUT])
      put_visible(out, key.data, key.len, true);
    else
      buf_add(out, key.data, key.len);
    buf_putc(out, '\n');
  }
  array_walk_deinit(&walk);
  buf_deinit(&key);
}

enum exit_status command_select(struct cli *cli) {
  struct buf result = {0}, text = {0};
  enum exit_status status = ask_pattern(cli, "select", &result);
  if (status) return status;
  if (cli->settings.json) return print_raw(cli, &result);
  if (for_person(cli))
    print_table(&cli->console, &text, result.data, result.len);
  else
    put_lines(cli, &text, &result, false);
  buf_deinit(&result);
  return print(cli, &text);
}

enum exit_status command_keys(struct cli *cli) {
  struct buf result = {0}, text = {0};
  enum exit_status status = ask_pattern(cli, "keys", &result);
  if (status) return status;
  if (cli->settings.json) return print_raw(cli, &result);
  put_lines(cli, &text, &result, true);
  buf_deinit(&result);
  return print(cli, &text);
}

enum exit_status command_count(struct cli *cli) {
  struct buf result = {0};
  enum exit_status status = ask_pattern(cli, "count", &result);
  return status ? status : print_raw(cli, &result);
}

/* ---- deleteLike ---- */

enum { SHOWN_KEYS = 10 };

/* The first keys that would go, one a line. */
static void put_victims(struct buf *out, const struct buf *keys, unsigned long long count) {
  struct array_walk walk;
  struct field element;
  struct buf key = {0};
  unsigned long long shown = 0;
  array_walk_init(&walk, keys->data, keys->len);
  while (array_walk_next(&walk, &element)) {
    buf_clear(&key);
    field_text(&element, &key);
    buf_puts(out, "  ");
    put_visible(out, key.data, key.len, true);
    buf_putc(out, '\n');
    shown++;
  }
  array_walk_deinit(&walk);
  buf_deinit(&key);
  if (count > shown) buf_printf(out, "  … and %llu more\n", count - shown);
}

static bool person_says_yes(struct cli *cli, const struct buf *keys, unsigned long long count) {
  struct buf question = {0};
  char answer[16] = "";
  buf_printf(&question, "%llu key%s of %s match%s ", count, count == 1 ? "" : "s", cli->settings.store,
             count == 1 ? "es" : "");
  put_visible(&question, pattern_of(cli), strlen(pattern_of(cli)), true);
  buf_puts(&question, ":\n");
  put_victims(&question, keys, count);
  buf_puts(&question, count == 1 ? "Delete it? [y/N] " : "Delete them? [y/N] ");
  console_write(&cli->console, CONSOLE_ERR, question.data, question.failed ? 0 : question.len);
  buf_deinit(&question);
  if (!fgets(answer, sizeof answer, stdin)) return false;
  return answer[0] == 'y' || answer[0] == 'Y';
}

/* The first keys that match. */
static enum exit_status ask_keys(struct cli *cli, struct buf *keys) {
  uint64_t limit = cli->settings.limit;
  cli->settings.limit = SHOWN_KEYS;
  enum exit_status status = ask_pattern(cli, "keys", keys);
  cli->settings.limit = limit;
  return status;
}

/* EXIT_DONE: go on. Where nothing matches there is nothing to ask about. */
static enum exit_status confirm(struct cli *cli) {
  if (!isatty(STDIN_FILENO) || !cli->console.tty[CONSOLE_ERR])
    return wrong_usage(cli, "deleteLike deletes for good: where nobody can be asked it needs --yes");
  struct buf result = {0}, keys = {0};
  enum exit_status status = ask_pattern(cli, "count", &result);
  if (!status) status = ask_keys(cli, &keys);
  unsigned long long count = status ? 0 : strtoull(buf_text(&result), NULL, 10);
  bool yes = !status && (count == 0 || person_says_yes(cli, &keys, count));
  buf_deinit(&result);
  buf_deinit(&keys);
  if (status || yes) return status;
  console_complain(&cli->console, "nothing was deleted");
  return EXIT_FAILED;
}

enum exit_status command_delete_like(struct cli *cli) {
  struct buf result = {0}, params = {0};
  enum exit_status status = begin_pattern(cli, &params);
  buf_deinit(&params); /* only looked at, so that nobody is asked about a pattern that is none */
  if (!status && !cli->settings.yes) status = confirm(cli);
  if (!status) status = ask_pattern(cli, "deleteLike", &result);
  return status ? status : print_raw(cli, &result);
}
