/* `moonkeep manual`: the manual's pages, made from the same tables and texts as the help. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/help.h"

/* ---- roff ---- */

static unsigned codepoint(const char *at, size_t len) {
  unsigned value = (unsigned char)*at & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) value = value << 6 | ((unsigned char)at[i] & 0x3F);
  return value;
}

/* Text as it is: nothing of it is a request or an escape. */
static void put_len(struct buf *out, const char *text, size_t len) {
  bool at_start = out->len == 0 || out->data[out->len - 1] == '\n';
  for (const char *end = text + len; text < end;) {
    size_t step = utf8_len(text);
    if (at_start && (*text == '.' || *text == '\'')) buf_puts(out, "\\&");
    if (step > 1)
      buf_printf(out, "\\[u%04X]", codepoint(text, step));
    else if (*text == '\\')
      buf_puts(out, "\\e");
    else if (*text == '-')
      buf_puts(out, "\\-");
    else if (*text == '\'')
      buf_puts(out, "\\(aq");
    else if (*text == '`')
      buf_puts(out, "\\(ga");
    else if (*text == '~' || *text == '^')
      buf_puts(out, *text == '~' ? "\\(ti" : "\\(ha");
    else
      buf_putc(out, *text);
    at_start = *text == '\n';
    text += step;
  }
}

static void put(struct buf *out, const char *text) {
  put_len(out, text, strlen(text));
}

static void section(struct buf *out, const char *name) {
  buf_printf(out, ".SH %s\n", name);
}

/* The text of a help: paragraphs, and between them indented lines that stand as they are. */
static void put_prose(struct buf *out, const char *text) {
  bool as_is = false;
  while (*text) {
    size_t len = strcspn(text, "\n");
    bool indented = len > 1 && text[0] == ' ' && text[1] == ' ';
    if (indented && !as_is) buf_puts(out, ".PP\n.RS 4\n.nf\n");
    if (!indented && as_is) buf_puts(out, ".fi\n.RE\n");
    if (len == 0 && !as_is && text[1] != ' ') buf_puts(out, ".PP\n");
    if (len == 0 && as_is) buf_puts(out, ".PP\n");
    as_is = indented;
    put_len(out, text + (indented ? 2 : 0), len - (indented ? 2 : 0));
    if (len > 0) buf_putc(out, '\n');
    text += len + (text[len] == '\n');
  }
  if (as_is) buf_puts(out, ".fi\n.RE\n");
}

static void head(struct buf *out, const char *title, const char *what, const char *name,
                 const char *summary) {
  buf_printf(out, ".TH %s \"\" \"moonkeep " MOONKEEP_VERSION "\" \"%s\"\n", title, what);
  section(out, "NAME");
  buf_printf(out, "%s \\- %s\n", name, summary);
}

/* ---- moonkeep.1 ---- */

static void put_command(struct buf *out, const struct command *command) {
  buf_puts(out, ".SS \"moonkeep ");
  put(out, command->name);
  if (*command->usage) buf_putc(out, ' ');
  put(out, command->usage);
  buf_puts(out, "\"\n");
  put_prose(out, command->help);
  buf_puts(out, ".PP\nOptions:");
  for (size_t i = 0; i < options_count; i++) {
    if (!option_is_taken(&options_table[i], command->bit) || !options_table[i].env) continue;
    buf_puts(out, " \\fB\\-\\-");
    put(out, options_table[i].name);
    buf_puts(out, "\\fR");
  }
  bool none = out->data && out->data[out->len - 1] == ':';
  buf_puts(out, none ? " none.\n" : "\n");
}

static void put_option(struct buf *out, const struct option *option) {
  buf_puts(out, ".TP\n\\fB\\-\\-");
  put(out, option->name);
  buf_puts(out, "\\fR");
  if (option->argument) {
    buf_puts(out, " \\fI");
    put(out, option->argument);
    buf_puts(out, "\\fR");
  }
  buf_putc(out, '\n');
  put(out, option->help);
  if (option->preset) {
    buf_puts(out, " (default: ");
    put(out, option->preset);
    buf_putc(out, ')');
  }
  if (option->env) buf_printf(out, "; in the environment \\fB%s\\fR", option->env);
  buf_puts(out, ".\n");
}

static void put_files(struct buf *out) {
  static const char *const files[][2] = {
      {"moonkeep.conf", "settings, where it is in the working directory; see moonkeep.conf(5)"},
      {"scripts/", "the bots: NAME.lua and NAME/init.lua"},
      {"data/appdata.db", "the store, an SQLite database with a table for each store"},
      {"data/backups/", "complete copies of it"},
      {"data/control.sock", "the running host's control socket, for its owner alone"},
      {"data/moonkeep.lock", "held by the process that owns the folder; says which that is"},
  };
  section(out, "FILES");
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    buf_puts(out, ".TP\n\\fI");
    put(out, files[i][0]);
    buf_puts(out, "\\fR\n");
    put(out, files[i][1]);
    buf_puts(out, ".\n");
  }
}

static void put_page_1(struct buf *out) {
  head(out, "MOONKEEP 1", "User Commands", "moonkeep", "runs bots written in Lua and keeps their data");
  section(out, "SYNOPSIS");
  buf_puts(out, ".B moonkeep\n.I COMMAND\n[\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n");
  section(out, "DESCRIPTION");
  put_prose(out, help_purpose);
  section(out, "COMMANDS");
  for (size_t i = 0; i < commands_count; i++) put_command(out, &commands[i]);
  section(out, "OPTIONS");
  for (size_t i = 0; i < options_count; i++) put_option(out, &options_table[i]);
  section(out, "EXIT STATUS");
  buf_puts(out, ".TP\n0\nDone.\n.TP\n1\nFailed.\n.TP\n2\nWrong usage.\n.TP\n3\nNot found (\\fBget\\fR).\n");
  section(out, "ENVIRONMENT");
  buf_puts(out, "Each option can be set by the variable that stands with it. The command line goes over the\n"
                "environment, and the environment over the configuration file.\n"
                ".TP\n\\fBNO_COLOR\\fR\nNo colours.\n");
  put_files(out);
  section(out, "EXAMPLES");
  put_prose(out, help_examples);
  section(out, "SEE ALSO");
  buf_puts(out, ".BR moonkeep.conf (5),\n.BR sqlite3 (1)\n");
}

/* ---- moonkeep.conf.5 ---- */

static void put_setting(struct buf *out, const struct option *option) {
  buf_puts(out, ".TP\n\\fB");
  for (const char *c = option->name; *c; c++) buf_putc(out, *c == '-' ? '_' : *c);
  buf_puts(out, "\\fR = \\fI");
  put(out, option->argument ? option->argument : "true or false");
  buf_puts(out, "\\fR\n");
  put(out, option->help);
  if (option->preset) {
    buf_puts(out, " (default: ");
    put(out, option->preset);
    buf_putc(out, ')');
  }
  buf_puts(out, ".\n");
}

static void put_page_5(struct buf *out) {
  head(out, "MOONKEEP.CONF 5", "File Formats", "moonkeep.conf", "settings of moonkeep");
  section(out, "DESCRIPTION");
  put_prose(out,
            "The file is Lua that assigns settings, or returns a table of them, in an empty environment: it "
            "can compute,\nbut call nothing. Names are those of the options, with _ for -:\n"
            "\n"
            "  data = \"/var/lib/moonkeep\"\n"
            "  log_level = \"warn\"\n"
            "  cache = 256 * 1024 * 1024\n"
            "\n"
            "Texts, numbers and true or false are values; a relative path counts from the working "
            "directory.\n"
            "It is named by --config FILE or MOONKEEP_CONFIG, and otherwise moonkeep.conf in the working "
            "directory is\nread where it is there. The environment goes over it, and options over both. "
            "An unknown setting or a wrong\nvalue is an error, and no command does anything then; a "
            "setting that a command has no use for is only\nchecked. moonkeep config shows what is in "
            "force, written as such a file.\n");
  section(out, "SETTINGS");
  for (size_t i = 0; i < options_count; i++)
    if (options_table[i].env && strcmp(options_table[i].name, "config") != 0)
      put_setting(out, &options_table[i]);
  section(out, "SEE ALSO");
  buf_puts(out, ".BR moonkeep (1)\n");
}

/* ---- the command ---- */

enum exit_status command_manual(struct cli *cli) {
  static const struct {
    const char *name;
    void (*put)(struct buf *);
  } pages[] = {{"moonkeep.1", put_page_1}, {"moonkeep.conf.5", put_page_5}};
  enum { PAGES = sizeof pages / sizeof *pages };
  const char *name = cli->settings.argument_count > 0 ? cli->settings.arguments[0] : pages[0].name;
  for (size_t i = 0; i < PAGES; i++) {
    if (strcmp(pages[i].name, name) != 0) continue;
    struct buf text = {0};
    pages[i].put(&text);
    int error = text.failed ? ENOMEM : console_write(&cli->console, CONSOLE_OUT, text.data, text.len);
    buf_deinit(&text);
    return error ? EXIT_FAILED : EXIT_DONE;
  }
  return wrong_usage(cli, "there is no page \"%.64s\", only moonkeep.1 and moonkeep.conf.5", name);
}
