/* `moonkeep reload`: has a running host load scripts anew, and tells what came of each. */
#include <string.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "link/fields.h"

static void put_outcome(struct cli *cli, struct buf *out, const struct buf *name, const struct buf *result,
                        const struct buf *why) {
  struct console *console = &cli->console;
  bool bad = why->len > 0;
  console_put(console, CONSOLE_OUT, out, name->data, name->len);
  buf_puts(out, ": ");
  console_style(console, CONSOLE_OUT, out, bad ? STYLE_RED : STYLE_GREEN);
  buf_add(out, result->data, result->len);
  console_style(console, CONSOLE_OUT, out, STYLE_NONE);
  if (bad) buf_puts(out, ": ");
  console_put(console, CONSOLE_OUT, out, why->data, why->len);
  buf_putc(out, '\n');
}

/* One script's outcome: as a sentence to a person, as an object to a program. True: it was not loaded. */
static bool show(struct cli *cli, const struct field *outcome, struct buf *out) {
  struct field fields[] = {{.name = "script"}, {.name = "result"}, {.name = "error"}};
  struct buf name = {0}, result = {0}, why = {0};
  fields_read(outcome->at, outcome->len, fields, 3, false, NULL);
  bool bad = fields[2].type == JSON_STRING;
  field_text(&fields[0], &name);
  field_text(&fields[1], &result);
  if (bad) field_text(&fields[2], &why);
  if (cli->console.tty[CONSOLE_OUT]) {
    put_outcome(cli, out, &name, &result, &why);
  } else {
    buf_add(out, outcome->at, outcome->len);
    buf_putc(out, '\n');
  }
  buf_deinit(&name);
  buf_deinit(&result);
  buf_deinit(&why);
  return bad;
}

static enum exit_status show_all(struct cli *cli, const struct buf *result) {
  struct array_walk walk;
  struct field outcome;
  struct buf out = {0};
  bool bad = false;
  array_walk_init(&walk, result->data, result->len);
  while (array_walk_next(&walk, &outcome))
    if (show(cli, &outcome, &out)) bad = true;
  array_walk_deinit(&walk);
  if (cli->settings.json) {
    buf_clear(&out);
    buf_add(&out, result->data, result->len);
    buf_putc(&out, '\n');
  }
  int error = out.failed ? 1 : 0;
  if (!error && out.len > 0) error = console_write(&cli->console, CONSOLE_OUT, out.data, out.len);
  buf_deinit(&out);
  return error || bad ? EXIT_FAILED : EXIT_DONE;
}

enum exit_status command_reload(struct cli *cli) {
  struct buf params = {0}, result = {0};
  struct err err;
  if (cli->settings.argument_count > 0) {
    const char *name = cli->settings.arguments[0];
    buf_puts(&params, "{\"script\":");
    put_any_text(&params, name, strlen(name));
    buf_putc(&params, '}');
  }
  enum moonkeep_code code = access_host(cli, "reload", &params, -1, &result, &err);
  enum exit_status status = code ? failed(cli, &err) : show_all(cli, &result);
  buf_deinit(&params);
  buf_deinit(&result);
  return status;
}
