/* A rig whose scripts are watched: what is saved is seen, and what then runs is asked. */
#ifndef TESTS_WATCHED_H
#define TESTS_WATCHED_H

#include <string.h>

#include "check.h"
#include "helpers/rig.h"

#define HAS(text, part)                                                                                      \
  do {                                                                                                       \
    const char *has = text;                                                                                  \
    if (!strstr(has, part)) FAIL("no %s in:\n%s", part, has);                                                \
  } while (0)

void watched_open(struct rig *rig);             /* the first look lies behind */
void watched_look(struct rig *rig, int64_t ms); /* looks, and that much time passes */

/* Saves by a rename and lets it be seen. */
void watched_save(struct rig *rig, const char *name, const char *source);
/* Saves by writing into the file that is there. */
void watched_save_in_place(struct rig *rig, const char *name, const char *source);
/* Lets the next version be loaded, and does not run it. */
void watched_load(struct rig *rig, const char *name, const char *source);

/* A file's path in the scripts folder; valid until the second call after. */
char *watched_path(struct rig *rig, const char *name);
/* The source of a bot that says its version at an event "m"; valid until the second call after. */
const char *watched_says(const char *what);

void watched_message(struct rig *rig);                 /* an event "m" */
void watched_number(struct rig *rig, int n);           /* one that has a number */
void watched_expect(struct rig *rig, const char *log); /* what is said to an event "m" */

unsigned watched_count(const char *text, const char *word);

#endif
