/* What a command line says: the command, its arguments, and the settings from options and environment.
 *
 * Each option stands once, in the table in options.c: its name, what it takes, its default, its help, its
 * name in the environment and the commands that take it. Nothing here is allocated; the texts belong to argv
 * and the environment. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "store/store.h"

/* Sets of commands, a bit each. */
#define COMMAND_BIT(n) (UINT64_C(1) << (n))
#define C_RUN          COMMAND_BIT(0)
#define C_CHAT         COMMAND_BIT(1)
#define C_GET          COMMAND_BIT(2)
#define C_SET          COMMAND_BIT(3)
#define C_DELETE       COMMAND_BIT(4)
#define C_SELECT       COMMAND_BIT(5)
#define C_KEYS         COMMAND_BIT(6)
#define C_COUNT        COMMAND_BIT(7)
#define C_DELETE_LIKE  COMMAND_BIT(8)
#define C_HELP         COMMAND_BIT(9)
#define C_RELOAD       COMMAND_BIT(10)
#define C_TEST         COMMAND_BIT(12)
#define C_CHECK        COMMAND_BIT(13)
#define C_BACKUP       COMMAND_BIT(16)
#define C_BACKUPS      COMMAND_BIT(17)
#define C_STATUS       COMMAND_BIT(25)
#define C_LOGS         COMMAND_BIT(26)
#define C_STOP         COMMAND_BIT(27)
#define C_CONSOLE      COMMAND_BIT(28)
#define C_METRICS      COMMAND_BIT(29)
#define C_RESTORE      COMMAND_BIT(20)
#define C_CHECK_STORE  COMMAND_BIT(21)
#define C_SALVAGE      COMMAND_BIT(22)
#define C_EXPORT       COMMAND_BIT(33)
#define C_IMPORT       COMMAND_BIT(34)
#define C_UPDATE       COMMAND_BIT(35)
#define C_CONFIG       COMMAND_BIT(36)
#define C_COMPLETION   COMMAND_BIT(37)
#define C_MANUAL       COMMAND_BIT(38)
#define C_HOSTS        (C_RUN | C_CHAT)
#define C_STORE        (C_GET | C_SET | C_DELETE | C_SELECT | C_KEYS | C_COUNT | C_DELETE_LIKE | C_UPDATE)
#define C_FILES        (C_EXPORT | C_IMPORT)
#define C_SAFETY       (C_BACKUP | C_BACKUPS | C_RESTORE | C_CHECK_STORE | C_SALVAGE)
#define C_CONTROL      (C_STATUS | C_LOGS | C_CONSOLE | C_RELOAD | C_STOP | C_METRICS)
#define C_ABOUT        (C_HELP | C_CONFIG | C_COMPLETION | C_MANUAL)
#define C_AUTHOR       (C_TEST | C_CHECK)
#define C_SCRIPTS      (C_HOSTS | C_AUTHOR)
#define C_ALL          (C_HOSTS | C_AUTHOR | C_STORE | C_FILES | C_SAFETY | C_CONTROL | C_ABOUT)

enum { ARGUMENTS = 2 }; /* the most that a command takes */

struct settings {
  const char *data, *store;
  const char *listen, *token_file; /* NULL: not over TCP */
  const char *metrics;             /* HOST:PORT; NULL: not over HTTP */
  const char *backups;             /* NULL: `backups` in the data folder */
  bool trust, json, serve, follow, watch, echo, yes, help, version;
  bool no_supervise;
  enum log_level log_level;
  int log_format;                    /* of enum log_format */
  bool has_log_level;                /* else the command's own default counts */
  uint64_t value_bytes, cache_bytes; /* 0: the store's default */
  uint64_t memory_bytes;             /* 0: the scripts' default */
  bool dry_run, full;
  const char *at; /* NULL: no moment was given */
  double grace_s, cpu_budget_s, backup_every_s;
  enum store_archive archive;
  const char *preset;           /* JSON; NULL: none */
  uint64_t limit, batch, lines; /* 0: none */
  const char *after;            /* NULL: from the start */
  double ttl_s, expires_at_s;   /* 0: none */

  uint64_t given;            /* a bit for each option of the table that argv has */
  unsigned char origins[64]; /* of enum origin: where each option of the table has its value from, */
  const char *texts[64];     /*   and how it was written there; NULL: it is the default */
  const char *config;        /* the configuration file that argv or the environment names; NULL: none */
  const char *conf_path;     /* the one that was read; NULL: none */
  char *owned[64];           /* the texts that came from it: conf_free */

  const char *command;              /* NULL: none was given */
  const char *arguments[ARGUMENTS]; /* what follows it */
  int argument_count;               /* may be more than ARGUMENTS: then only their number is known */
};

/* Reads argv. A wrong option is an invalid with a sentence that names it and, where one is near, the one that
 * was meant. */
enum moonkeep_code options_read(struct settings *settings, int argc, char **argv, struct err *err);

/* Reads the environment for what argv has left open, and refuses options that the command does not take. */
enum moonkeep_code options_settle(struct settings *settings, uint64_t command, const char *command_name,
                                  struct err *err);

/* Takes one value that somebody has written, checks it, and puts it in its place. `origin` is how they wrote
 * it: --data, or MOONKEEP_DATA in the environment. The text is borrowed. */
struct option;
enum origin { ORIGIN_PRESET, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_OPTION };
enum moonkeep_code options_take(struct settings *settings, const struct option *option, enum origin from,
                                const char *origin, const char *text, struct err *err);
bool option_flag(const char *text); /* whether a flag's text says yes */

/* Where the value of the option with this name comes from. */
enum origin option_origin(const struct settings *settings, const char *name);

/* Whether the command takes the option. */
bool option_is_taken(const struct option *option, uint64_t command);

/* The table, for the help. */
struct option {
  const char *name, *argument, *preset, *help, *env; /* argument, preset and env may be NULL */
  uint64_t commands;
  int kind;
  size_t offset; /* of its place in struct settings */
};
extern const struct option options_table[];
extern const size_t options_count;

/* The name of the list that is nearest to the word, or NULL where none is near. `step` is the distance
 * between two names in bytes: the first member of an array of structs will do. */
const char *nearest_name(const char *word, const void *names, size_t count, size_t step);

#endif
