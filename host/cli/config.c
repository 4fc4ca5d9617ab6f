/* `moonkeep config`: what is in force, and where it comes from; written as a configuration file would be. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "link/fields.h"

static const char *from(const struct cli *cli, size_t i, struct buf *out) {
  const struct option *option = &options_table[i];
  buf_clear(out);
  switch ((enum origin)cli->settings.origins[i]) {
  case ORIGIN_PRESET: buf_puts(out, "default"); break;
  case ORIGIN_FILE: buf_puts(out, cli->settings.conf_path); break;
  case ORIGIN_ENVIRONMENT: buf_puts(out, option->env); break;
  case ORIGIN_OPTION: buf_printf(out, "--%s", option->name); break;
  }
  return buf_text(out);
}

/* NULL: it is not set, and has no default that could be written. */
static const char *text_of(const struct cli *cli, size_t i) {
  const struct option *option = &options_table[i];
  if (cli->settings.origins[i] != ORIGIN_PRESET) return cli->settings.texts[i];
  return option->preset ? option->preset : option->argument ? NULL : "false";
}

static bool is_shown(const struct option *option) {
  return option->env && strcmp(option->name, "config") != 0;
}

static void put_name(struct buf *out, const char *name) {
  for (; *name; name++) buf_putc(out, *name == '-' ? '_' : *name);
}

static void put_lua_string(struct buf *out, const char *text) {
  buf_putc(out, '"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') buf_putc(out, '\\');
    if (*text == '\n')
      buf_puts(out, "\\n");
    else if ((unsigned char)*text < 0x20 || *text == 0x7F)
      buf_printf(out, "\\x%02X", (unsigned char)*text);
    else
      buf_putc(out, *text);
  }
  buf_putc(out, '"');
}

static void put_line(struct cli *cli, size_t i, struct buf *out, struct buf *scratch) {
  const struct option *option = &options_table[i];
  const char *text = text_of(cli, i);
  size_t start = out->len;
  if (!text) buf_puts(out, "-- ");
  put_name(out, option->name);
  buf_puts(out, " = ");
  if (!text)
    buf_puts(out, option->argument);
  else if (option->argument)
    put_lua_string(out, text);
  else
    buf_puts(out, option_flag(text) ? "true" : "false");
  size_t width = out->len - start;
  buf_printf(out, "%*s", width < 36 ? (int)(36 - width) : 1, "");
  console_style(&cli->console, CONSOLE_OUT, out, STYLE_DIM);
  buf_printf(out, "-- %s", text ? from(cli, i, scratch) : "not set");
  console_style(&cli->console, CONSOLE_OUT, out, STYLE_NONE);
  buf_putc(out, '\n');
}

static void put_member(struct cli *cli, size_t i, struct buf *out, struct buf *scratch) {
  const struct option *option = &options_table[i];
  const char *text = text_of(cli, i);
  buf_puts(out, out->len > 1 ? ",\"" : "\"");
  put_name(out, option->name);
  buf_puts(out, "\":{\"value\":");
  if (!text)
    buf_puts(out, "null");
  else if (option->argument)
    put_any_text(out, text, strlen(text));
  else
    buf_puts(out, option_flag(text) ? "true" : "false");
  buf_puts(out, ",\"from\":");
  from(cli, i, scratch);
  put_any_text(out, scratch->data, scratch->len);
  buf_putc(out, '}');
}

/* A variable that looks like a setting and is none does nothing, which nobody would notice. */
static void note_unknown(struct cli *cli, const char *variable) {
  char name[64];
  const char *known[64];
  size_t len = strcspn(variable, "="), count = 0;
  if (strncmp(variable, "MOONKEEP_", 9) != 0 || len >= sizeof name) return;
  memcpy(name, variable, len);
  name[len] = '\0';
  for (size_t i = 0; i < options_count; i++) {
    if (!options_table[i].env) continue;
    if (strcmp(options_table[i].env, name) == 0) return;
    known[count++] = options_table[i].env;
  }
  const char *near = nearest_name(name, known, count, sizeof *known);
  console_complain(&cli->console, "%s in the environment is no setting%s%s%s", name,
                   near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

enum exit_status command_config(struct cli *cli) {
  struct buf text = {0}, scratch = {0};
  for (char **variable = environ; *variable; variable++) note_unknown(cli, *variable);
  bool json = cli->settings.json;
  if (json) buf_putc(&text, '{');
  for (size_t i = 0; i < options_count; i++) {
    if (!is_shown(&options_table[i])) continue;
    if (json)
      put_member(cli, i, &text, &scratch);
    else
      put_line(cli, i, &text, &scratch);
  }
  if (json) buf_puts(&text, "}\n");
  int error =
      text.failed || scratch.failed ? ENOMEM : console_write(&cli->console, CONSOLE_OUT, text.data, text.len);
  buf_deinit(&text);
  buf_deinit(&scratch);
  return error ? EXIT_FAILED : EXIT_DONE;
}
