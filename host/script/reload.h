/* Reload: another version takes the place of a script that runs.
 *
 * Private to host/script. A bot is what the folder has under one name; a script is one version of it. The
 * next version is loaded beside the live one and its `start` handlers run; meanwhile events go to the live
 * one. When they have ended, or sleep, the next one takes its place between two events and gets all that come
 * from then on, first those that the old one still held. The old one drains: what runs goes on, its timers
 * have ended, what is still there after the grace period is stopped; then its `stop` handlers run and it is
 * closed. A version that fails to load, or whose `start` handlers fail, is thrown away and the live one goes
 * on.
 *
 * Nothing here is done in the middle of a script's run: script_load is called by looks and by scripts_reload,
 * everything else in the script's turn in the ready queue. */
#ifndef SCRIPT_RELOAD_H
#define SCRIPT_RELOAD_H

#include "script/script.h"

struct bot {
  struct list link; /* in scripts->bots, by name */
  struct scripts *scripts;
  char *name, *file;   /* owned; the file is relative to the folder */
  struct script *live; /* NULL: none */
  struct script *next; /* whose `start` handlers run; NULL: none */
  struct list tried;   /* sources of the last try, where it has failed: what has to change for another */
  int64_t first_ms;    /* since when it has differed from what was loaded; 0: it does not */
  unsigned generation; /* versions so far */
  bool found;          /* by the present look */
  char *why;           /* owned: what has kept the newest version from running; NULL: it runs */
  struct list asks;    /* see ask.h */
};

/* A bot that is not loaded yet; NULL: no memory. */
struct bot *bot_new(struct scripts *scripts, const char *name, const char *file);
struct bot *bot_find(const struct scripts *scripts, const char *name);
void bot_free(struct bot *bot); /* which has neither a live nor a next version */

/* The bot is another file from now on, or is to be tried again as if it had changed; false: no memory. */
bool bot_renew(struct bot *bot, const char *file);

/* Notes what has kept its newest version from running; NULL: nothing. */
void bot_explain(struct bot *bot, const char *why);

/* The files that count for it: when one changes, there is something to load. */
struct list *bot_sources(struct bot *bot);

/* Loads the bot from its file as it is now. At the start (`first`) the folder is taken as it is. */
void reload_try(struct bot *bot, bool first);

/* The bot's file is gone: the live version drains, and the bot is freed. */
void reload_remove(struct bot *bot);

/* Says that a script may have something to do: it gets a turn. */
void reload_poke(struct script *script);

/* A `start` handler has failed. Of a version that has not taken over this is told, and it never will: true.
 */
bool reload_start_failed(struct script *script, const char *message, const char *trace);

/* The host ends: what has not taken over yet does so no more. */
void reload_end(struct scripts *scripts);

/* Takes the script out of all that reload has it in; for script_free. */
void reload_forget(struct script *script);

#endif
