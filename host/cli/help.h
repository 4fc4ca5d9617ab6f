/* The help: made from the tables of commands and options, so that it cannot say something else than they do.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/cli.h"

extern const char help_purpose[], help_examples[];

enum exit_status help_version(struct cli *cli);
enum exit_status help_whole(struct cli *cli, enum console_stream stream);
enum exit_status help_command(struct cli *cli, const struct command *command);

/* For a bare `moonkeep`: to standard error, and wrong usage. */
enum exit_status help_short(struct cli *cli);

#endif
