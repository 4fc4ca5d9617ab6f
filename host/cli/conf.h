/* The settings of the configuration file: `--config FILE`, MOONKEEP_CONFIG, or ./moonkeep.conf where there is
 * one. What it says counts less than the environment, and that less than the command line. */
#ifndef CLI_CONF_H
#define CLI_CONF_H

#include "cli/options.h"

/* Reads the file into the settings that argv has left open. It may hold settings of other commands; all of
 * them are checked. To be called before options_settle, whose environment goes over it. */
enum moonkeep_code conf_settle(struct settings *settings, uint64_t command, struct err *err);
void conf_free(struct settings *settings); /* the texts that came from it */

#endif
