#include "script/match.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "script/budget.h"

enum {
  DEPTH = 200,          /* as deep as Lua's */
  STEPS_A_LOOK = 10000, /* at the budget: some tens of microseconds */
};

enum { OPEN = -1, POSITION = -2 }; /* instead of a capture's length */

static const char *walk(struct match *m, const char *s, const char *p);

static void spend(struct match *m, size_t steps) {
  if (steps < (size_t)m->steps) {
    m->steps -= (int)steps;
    return;
  }
  m->steps = STEPS_A_LOOK;
  budget_check(m->L);
}

/* ---- one character ---- */

static bool in_class(unsigned char c, unsigned char letter) {
  bool is;
  switch (tolower(letter)) {
  case 'a': is = isalpha(c); break;
  case 'c': is = iscntrl(c); break;
  case 'd': is = isdigit(c); break;
  case 'g': is = isgraph(c); break;
  case 'l': is = islower(c); break;
  case 'p': is = ispunct(c); break;
  case 's': is = isspace(c); break;
  case 'u': is = isupper(c); break;
  case 'w': is = isalnum(c); break;
  case 'x': is = isxdigit(c); break;
  case 'z': is = c == 0; break;
  default: return letter == c;
  }
  return is != (isupper(letter) != 0);
}

/* Whether the set from its `[` to its `]` has the character. */
static bool in_set(unsigned char c, const char *set, const char *close) {
  const unsigned char *at = (const unsigned char *)set + 1, *end = (const unsigned char *)close;
  bool without = *at == '^';
  for (at += without; at < end; at++) {
    if (*at == '%') {
      if (in_class(c, *++at)) return !without;
    } else if (at + 2 < end && at[1] == '-') {
      if (at[0] <= c && c <= at[2]) return !without;
      at += 2;
    } else if (*at == c) {
      return !without;
    }
  }
  return without;
}

/* Behind the item that begins at p: a character, a class or a set. */
static const char *item_end(struct match *m, const char *p) {
  char first = *p++;
  if (first == '%') {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (first != '[') return p;
  if (*p == '^') p++;
  do { /* a `]` that comes first is one of the set */
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == '%' && p < m->pattern_end) p++;
  } while (*p != ']');
  return p + 1;
}

/* Whether the character at s is one of the item from p to end. */
static bool fits(const struct match *m, const char *s, const char *p, const char *end) {
  if (s >= m->text_end) return false;
  unsigned char c = (unsigned char)*s;
  switch (*p) {
  case '.': return true;
  case '%': return in_class(c, (unsigned char)p[1]);
  case '[': return in_set(c, p, end - 1);
  default: return (unsigned char)*p == c;
  }
}

/* ---- items that repeat ---- */

/* As many as there are, then one less each time the rest does not fit. */
static const char *most(struct match *m, const char *s, const char *p, const char *end) {
  const char *far = s;
  while (fits(m, far, p, end)) far++;
  spend(m, (size_t)(far - s));
  for (;; far--) {
    const char *to = walk(m, far, end + 1);
    if (to || far == s) return to;
  }
}

/* As few as will do. */
static const char *fewest(struct match *m, const char *s, const char *p, const char *end) {
  for (;; s++) {
    const char *to = walk(m, s, end + 1);
    if (to || !fits(m, s, p, end)) return to;
  }
}

/* ---- captures ---- */

static const char *begin_capture(struct match *m, const char *s, const char *p, ptrdiff_t len) {
  if (m->count == MATCH_CAPTURES) luaL_error(m->L, "too many captures");
  m->captures[m->count].begin = s;
  m->captures[m->count].len = len;
  m->count++;
  const char *to = walk(m, s, p);
  if (!to) m->count--;
  return to;
}

static const char *end_capture(struct match *m, const char *s, const char *p) {
  int index = m->count - 1;
  while (index >= 0 && m->captures[index].len != OPEN) index--;
  if (index < 0) luaL_error(m->L, "invalid pattern capture");
  m->captures[index].len = s - m->captures[index].begin;
  const char *to = walk(m, s, p);
  if (!to) m->captures[index].len = OPEN;
  return to;
}

/* Behind the same text as capture number `digit` has; NULL: it is not here. */
static const char *captured_again(struct match *m, const char *s, char digit) {
  int index = digit - '1';
  if (index < 0 || index >= m->count || m->captures[index].len == OPEN)
    luaL_error(m->L, "invalid capture index %%%d", index + 1);
  size_t len = (size_t)m->captures[index].len; /* of a position it is more than any text has */
  if ((size_t)(m->text_end - s) < len || memcmp(m->captures[index].begin, s, len) != 0) return NULL;
  spend(m, len / 64);
  return s + len;
}

/* ---- the rest of the language ---- */

/* Behind the text from s that the pair of characters at p encloses. */
static const char *balanced(struct match *m, const char *s, const char *p) {
  if (p + 1 >= m->pattern_end) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  const char *begin = s;
  size_t open = 1;
  if (*s != p[0]) return NULL;
  while (++s < m->text_end) {
    if (*s == p[1]) {
      if (--open == 0) break;
    } else if (*s == p[0]) {
      open++;
    }
  }
  spend(m, (size_t)(s - begin));
  return s < m->text_end ? s + 1 : NULL;
}

/* Whether the set at p begins to fit at s. */
static bool at_frontier(const struct match *m, const char *s, const char *p, const char *end) {
  unsigned char before = s == m->text ? '\0' : (unsigned char)s[-1];
  return !in_set(before, p, end - 1) && in_set((unsigned char)*s, p, end - 1);
}

/* What `%` begins but a class. True: *s and *p stand behind it, or *s is NULL where it does not fit. */
static bool special(struct match *m, const char **s, const char **p) {
  const char *what = *p + 1;
  if (*what == 'b') {
    *s = balanced(m, *s, what + 1);
    *p += 4;
  } else if (*what == 'f') {
    if (what[1] != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    const char *end = item_end(m, what + 1);
    if (!at_frontier(m, *s, what + 1, end)) *s = NULL;
    *p = end;
  } else if (isdigit((unsigned char)*what)) {
    *s = captured_again(m, *s, *what);
    *p += 2;
  } else {
    return false;
  }
  return true;
}

/* One item and what says how often. True: go on at *s and *p, or *s is NULL where it does not fit. False: *s
 * is where the whole match ends, or NULL. */
static bool item(struct match *m, const char **s, const char **p) {
  const char *end = item_end(m, *p), *begin = *p, *to;
  char often = end < m->pattern_end ? *end : '\0';
  bool optional = often == '*' || often == '?' || often == '-';
  *p = optional ? end + 1 : end;
  if (!fits(m, *s, begin, end)) {
    if (!optional) *s = NULL;
    return true;
  }
  switch (often) {
  case '*': *s = most(m, *s, begin, end); return false;
  case '+': *s = most(m, *s + 1, begin, end); return false;
  case '-': *s = fewest(m, *s, begin, end); return false;
  case '?':
    to = walk(m, *s + 1, end + 1);
    if (to) *s = to;
    return !to;
  default: ++*s; return true;
  }
}

/* Where the match of the pattern from p on, at s, ends; NULL: there is none. */
static const char *walk(struct match *m, const char *s, const char *p) {
  if (m->depth++ == DEPTH) luaL_error(m->L, "pattern too complex");
  bool more = true;
  while (more && s && p < m->pattern_end) {
    if (--m->steps <= 0) spend(m, STEPS_A_LOOK);
    if (*p == '(') {
      bool position = p[1] == ')';
      s = begin_capture(m, s, p + 1 + position, position ? POSITION : OPEN);
      more = false;
    } else if (*p == ')') {
      s = end_capture(m, s, p + 1);
      more = false;
    } else if (*p == '$' && p + 1 == m->pattern_end) {
      if (s != m->text_end) s = NULL;
      more = false;
    } else if (*p != '%' || !special(m, &s, &p)) {
      more = item(m, &s, &p);
    }
  }
  m->depth--;
  return s;
}

/* ---- what is seen from outside ---- */

void match_init(struct match *match, const char *text, size_t text_len, const char *pattern,
                size_t pattern_len) {
  match->text = text;
  match->text_end = text + text_len;
  match->pattern = pattern;
  match->pattern_end = pattern + pattern_len;
  match->steps = STEPS_A_LOOK;
}

const char *match_at(struct match *match, lua_State *L, const char *from) {
  match->L = L;
  match->depth = match->count = 0;
  if (--match->steps <= 0) spend(match, STEPS_A_LOOK);
  return walk(match, from, match->pattern);
}

void match_push(struct match *match, int index, const char *from, const char *to) {
  lua_State *L = match->L;
  if (index >= match->count) {
    if (index > 0) luaL_error(L, "invalid capture index %%%d", index + 1);
    lua_pushlstring(L, from, (size_t)(to - from));
    return;
  }
  const char *begin = match->captures[index].begin;
  ptrdiff_t len = match->captures[index].len;
  if (len == OPEN) luaL_error(L, "unfinished capture");
  if (len == POSITION)
    lua_pushinteger(L, begin - match->text + 1);
  else
    lua_pushlstring(L, begin, (size_t)len);
}

int match_push_all(struct match *match, const char *from, const char *to) {
  int count = match->count == 0 && from ? 1 : match->count;
  luaL_checkstack(match->L, count, "too many captures");
  for (int i = 0; i < count; i++) match_push(match, i, from, to);
  return count;
}
