#include "script/value_path.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"

enum {
  PATH_KEY = 32, /* bytes of a key that are shown */
  PATH_HEAD = 6, /* fields at the start of a path that is cut */
  PATH_TAIL = 4, /* and at its end */
};

/* Appends all of the bytes or none, so that no character is cut in two. */
static void path_add(struct value_path *path, const char *bytes, size_t len) {
  if (len >= sizeof path->text - path->len) return;
  memcpy(path->text + path->len, bytes, len);
  path->text[path->len += len] = '\0';
}

static void path_puts(struct value_path *path, const char *text) {
  path_add(path, text, strlen(text));
}

void value_path_quote(struct value_path *path, const char *key, size_t len) {
  const char *at = key, *end = key + len, *shown = key + PATH_KEY;
  path_puts(path, "\"");
  while (at < end && at < shown) {
    unsigned char c = (unsigned char)*at;
    size_t n = utf8_check(at, end);
    char escape[8];
    snprintf(escape, sizeof escape, c == '"' || c == '\\' ? "\\%c" : "\\x%02X", c);
    if (n == 0 || c < 0x20 || c == 0x7F || c == '"' || c == '\\')
      path_puts(path, escape);
    else
      path_add(path, at, n);
    at += n ? n : 1;
  }
  path_puts(path, at < end ? "...\"" : "\"");
}

static void path_add_index(struct value_path *path, lua_Integer index) {
  char text[NUMBER_TEXT + 2] = "[";
  size_t len = 1 + number_print_integer(text + 1, index);
  text[len++] = ']';
  path_add(path, text, len);
}

static bool is_word(const char *key, size_t len) {
  if (len == 0 || len > PATH_KEY || (key[0] >= '0' && key[0] <= '9')) return false;
  for (size_t i = 0; i < len; i++) {
    char letter = (char)(key[i] | 0x20);
    if (!(letter >= 'a' && letter <= 'z') && !(key[i] >= '0' && key[i] <= '9') && key[i] != '_') return false;
  }
  return true;
}

static void path_add_field(struct value_path *path, const struct value_level *level) {
  if (!level->key) {
    path_add_index(path, level->index);
  } else if (is_word(level->key, level->key_len)) {
    path_puts(path, ".");
    path_add(path, level->key, level->key_len);
  } else {
    path_puts(path, "[");
    value_path_quote(path, level->key, level->key_len);
    path_puts(path, "]");
  }
}

const char *value_path_to(struct value_path *path, const char *name, const struct value_level *levels,
                          int depth) {
  path->len = 0;
  path_puts(path, name);
  for (int i = 0; i < depth; i++) {
    if (depth > PATH_HEAD + PATH_TAIL && i == PATH_HEAD) {
      path_puts(path, "...");
      i = depth - PATH_TAIL;
    }
    path_add_field(path, &levels[i]);
  }
  return path->text;
}

void value_path_add_key(struct value_path *path, lua_State *L, int index) {
  char number[NUMBER_TEXT];
  if (lua_isinteger(L, index)) {
    path_add_index(path, lua_tointeger(L, index));
  } else if (lua_type(L, index) == LUA_TNUMBER && isfinite(lua_tonumber(L, index))) {
    size_t len = number_print_float(number, lua_tonumber(L, index));
    path_puts(path, "[");
    path_add(path, number, len);
    path_puts(path, "]");
  } else if (lua_isboolean(L, index)) {
    path_puts(path, lua_toboolean(L, index) ? "[true]" : "[false]");
  }
}
