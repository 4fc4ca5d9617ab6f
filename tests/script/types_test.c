/* scripts/types: what editors are told that scripts can call is what they can call. Names on both sides:
 * "bot.on", "Store:get", "moonkeep.null". */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "helpers/rig.h"
#include "script/lib.h"
#include "script/script.h"

struct names {
  char *all[200];
  size_t count;
};

static void add(struct names *names, const char *prefix, const char *mark, const char *name, size_t len) {
  char text[128];
  CHECK(names->count < 200);
  snprintf(text, sizeof text, "%s%s%.*s", prefix, mark, (int)len, name);
  names->all[names->count++] = strdup(text);
}

static bool has(const struct names *names, const char *name) {
  for (size_t i = 0; i < names->count; i++)
    if (strcmp(names->all[i], name) == 0) return true;
  return false;
}

static void names_deinit(struct names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->all[i]);
}

/* ---- what the files say ---- */

static const char *word_end(const char *at) {
  return at + strcspn(at, " \t?(=");
}

/* A field of a class counts for the table below it: `---@class`, fields, then `bot = {}` or `local moonkeep =
 * {}`. */
static void read_file(const char *path, struct names *names) {
  char line[512], fields[32][64];
  size_t count = 0;
  FILE *file = fopen(path, "r");
  CHECK(file);
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    const char *at = line;
    if (strncmp(at, "---@class ", 10) == 0) count = 0;
    if (strncmp(at, "---@field ", 10) == 0 && at[10] != '[' && count < 32)
      snprintf(fields[count++], sizeof *fields, "%.*s", (int)(word_end(at + 10) - (at + 10)), at + 10);
    if (strncmp(at, "function ", 9) == 0) add(names, "", "", at + 9, (size_t)(word_end(at + 9) - (at + 9)));
    if (strncmp(at, "local ", 6) == 0) at += 6;
    if (!strstr(at, " = {}") || *at == '-') continue;
    char table[64];
    snprintf(table, sizeof table, "%.*s", (int)(word_end(at) - at), at);
    for (size_t i = 0; i < count && strcmp(table, "Event") != 0; i++)
      add(names, table, ".", fields[i], strlen(fields[i]));
    count = 0;
  }
  fclose(file);
}

/* ---- what the host gives ---- */

/* The fields of the table on top, which it pops; `seal` where it is one of lib_seal's, which stands for
 * another. */
static void read_table(lua_State *L, const char *prefix, const char *mark, bool seal, struct names *names) {
  if (seal) {
    CHECK(lua_getmetatable(L, -1));
    lua_getfield(L, -1, "__index");
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
  CHECK(lua_istable(L, -1));
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    size_t len;
    const char *name = lua_tolstring(L, -2, &len);
    if (strncmp(name, "__", 2) != 0) add(names, prefix, mark, name, len);
  }
  lua_pop(L, 1);
}

static void read_class(lua_State *L, const char *class, const char *prefix, struct names *names) {
  luaL_getmetatable(L, class);
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
  read_table(L, prefix, ":", false, names);
}

static void read_field(lua_State *L, const char *table, const char *field, struct names *names) {
  char prefix[64];
  lua_getglobal(L, table);
  lua_getfield(L, -1, field);
  lua_remove(L, -2);
  snprintf(prefix, sizeof prefix, "%s.%s", table, field);
  read_table(L, prefix, ".", true, names);
}

static int read_host(lua_State *L) {
  struct names *names = lua_touserdata(L, 1);
  lua_getglobal(L, "bot");
  read_table(L, "bot", ".", true, names);
  add(names, "bot", ".", "inherited", 9); /* where there is something */
  read_field(L, "bot", "log", names);
  lua_getglobal(L, "rootServer");
  read_table(L, "rootServer", ".", true, names);
  read_field(L, "rootServer", "lifecycle", names);
  read_class(L, "moonkeep.store", "Store", names);
  read_class(L, "moonkeep.tx", "Transaction", names);
  read_class(L, "moonkeep.event", "Event", names);
  read_class(L, "moonkeep.handler", "Handler", names);
  read_class(L, "moonkeep.timer", "Timer", names);
  static const char *const modules[] = {"moonkeep", "cjson"};
  for (size_t i = 0; i < 2; i++) {
    lua_getglobal(L, "require");
    lua_pushstring(L, modules[i]);
    lua_call(L, 1, 1);
    read_table(L, modules[i], ".", i == 0, names);
  }
  lib_open_test(L);
  lua_getglobal(L, "test");
  read_table(L, "test", ".", true, names);
  return 0;
}

TEST(editors_are_told_of_everything_that_scripts_can_call_and_of_nothing_else) {
  struct rig rig;
  struct names told = {0}, given = {0};
  struct err err;
  rig_run(&rig, "");
  struct script *script = list_of(rig.scripts->all.next, struct script, link);
  if (!script_protect(script, read_host, &given, &err)) FAIL("%s", err.message);
  read_file("scripts/types/moonkeep.lua", &told);
  read_file("scripts/types/cjson.lua", &told);
  CHECK(told.count > 50);
  for (size_t i = 0; i < given.count; i++)
    if (!has(&told, given.all[i]) && strcmp(given.all[i], "rootServer.lifecycle") != 0)
      FAIL("scripts/types lacks %s", given.all[i]);
  for (size_t i = 0; i < told.count; i++)
    if (!has(&given, told.all[i])) FAIL("scripts/types has %s, and the host does not", told.all[i]);
  names_deinit(&told);
  names_deinit(&given);
  rig_deinit(&rig);
}
