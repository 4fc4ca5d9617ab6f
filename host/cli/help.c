#include "cli/help.h"

#include <stdio.h>
#include <string.h>

const char help_purpose[] =
    "moonkeep runs bots written in Lua and keeps their data: what a script has been told "
    "is saved\nsurvives crashes and power loss.\n";

struct page {
  struct cli *cli;
  enum console_stream stream;
  struct buf text;
};

static void title(struct page *page, const char *text) {
  buf_putc(&page->text, '\n');
  console_style(&page->cli->console, page->stream, &page->text, STYLE_BOLD);
  buf_puts(&page->text, text);
  console_style(&page->cli->console, page->stream, &page->text, STYLE_NONE);
  buf_putc(&page->text, '\n');
}

static enum exit_status show(struct page *page, enum exit_status status) {
  if (!page->text.failed) console_write(&page->cli->console, page->stream, page->text.data, page->text.len);
  buf_deinit(&page->text);
  return status;
}

static void put_commands(struct page *page, uint64_t which) {
  for (size_t i = 0; i < commands_count; i++) {
    char call[64];
    if (!(commands[i].bit & which)) continue;
    snprintf(call, sizeof call, "%s %s", commands[i].name, commands[i].usage);
    buf_printf(&page->text, "  moonkeep %-24s  %s\n", call, commands[i].summary);
  }
}

static void put_option(struct page *page, const struct option *option) {
  char call[64];
  snprintf(call, sizeof call, "--%s%s%s", option->name, option->argument ? " " : "",
           option->argument ? option->argument : "");
  buf_printf(&page->text, "  %-22s %s", call, option->help);
  if (option->preset) buf_printf(&page->text, " (default: %s)", option->preset);
  buf_putc(&page->text, '\n');
}

/* The options of one of these commands that are not options of one of those. */
static void put_options(struct page *page, uint64_t which, uint64_t but) {
  for (size_t i = 0; i < options_count; i++)
    if (option_is_taken(&options_table[i], which) && !(options_table[i].commands & but))
      put_option(page, &options_table[i]);
}

enum exit_status help_version(struct cli *cli) {
  static const char text[] = "moonkeep " MOONKEEP_VERSION "\n";
  console_write(&cli->console, CONSOLE_OUT, text, sizeof text - 1);
  return EXIT_DONE;
}

enum exit_status help_short(struct cli *cli) {
  struct page page = {.cli = cli, .stream = CONSOLE_ERR};
  buf_puts(&page.text, help_purpose);
  buf_putc(&page.text, '\n');
  put_commands(&page, C_ALL & ~C_HELP);
  buf_puts(&page.text, "\nTry `moonkeep chat`. `moonkeep --help` tells more.\n");
  return show(&page, EXIT_USAGE);
}

const char help_examples[] =
    "  moonkeep chat                            talk with the bots in scripts/\n"
    "  moonkeep run bots < events.ndjson        feed them events\n"
    "  moonkeep set alice '{\"xp\":50}'           save a value\n"
    "  moonkeep get alice                       and read it again, also while a host runs\n"
    "  moonkeep select 'user:%' --limit 10      % stands for any text, _ for one character\n"
    "  moonkeep count --store economy           another store\n";

static void put_examples(struct page *page) {
  title(page, "Examples");
  buf_puts(&page->text, help_examples);
}

static void put_exit_status(struct page *page) {
  title(page, "Exit status");
  buf_puts(&page->text, "  0 done   1 failed   2 wrong usage   3 not found (get)\n");
}

static void put_environment(struct page *page) {
  title(page, "Environment");
  buf_puts(
      &page->text,
      "  Each option can be set there too; the command line goes over it, and it over moonkeep.conf:\n ");
  size_t column = 1;
  for (size_t i = 0; i < options_count; i++) {
    const char *name = options_table[i].env;
    if (!name) continue;
    if (column + strlen(name) > 90) {
      buf_puts(&page->text, "\n ");
      column = 1;
    }
    buf_printf(&page->text, " %s", name);
    column += strlen(name) + 1;
  }
  buf_puts(&page->text, "\n  NO_COLOR: no colours.\n");
}

enum exit_status help_whole(struct cli *cli, enum console_stream stream) {
  struct page page = {.cli = cli, .stream = stream};
  buf_puts(&page.text, help_purpose);
  title(&page, "Usage");
  buf_puts(&page.text, "  moonkeep COMMAND [ARGUMENTS] [OPTIONS]\n");
  title(&page, "Run bots");
  put_commands(&page, C_HOSTS);
  title(&page, "Write bots");
  put_commands(&page, C_AUTHOR);
  title(&page, "Look at their data and change it, with or without a running host");
  put_commands(&page, C_STORE);
  title(&page, "Take it out and in");
  put_commands(&page, C_FILES);
  title(&page, "Keep it safe");
  put_commands(&page, C_SAFETY);
  title(&page, "Look after a running host");
  put_commands(&page, C_CONTROL);
  title(&page, "Learn more");
  put_commands(&page, C_ABOUT);
  title(&page, "Options");
  put_options(&page, C_ALL, 0);
  put_examples(&page);
  put_exit_status(&page);
  put_environment(&page);
  return show(&page, EXIT_DONE);
}

enum exit_status help_command(struct cli *cli, const struct command *command) {
  struct page page = {.cli = cli, .stream = CONSOLE_OUT};
  buf_printf(&page.text, "moonkeep %s%s%s: %s\n\n%s", command->name, *command->usage ? " " : "",
             command->usage, command->summary, command->help);
  title(&page, "Options");
  put_options(&page, command->bit, 0);
  return show(&page, EXIT_DONE);
}

enum exit_status command_help(struct cli *cli) {
  const char *name = cli->settings.argument_count > 0 ? cli->settings.arguments[0] : NULL;
  if (!name) return help_whole(cli, CONSOLE_OUT);
  const struct command *command = command_find(name);
  if (command) return help_command(cli, command);
  const char *near = nearest_name(name, commands, commands_count, sizeof *commands);
  cli->command = NULL;
  if (near) return wrong_usage(cli, "there is no command \"%.64s\": did you mean %s?", name, near);
  return wrong_usage(cli, "there is no command \"%.64s\"", name);
}
