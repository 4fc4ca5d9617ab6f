#include "script/hint.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "script/guess.h"

/* The name in "attempt to call a nil value (global 'print1')", for this kind of name; false: the message is
 * another. */
static bool find_name(const char *message, const char *kind, char name[64]) {
  char wanted[32];
  snprintf(wanted, sizeof wanted, "a nil value (%s '", kind);
  const char *at = strstr(message, wanted);
  size_t len = at ? strcspn(at + strlen(wanted), "'") : 0;
  if (len == 0 || len >= 64) return false;
  memcpy(name, at + strlen(wanted), len);
  name[len] = '\0';
  return true;
}

static bool is_gone(const char *name) {
  static const char *const gone[] = {"io", "debug", "package", "dofile", "loadfile", "warn"};
  for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
    if (strcmp(gone[i], name) == 0) return true;
  return false;
}

void hint_name(lua_State *L, const char *name, struct buf *out) {
  struct guess guess;
  char text[96];
  guess_init(&guess, name);
  if (is_gone(name)) {
    buf_printf(out, " (scripts have no %s)", name);
    return;
  }
  if (strcmp(name, "bot") == 0 || strcmp(name, "test") == 0) {
    buf_puts(out,
             *name == 'b' ? " (a test has `test` in its place)" : " (it is there in files NAME_test.lua)");
    return;
  }
  lua_pushglobaltable(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) guess_try(&guess, lua_tostring(L, -2));
  buf_puts(out, guess_text(&guess, text));
  lua_pop(L, 1);
}

/* Of those that an event, a handler and a timer have: stores say it themselves. */
static void hint_method(const char *name, struct buf *out) {
  static const char *const methods[] = {"reply", "off", "cancel"};
  struct guess guess;
  char text[96];
  guess_init(&guess, name);
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) guess_try(&guess, methods[i]);
  buf_puts(out, guess_text(&guess, text));
}

void hint_add(lua_State *L, const char *message, struct buf *out) {
  char name[64];
  if (find_name(message, "global", name))
    hint_name(L, name, out);
  else if (find_name(message, "method", name))
    hint_method(name, out);
}
