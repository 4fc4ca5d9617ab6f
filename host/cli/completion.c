/* `moonkeep completion bash|zsh|fish`: what the shell needs to complete a command line, made from the tables
 * of commands and options. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

/* What an argument can be completed to, by the word that stands for it in usages. */
enum target { NOTHING, FILES, FOLDERS, COMMANDS, LEVELS, SHELLS };

static enum target target_of(const char *word) {
  static const struct {
    const char *word;
    enum target target;
  } known[] = {{"FILE", FILES},       {"DIR", FOLDERS},  {"SCRIPTS", FOLDERS},
               {"COMMAND", COMMANDS}, {"LEVEL", LEVELS}, {"bash|zsh|fish", SHELLS}};
  size_t len = strcspn(word, " ]");
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strlen(known[i].word) == len && memcmp(known[i].word, word, len) == 0) return known[i].target;
  return NOTHING;
}

/* Of the first argument of a command. */
static enum target argument_of(const struct command *command) {
  return target_of(command->usage + (command->usage[0] == '['));
}

static const char levels[] = "debug info warn error", shells[] = "bash zsh fish";

/* The commands that take the option, separated by `between`. */
static void put_takers(struct buf *out, const struct option *option, const char *between) {
  bool first = true;
  for (size_t i = 0; i < commands_count; i++) {
    if (!option_is_taken(option, commands[i].bit)) continue;
    buf_printf(out, "%s%s", first ? "" : between, commands[i].name);
    first = false;
  }
}

static void put_commands(struct buf *out) {
  for (size_t i = 0; i < commands_count; i++) buf_printf(out, "%s%s", i ? " " : "", commands[i].name);
}

/* ---- bash ---- */

static void put_bash_reply(struct buf *out, enum target target) {
  switch (target) {
  case FILES: buf_puts(out, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"); break;
  case FOLDERS:
    buf_puts(out, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")");
    break;
  case COMMANDS: buf_puts(out, "mapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\")"); break;
  case LEVELS: buf_printf(out, "mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")", levels); break;
  case SHELLS: buf_printf(out, "mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")", shells); break;
  case NOTHING: buf_puts(out, ":"); break;
  }
}

/* The options that take a value, as a pattern of case. */
static void put_bash_valued(struct buf *out) {
  bool first = true;
  for (size_t i = 0; i < options_count; i++) {
    if (!options_table[i].argument) continue;
    buf_printf(out, "%s--%s", first ? "" : "|", options_table[i].name);
    first = false;
  }
}

static void put_bash_command(struct buf *out, const struct command *command) {
  buf_printf(out, "    %s)\n      options='", command->name);
  bool first = true;
  for (size_t i = 0; i < options_count; i++) {
    if (!option_is_taken(&options_table[i], command->bit)) continue;
    buf_printf(out, "%s--%s", first ? "" : " ", options_table[i].name);
    first = false;
  }
  buf_puts(out, "'\n      [[ $cur == -* ]] || { ");
  put_bash_reply(out, argument_of(command));
  buf_puts(out, "; }\n      ;;\n");
}

static void put_bash(struct buf *out) {
  buf_puts(out,
           "# bash completion for moonkeep\n"
           "_moonkeep() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' options='' i\n"
           "  local commands='");
  put_commands(out);
  buf_puts(out, "'\n"
                "  COMPREPLY=()\n"
                "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "    case ${COMP_WORDS[i]} in\n      ");
  put_bash_valued(out);
  buf_puts(out, ") ((i++)) ;;\n"
                "      -*) ;;\n"
                "      *) command=${COMP_WORDS[i]}; break ;;\n"
                "    esac\n"
                "  done\n"
                "  case $prev in\n");
  for (size_t i = 0; i < options_count; i++) {
    if (!options_table[i].argument) continue;
    buf_printf(out, "    --%s) ", options_table[i].name);
    put_bash_reply(out, target_of(options_table[i].argument));
    buf_puts(out, "; return ;;\n");
  }
  buf_puts(out, "  esac\n"
                "  case $command in\n"
                "    '') options='--help --version'; [[ $cur == -* ]] || ");
  put_bash_reply(out, COMMANDS);
  buf_puts(out, " ;;\n");
  for (size_t i = 0; i < commands_count; i++) put_bash_command(out, &commands[i]);
  buf_puts(out, "  esac\n"
                "  [[ $cur != -* ]] || mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
                "}\n"
                "complete -F _moonkeep moonkeep\n");
}

/* ---- zsh ---- */

/* Text inside single quotes, in which the characters of `special` mean something to zsh's own functions. */
static void put_zsh(struct buf *out, const char *text, const char *special) {
  for (; *text; text++) {
    if (*text == '\'')
      buf_puts(out, "'\\''");
    else {
      if (strchr(special, *text)) buf_putc(out, '\\');
      buf_putc(out, *text);
    }
  }
}

static void put_zsh_action(struct buf *out, enum target target) {
  switch (target) {
  case FILES: buf_puts(out, "_files"); break;
  case FOLDERS: buf_puts(out, "_files -/"); break;
  case COMMANDS: buf_puts(out, "_moonkeep_commands"); break;
  case LEVELS: buf_printf(out, "(%s)", levels); break;
  case SHELLS: buf_printf(out, "(%s)", shells); break;
  case NOTHING: buf_putc(out, ' '); break;
  }
}

static void put_zsh_option(struct buf *out, const struct option *option) {
  buf_printf(out, " \\\n        '--%s[", option->name);
  put_zsh(out, option->help, "[]:\\");
  buf_putc(out, ']');
  if (option->argument) {
    buf_printf(out, ":%s:", option->argument);
    put_zsh_action(out, target_of(option->argument));
  }
  buf_putc(out, '\'');
}

static void put_zsh_command(struct buf *out, const struct command *command) {
  buf_printf(out, "    %s)\n      _arguments", command->name);
  for (size_t i = 0; i < options_count; i++)
    if (option_is_taken(&options_table[i], command->bit)) put_zsh_option(out, &options_table[i]);
  if (*command->usage) {
    buf_puts(out, " \\\n        '*:");
    put_zsh(out, command->usage, "[]:\\");
    buf_putc(out, ':');
    put_zsh_action(out, argument_of(command));
    buf_putc(out, '\'');
  }
  buf_puts(out, "\n      ;;\n");
}

static void put_zsh_script(struct buf *out) {
  buf_puts(out, "#compdef moonkeep\n"
                "_moonkeep_commands() {\n"
                "  local -a commands=(\n");
  for (size_t i = 0; i < commands_count; i++) {
    buf_printf(out, "    '%s:", commands[i].name);
    put_zsh(out, commands[i].summary, ":\\");
    buf_puts(out, "'\n");
  }
  buf_puts(out, "  )\n"
                "  _describe command commands\n"
                "}\n"
                "_moonkeep() {\n"
                "  local curcontext=$curcontext state line\n"
                "  _arguments -C '(- *)--help[the help]' '(- *)--version[the version]'"
                " '1: :_moonkeep_commands' '*:: :->rest' && return\n"
                "  [[ $state == rest ]] || return\n"
                "  case $words[1] in\n");
  for (size_t i = 0; i < commands_count; i++) put_zsh_command(out, &commands[i]);
  buf_puts(out, "  esac\n"
                "}\n"
                "if [[ $funcstack[1] == _moonkeep ]]; then\n"
                "  _moonkeep \"$@\"\n"
                "else\n"
                "  compdef _moonkeep moonkeep\n"
                "fi\n");
}

/* ---- fish ---- */

static void put_fish_text(struct buf *out, const char *text) {
  buf_putc(out, '\'');
  for (; *text; text++) {
    if (*text == '\'' || *text == '\\') buf_putc(out, '\\');
    buf_putc(out, *text);
  }
  buf_putc(out, '\'');
}

static void put_fish_target(struct buf *out, enum target target) {
  switch (target) {
  case FILES: buf_puts(out, " -F"); break;
  case FOLDERS: buf_puts(out, " -a '(__fish_complete_directories)'"); break;
  case COMMANDS:
    buf_puts(out, " -a '");
    put_commands(out);
    buf_putc(out, '\'');
    break;
  case LEVELS: buf_printf(out, " -a '%s'", levels); break;
  case SHELLS: buf_printf(out, " -a '%s'", shells); break;
  case NOTHING: break;
  }
}

static void put_fish_option(struct buf *out, const struct option *option) {
  buf_puts(out, "complete -c moonkeep -n '__fish_seen_subcommand_from ");
  put_takers(out, option, " ");
  buf_printf(out, "' -l %s", option->name);
  if (option->argument) {
    buf_puts(out, target_of(option->argument) == FILES ? " -r" : " -x");
    put_fish_target(out, target_of(option->argument));
  }
  buf_puts(out, " -d ");
  put_fish_text(out, option->help);
  buf_putc(out, '\n');
}

static void put_fish(struct buf *out) {
  buf_puts(out, "# fish completion for moonkeep\n"
                "complete -c moonkeep -f\n");
  for (size_t i = 0; i < commands_count; i++) {
    buf_printf(out, "complete -c moonkeep -n __fish_use_subcommand -a %s -d ", commands[i].name);
    put_fish_text(out, commands[i].summary);
    buf_putc(out, '\n');
    enum target target = argument_of(&commands[i]);
    if (target == NOTHING) continue;
    buf_printf(out, "complete -c moonkeep -n '__fish_seen_subcommand_from %s'", commands[i].name);
    put_fish_target(out, target);
    buf_putc(out, '\n');
  }
  buf_puts(out, "complete -c moonkeep -n __fish_use_subcommand -l version -d 'the version'\n"
                "complete -c moonkeep -n __fish_use_subcommand -l help -d 'the help'\n");
  for (size_t i = 0; i < options_count; i++) put_fish_option(out, &options_table[i]);
}

/* ---- the command ---- */

enum exit_status command_completion(struct cli *cli) {
  static const struct {
    const char *name;
    void (*put)(struct buf *);
  } known[] = {{"bash", put_bash}, {"zsh", put_zsh_script}, {"fish", put_fish}};
  const char *name = cli->settings.arguments[0];
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(known[i].name, name) != 0) continue;
    struct buf text = {0};
    known[i].put(&text);
    int error = text.failed ? ENOMEM : console_write(&cli->console, CONSOLE_OUT, text.data, text.len);
    buf_deinit(&text);
    return error ? EXIT_FAILED : EXIT_DONE;
  }
  const char *near = nearest_name(name, known, sizeof known / sizeof *known, sizeof *known);
  if (near) return wrong_usage(cli, "there is no completion for \"%.64s\": did you mean %s?", name, near);
  return wrong_usage(cli, "there is no completion for \"%.64s\", only for bash, zsh and fish", name);
}
