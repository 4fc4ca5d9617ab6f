/* The command line: the table of commands, and one command run from argv to exit status. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/options.h"
#include "link/console.h"

enum exit_status { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_FOUND };

/* What a command has at hand. */
struct cli {
  const struct command *command;
  struct settings settings;
  struct console console;
};

struct command {
  const char *name, *usage, *summary; /* usage: what stands behind the name; summary: half a line */
  uint64_t bit;                       /* C_… of cli/options.h */
  int least, most;                    /* arguments */
  enum exit_status (*run)(struct cli *cli);
  const char *help; /* paragraphs for `help COMMAND` */
};
extern const struct command commands[];
extern const size_t commands_count;
const struct command *command_find(const char *name); /* NULL: there is none */

/* The whole program. */
int cli_main(int argc, char **argv);

/* The commands. */
enum exit_status command_run(struct cli *cli);
enum exit_status command_chat(struct cli *cli);
enum exit_status command_get(struct cli *cli);
enum exit_status command_set(struct cli *cli);
enum exit_status command_update(struct cli *cli);
enum exit_status command_delete(struct cli *cli);
enum exit_status command_select(struct cli *cli);
enum exit_status command_keys(struct cli *cli);
enum exit_status command_count(struct cli *cli);
enum exit_status command_delete_like(struct cli *cli);
enum exit_status command_test(struct cli *cli);
enum exit_status command_check_scripts(struct cli *cli);
enum exit_status command_export(struct cli *cli);
enum exit_status command_import(struct cli *cli);
enum exit_status command_backup(struct cli *cli);
enum exit_status command_backups(struct cli *cli);
enum exit_status command_restore(struct cli *cli);
enum exit_status command_check(struct cli *cli);
enum exit_status command_salvage(struct cli *cli);
enum exit_status command_reload(struct cli *cli);
enum exit_status command_status(struct cli *cli);
enum exit_status command_metrics(struct cli *cli);
enum exit_status command_console(struct cli *cli);
enum exit_status command_logs(struct cli *cli);
enum exit_status command_stop(struct cli *cli);
enum exit_status command_completion(struct cli *cli);
enum exit_status command_manual(struct cli *cli);
enum exit_status command_config(struct cli *cli);
enum exit_status command_help(struct cli *cli);

/* Says what is wrong and points to the help; the status for it. */
enum exit_status wrong_usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the error; the status is wrong usage where the fault is one of what the person wrote. */
enum exit_status failed(struct cli *cli, const struct err *err);

#endif
