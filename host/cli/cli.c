#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/conf.h"
#include "cli/help.h"

const struct command commands[] = {
    {"run", "[SCRIPTS]", "events from stdin, actions to stdout, log to stderr", C_RUN, 0, 1, command_run,
     "Runs the bots of the folder SCRIPTS (default: scripts). Each line of standard input is an event:\n"
     "\n"
     "  "
     "{\"event\":\"message\",\"id\":\"17\",\"channel\":\"general\",\"userId\":\"alice\",\"text\":\"hello\"}\n"
     "\n"
     "Only \"event\" is required. Each line of standard output is an action of a script, or, when all "
     "handlers\n"
     "of an event with an \"id\" have finished and what they saved is on disk:\n"
     "\n"
     "  {\"done\":\"17\",\"ok\":true}\n"
     "\n"
     "What was not answered with \"done\" can be sent again. A line that is no event is answered with\n"
     "{\"error\":…,\"line\":N}.\n"
     "\n"
     "Scripts are reloaded when they are saved, and all of them at SIGHUP. At the end of input what is "
     "running\n"
     "finishes; SIGTERM and SIGINT end the host in order at once, a second one kills it.\n"
     "\n"
     "A small process watches over the host. After a crash it starts another one, with everything that was\n"
     "acknowledged; the script that was running is left out until it is saved. When the store file is "
     "found to\n"
     "be damaged, and backup and archive have everything, it starts the host again to restore it.\n"
     "--no-supervise runs without.\n"},
    {"chat", "[SCRIPTS]", "the same bots, talking with you in the terminal", C_CHAT, 0, 1, command_chat,
     "Talks with the bots of the folder SCRIPTS (default: scripts), in the channel general. A line is TEXT, "
     "which\n"
     "you say, or NAME: TEXT, which NAME says. Lines may also come from a file or a pipe:\n"
     "\n"
     "  printf 'alice: hello\\nbob: hi\\n' | moonkeep chat --echo\n"
     "\n"
     "Scripts are reloaded when they are saved, while you talk.\n"},
    {"test", "[SCRIPTS] [NAME]", "run the tests beside the scripts: *_test.lua", C_TEST, 0, 2, command_test,
     "Runs every file NAME_test.lua of the folder SCRIPTS (default: scripts) and of its own folders, or the "
     "one\n"
     "file SCRIPTS, and of these the cases with NAME in their name or their file's. leveling_test.lua tests "
     "the\n"
     "bot leveling:\n"
     "\n"
     "  test(\"talking earns points\", function()\n"
     "    test.say(\"ann\", \"hello\")\n"
     "    test.equal(appData:get(\"xp:ann\"), 50)\n"
     "    test.equal(test.say(\"ann\", \"!rank\"), {\"ann: level 1 with 50 XP, place 1\"})\n"
     "  end)\n"
     "\n"
     "Each case has a store of its own, in memory, and a clock that stands still until "
     "test.advance(seconds)\n"
     "moves it. scripts/README.md has the reference. What bots log is shown where a case fails, and all of "
     "it\n"
     "with --log-level. The last line is `N passed, N failed`; exit status 1 where a case has failed.\n"},
    {"check-scripts", "[SCRIPTS]", "load the scripts and say what is wrong with them", C_CHECK, 0, 1,
     command_check_scripts,
     "Loads every script of the folder SCRIPTS (default: scripts), as a host does it, without running "
     "handlers\n"
     "and with a store that is thrown away. Errors are shown with their line, and names that look like "
     "mistakes\n"
     "are warned of. Exit status 1 where a script cannot be loaded.\n"},
    {"get", "KEY", "print the value of a key", C_GET, 1, 1, command_get,
     "Prints the value as one line of JSON. A key that is not there: nothing is printed, exit status 3.\n"},
    {"set", "KEY JSON", "give a key a value", C_SET, 2, 2, command_set,
     "Saves the value, which is JSON: 5, true, '\"text\"', '{\"xp\":50}'. With - it is read from standard "
     "input.\n"
     "When the command has ended the value is on disk. Without --ttl and --expires-at the key never "
     "expires.\n"},
    {"update", "KEY LUA-FUNCTION", "change a value by a function of it", C_UPDATE, 2, 2, command_update,
     "Calls the function with the value that the key has (or else with --default), saves what it returns, "
     "and "
     "prints\n"
     "that. Nothing comes in between, from no bot and no other program:\n"
     "\n"
     "  moonkeep update alice 'function(xp) return xp + 50 end' --default 0\n"
     "\n"
     "The function is written in Lua and can do what scripts can, but no store calls; it may return\n"
     "moonkeep.unchanged to leave the value, or moonkeep.absent to delete the key, and then nothing is\n"
     "printed. Where it raises an error nothing is saved.\n"},
    {"delete", "KEY", "delete a key; prints true if it was there", C_DELETE, 1, 1, command_delete,
     "Deletes the key. Prints true if it was there, else false.\n"},
    {"select", "[PATTERN]", "keys with their values", C_SELECT, 0, 1, command_select,
     "Prints the keys that match (default: all), in order, with their values: a table on a terminal, "
     "elsewhere\n"
     "one object a line, {\"key\":…,\"value\":…,\"expires_at\":…}, and with --json one array.\n"},
    {"keys", "[PATTERN]", "keys alone", C_KEYS, 0, 1, command_keys,
     "Prints the keys that match (default: all), in order, one a line; with --json one array.\n"},
    {"count", "[PATTERN]", "how many keys there are", C_COUNT, 0, 1, command_count,
     "Prints how many keys match (default: all).\n"},
    {"deleteLike", "PATTERN", "delete all keys that match", C_DELETE_LIKE, 1, 1, command_delete_like,
     "Deletes the keys that match and prints how many went. On a terminal it asks first; elsewhere it needs "
     "--yes.\n"},
    {"export", "[FILE]", "all keys and values as NDJSON, to a file or stdout", C_EXPORT, 0, 1, command_export,
     "Writes every key that is there at one moment, one object a line:\n"
     "\n"
     "  {\"store\":\"appData\",\"key\":\"alice\",\"value\":{\"xp\":50},\"expires_at\":1795425633.25}\n"
     "\n"
     "\"expires_at\", in seconds since 1970, stands only where the key expires. All stores are written, or "
     "the\n"
     "one of --store. A running host goes on meanwhile; what it has acknowledged before is in it. FILE "
     "(default\n"
     "and -: standard output) appears when it is whole.\n"},
    {"import", "[FILE]", "keys and values from a file or stdin", C_IMPORT, 0, 1, command_import,
     "Takes keys with their values in, over what the stores hold, and prints how many they were. FILE "
     "(default\n"
     "and -: standard input) is what its content says:\n"
     "\n"
     "  one object a line, as `export` and `select` write it: "
     "{\"store\":…,\"key\":…,\"value\":…,\"expires_at\":…}\n"
     "  an array of such objects, as `select --json` writes it\n"
     "  one object whose members are keys and values: {\"alice\":{\"xp\":50},\"bob\":{\"xp\":20}}\n"
     "  a database of the Root SDK: the newest row of each key of its table __rootapp_kv\n"
     "  a mod_storage.sqlite of Luanti: each mod is a store, and its values are texts;\n"
     "  mod_3d_armor is that of 3d_armor, for the name of a store begins with a letter\n"
     "\n"
     "What names no store goes into appData, and with --store everything goes into that one. All of it is "
     "saved,\n"
     "or, when a line is wrong or the disk is full, nothing. With --batch N it is saved N keys at a time: "
     "what "
     "was\n"
     "saved stays, and importing the file again does no harm. Keys that have expired are left out. A running "
     "host\n"
     "takes at most 16 MiB at once: larger files need --batch there.\n"},
    {"backup", "", "take a backup now", C_BACKUP, 0, 0, command_backup,
     "Copies the store as it is at this moment into the folder of backups, reads the copy back as a whole, "
     "and "
     "prints\nits name. A running host goes on meanwhile; it takes backups by itself, too (--backup-every), "
     "and "
     "keeps the\nnewest 4, then one an hour for a day, one a day for a week, one a week for a month. With "
     "--json: "
     "name, moment,\nsize and number of keys.\n"},
    {"backups", "", "what backups there are", C_BACKUPS, 0, 0, command_backups,
     "Prints the backups, the newest first: a table on a terminal, elsewhere one object a line, and with "
     "--json "
     "one\narray. \"at\" is the moment that it holds, in seconds since 1970.\n"},
    {"restore", "[NAME]", "bring an earlier state of the store back", C_RESTORE, 0, 1, command_restore,
     "Replaces the store by a backup: the one of this NAME (`moonkeep backups` lists them), by default the "
     "newest that\n"
     "is whole. Where the store file is lost or damaged, what the archive has from after that backup comes "
     "back too.\n"
     "With --at TIME the store becomes what it was at that moment. No host may run on the folder: stop it "
     "before.\n"
     "\n"
     "The state before is kept as a backup of its own, so that another restore brings it back. --dry-run "
     "says "
     "what\nwould be done. On a terminal it asks first; elsewhere it needs --yes.\n"},
    {"check", "", "whether the store, its backups and their archive are whole", C_CHECK_STORE, 0, 0,
     command_check,
     "Looks at the store file and at each backup, also while a host runs, and prints what it found; exit "
     "status "
     "1 when\nsomething is damaged. With --full every row is compared with its checksum, which takes "
     "longer.\n"},
    {"salvage", "FILE [OUT]", "what can be read in a damaged store file", C_SALVAGE, 1, 2, command_salvage,
     "Reads the store file FILE around what is damaged in it, with the write-ahead log beside it, and writes "
     "each "
     "key\nthat is whole to OUT (default: standard output), one object a line, as `import` takes them. Rows "
     "that "
     "another\nprogram wrote have no checksum and carry \"unchecked\":true. FILE is not changed; no host may "
     "have it "
     "open.\n"
     "\n"
     "  moonkeep salvage data/damaged-20261123T101500.250Z/appdata.db rows.ndjson\n"
     "  moonkeep import rows.ndjson\n"},
    {"reload", "[SCRIPT]", "load scripts of a running host anew", C_RELOAD, 0, 1, command_reload,
     "Has the host that runs on the data folder load the script anew, or all scripts, as if they had\n"
     "just been saved, and take in what is new in the folder or gone. Prints what came of each when the\n"
     "new version has taken over: a line of text on a terminal, elsewhere one object a line,\n"
     "{\"script\":…,\"result\":\"reloaded\"}, and with --json one array. Exit status 1 when one could not "
     "be\n"
     "loaded: then its old version goes on. A host reloads scripts by itself when they are saved; SIGHUP\n"
     "has it reload all, too.\n"},
    {"status", "", "how a running host is", C_STATUS, 0, 0, command_status,
     "Tells of the host on the data folder: its scripts with their versions, tasks, errors, memory and CPU "
     "time,\n"
     "its events, and the store: keys, size, journal, cache, and how long a commit takes. With --watch it is "
     "drawn\n"
     "anew every second, with --json it is one object. Without a host it says so and tells what the folder "
     "holds;\n"
     "then the exit status is 1.\n"},
    {"metrics", "", "the same for Prometheus", C_METRICS, 0, 0, command_metrics,
     "Prints what `moonkeep status` tells in the text format of Prometheus. `moonkeep run --metrics "
     "HOST:PORT` "
     "serves\n"
     "it over HTTP.\n"},
    {"logs", "", "what a running host writes to its log", C_LOGS, 0, 0, command_logs,
     "Prints the last lines that the host on the data folder remembers (it keeps a thousand), and with "
     "--follow "
     "(-f)\n"
     "what it goes on to write, until it ends. With --json each line is an object:\n"
     "\n"
     "  {\"time\":1795425633.25,\"level\":\"info\",\"source\":\"xp\",\"text\":\"loaded\"}\n"},
    {"console", "", "a Lua prompt in a running host", C_CONSOLE, 0, 0, command_console,
     "Evaluates Lua in the host on the data folder, in a state of its own: appData and the other stores, "
     "bot, "
     "cjson\n"
     "and moonkeep are at hand, and each value is printed as it would be written in Lua. Lines can be "
     "edited; "
     "Tab\n"
     "completes names, the arrow keys bring earlier lines back (~/.moonkeep_history). Lines may also come "
     "from a "
     "pipe;\n"
     "then the exit status is 1 where one has failed.\n"
     "\n"
     "  echo 'appData:count(\"user:%\")' | moonkeep console\n"},
    {"stop", "", "end a running host in order", C_STOP, 0, 0, command_stop,
     "Has the host on the data folder finish what is running and stop, as SIGTERM does, and waits until it "
     "has.\n"},
    {"config", "", "the settings in force, and where each comes from", C_CONFIG, 0, 0, command_config,
     "Prints every setting with its value and where that comes from: an option, the environment, the "
     "configuration\n"
     "file, or the default. What it prints can be a configuration file: Lua that assigns settings (or "
     "returns a\n"
     "table of them), in an empty environment. Names are those of the options, with _ for -:\n"
     "\n"
     "  data = \"/var/lib/moonkeep\"\n"
     "  log_level = \"warn\"\n"
     "  cache = 256 * 1024 * 1024\n"
     "\n"
     "--config FILE or MOONKEEP_CONFIG name it, and otherwise moonkeep.conf is read where it is there. The\n"
     "environment goes over the file, and options over both.\n"},
    {"completion", "bash|zsh|fish", "what your shell needs to complete command lines", C_COMPLETION, 1, 1,
     command_completion,
     "Prints a script for the shell. It is installed with the program; without that:\n"
     "\n"
     "  eval \"$(moonkeep completion bash)\"          in ~/.bashrc\n"
     "  eval \"$(moonkeep completion zsh)\"           in ~/.zshrc, behind compinit\n"
     "  moonkeep completion fish | source            in ~/.config/fish/config.fish\n"},
    {"manual", "[PAGE]", "the manual page, as roff", C_MANUAL, 0, 1, command_manual,
     "Prints a page of the manual, moonkeep.1 or moonkeep.conf.5. They are installed with the program; "
     "without\n"
     "that:\n"
     "\n"
     "  moonkeep manual | man -l -\n"},
    {"help", "[COMMAND]", "this text, or a command's", C_HELP, 0, 1, command_help, "Prints the help.\n"},
};
const size_t commands_count = sizeof commands / sizeof *commands;

const struct command *command_find(const char *name) {
  for (size_t i = 0; i < commands_count; i++)
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  return NULL;
}

enum exit_status wrong_usage(struct cli *cli, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  console_complain(&cli->console, "%s", text);
  struct buf hint = {0};
  if (cli->command)
    buf_printf(&hint, "usage: moonkeep %s%s%s\n`moonkeep help %s` tells more.\n", cli->command->name,
               *cli->command->usage ? " " : "", cli->command->usage, cli->command->name);
  else
    buf_puts(&hint, "`moonkeep --help` shows what there is.\n");
  if (!hint.failed) console_write(&cli->console, CONSOLE_ERR, hint.data, hint.len);
  buf_deinit(&hint);
  return EXIT_USAGE;
}

enum exit_status failed(struct cli *cli, const struct err *err) {
  console_complain(&cli->console, "%s", err->message);
  switch (err->code) {
  case MOONKEEP_INVALID_KEY:
  case MOONKEEP_INVALID_VALUE:
  case MOONKEEP_INVALID_PATTERN: return EXIT_USAGE;
  case MOONKEEP_TOO_LARGE: return cli->command->bit == C_SET ? EXIT_USAGE : EXIT_FAILED;
  default: return EXIT_FAILED;
  }
}

static enum exit_status unknown_command(struct cli *cli, const char *name) {
  const char *near = nearest_name(name, commands, commands_count, sizeof *commands);
  if (near) return wrong_usage(cli, "unknown command \"%.64s\": did you mean %s?", name, near);
  return wrong_usage(cli, "unknown command \"%.64s\"", name);
}

static enum exit_status check_arguments(struct cli *cli) {
  const struct command *command = cli->command;
  int count = cli->settings.argument_count;
  if (count < command->least) return wrong_usage(cli, "%s needs %s", command->name, command->usage);
  if (count > command->most && command->bit == C_SET)
    return wrong_usage(
        cli, "set takes KEY and JSON, and there are %d arguments: JSON with spaces needs quotes", count);
  if (count > command->most)
    return command->most == 0
               ? wrong_usage(cli, "%s takes no arguments", command->name)
               : wrong_usage(cli, "%s takes %s and nothing else", command->name, command->usage);
  for (int i = 0; i < count; i++)
    if (!*cli->settings.arguments[i] && command->bit & (C_SCRIPTS | C_HELP))
      return wrong_usage(cli, "%s is empty", command->usage);
  return EXIT_DONE;
}

static enum exit_status run_command(struct cli *cli) {
  struct settings *settings = &cli->settings;
  struct err err;
  if (!(cli->command->bit & (C_HELP | C_COMPLETION | C_MANUAL)) &&
      conf_settle(settings, cli->command->bit, &err)) {
    console_complain(&cli->console, "%s", err.message);
    return EXIT_USAGE;
  }
  if (options_settle(settings, cli->command->bit, cli->command->name, &err))
    return wrong_usage(cli, "%s", err.message);
  enum exit_status status = check_arguments(cli);
  return status ? status : cli->command->run(cli);
}

static enum exit_status begin(struct cli *cli, int argc, char **argv) {
  struct settings *settings = &cli->settings;
  struct err err;
  if (options_read(settings, argc, argv, &err)) return wrong_usage(cli, "%s", err.message);
  if (settings->version) return help_version(cli);
  if (!settings->command) return settings->help ? help_whole(cli, CONSOLE_OUT) : help_short(cli);
  cli->command = command_find(settings->command);
  if (!cli->command) return unknown_command(cli, settings->command);
  if (settings->help && cli->command->bit != C_HELP) return help_command(cli, cli->command);
  return run_command(cli);
}

int cli_main(int argc, char **argv) {
  struct cli cli = {0};
  console_init(&cli.console);
  enum exit_status status = begin(&cli, argc, argv);
  int error = cli.console.error[CONSOLE_OUT];
  if (error) console_complain(&cli.console, "cannot write to standard output: %s", strerror(error));
  conf_free(&cli.settings);
  console_deinit(&cli.console);
  return error && status != EXIT_USAGE ? EXIT_FAILED : status;
}
