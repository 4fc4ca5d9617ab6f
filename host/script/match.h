/* Lua's patterns, matched in counted steps: what backtracks for ever answers to the CPU budget.
 *
 * Private to host/script. The same language as in Lua 5.4, with the same messages. A struct match lives where
 * the texts do, in one C function or beside them in a userdata; nothing is to be freed. */
#ifndef SCRIPT_MATCH_H
#define SCRIPT_MATCH_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum { MATCH_CAPTURES = 32 };

struct match {
  lua_State *L; /* raises, and may be stopped */
  const char *text, *text_end, *pattern, *pattern_end;
  int depth; /* of tries inside one another */
  int steps; /* until the budget is asked again */
  int count; /* of captures that have begun */
  struct {
    const char *begin;
    ptrdiff_t len; /* or one of those below */
  } captures[MATCH_CAPTURES];
};

void match_init(struct match *match, const char *text, size_t text_len, const char *pattern,
                size_t pattern_len);

/* Where a match that begins exactly here ends; NULL: there is none. Raises where the pattern is wrong. */
const char *match_at(struct match *match, lua_State *L, const char *from);

/* Pushes what a match from `from` to `to` has captured; the whole of it where the pattern has no captures,
 * unless from is NULL. Returns how many. */
int match_push_all(struct match *match, const char *from, const char *to);

/* Pushes one capture, from 0; 0 is the whole match where there are none. */
void match_push(struct match *match, int index, const char *from, const char *to);

#endif
