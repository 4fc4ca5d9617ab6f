/* A server with LuaJIT or Lua 5.1 in it, which says what moonkeep makes of that. Built and run by
 * install_test.sh, with the other Lua linked (LINKED) or loaded when it runs.
 *
 *   other_lua taken DATA SCRIPTS          it is in the place of moonkeep's own
 *   other_lua beside DATA SCRIPTS [FILE]  it is hidden: scripts run all the same
 *
 * Prints what is refused, a line each; ends with 0 where all is as it should be. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonkeep.h"

struct lua { /* what both have under these names, but for the last one */
  struct lua_State *(*newstate)(void);
  void (*openlibs)(struct lua_State *L);
  int (*loadstring)(struct lua_State *L, const char *source);
  int (*pcall)(struct lua_State *L, int args, int results, int handler);
  const char *(*tolstring)(struct lua_State *L, int index, size_t *len);
  void (*settop)(struct lua_State *L, int index);
  struct lua_State *(*newthread)(struct lua_State *L);
  void (*close)(struct lua_State *L);
};

#ifdef LINKED
extern struct lua_State *luaL_newstate(void);
extern void luaL_openlibs(struct lua_State *L);
extern int luaL_loadstring(struct lua_State *L, const char *source);
extern int lua_pcall(struct lua_State *L, int args, int results, int handler);
extern const char *lua_tolstring(struct lua_State *L, int index, size_t *len);
extern void lua_settop(struct lua_State *L, int index);
extern struct lua_State *lua_newthread(struct lua_State *L);
extern void lua_close(struct lua_State *L);

static void find_other(struct lua *lua, const char *file) {
  (void)file;
  *lua = (struct lua){luaL_newstate, luaL_openlibs, luaL_loadstring, lua_pcall,
                      lua_tolstring, lua_settop,    lua_newthread,   lua_close};
}
#else
static void find(void *function, void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found) fprintf(stderr, "no %s\n", name), exit(9);
  memcpy(function, &found, sizeof found);
}

static void find_other(struct lua *lua, const char *file) {
  /* DEEPBIND: or it would call Lua 5.4 where it means itself. */
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (!library) fprintf(stderr, "%s\n", dlerror()), exit(9);
  find(&lua->newstate, library, "luaL_newstate");
  find(&lua->openlibs, library, "luaL_openlibs");
  find(&lua->loadstring, library, "luaL_loadstring");
  find(&lua->pcall, library, "lua_pcall");
  find(&lua->tolstring, library, "lua_tolstring");
  find(&lua->settop, library, "lua_settop");
  find(&lua->newthread, library, "lua_newthread");
  find(&lua->close, library, "lua_close");
}
#endif

static void must(int fine, const char *what) {
  if (fine) return;
  fprintf(stderr, "not so: %s\n", what);
  exit(1);
}

static void refused(enum moonkeep_code code, const struct moonkeep_error *error) {
  must(code == MOONKEEP_INVALID, "invalid");
  puts(error->message);
}

static void goes_on(const struct lua *lua, struct lua_State *L) {
  must(lua->loadstring(L, "local t = {} for i = 1, 100 do t[i] = i .. '' end return #t .. _VERSION") == 0,
       "compiles");
  must(lua->pcall(L, 0, 1, 0) == 0, "runs");
  must(strcmp(lua->tolstring(L, -1, NULL), "100Lua 5.1") == 0, "computes");
  lua->settop(L, 0);
}

static void on_done(void *ctx, const char *errors) {
  *(int *)ctx = strcmp(errors, "[]") == 0 ? 1 : -1;
}

static struct moonkeep_host *open_host(const char *data, const char *scripts) {
  struct moonkeep_options options = {
      .size = sizeof options, .data = data, .scripts = scripts, .backup_every_ms = -1};
  struct moonkeep_host *host;
  struct moonkeep_error error;
  if (moonkeep_open(&host, &options, &error)) refused(MOONKEEP_INVALID, &error);
  return host;
}

static void check_store(struct moonkeep_host *host) {
  struct moonkeep_result result;
  must(moonkeep_set_wait(host, NULL, "k", "[7]", 0, NULL) == MOONKEEP_OK, "set");
  must(moonkeep_get_wait(host, NULL, "k", &result) == MOONKEEP_OK && strcmp(result.json, "[7]") == 0, "get");
  moonkeep_result_free(&result);
}

int main(int argc, char **argv) {
  struct lua lua;
  struct moonkeep_error error;
  if (argc < 4) return 9;
  int taken = strcmp(argv[1], "taken") == 0, done = 0;
  find_other(&lua, argc > 4 ? argv[4] : NULL);
  struct lua_State *L = lua.newstate();
  lua.openlibs(L);
  struct moonkeep_host *host = open_host(argv[2], argv[3]);
  must(taken == !host, "it opens with scripts where it can");
  if (taken) host = open_host(argv[2], NULL);
  must(host != NULL, "it opens");
  check_store(host);
  refused(moonkeep_attach(host, L, &error), &error);
  refused(moonkeep_attach(host, lua.newthread(L), &error), &error);
  lua.settop(L, 0);
  refused(moonkeep_spawn(host, L, 0, &error), &error);
  goes_on(&lua, L);
  static const char hit[] = "{\"event\":\"hit\"}";
  if (!taken) moonkeep_emit(host, hit, sizeof hit - 1, on_done, &done);
  while (!taken && !done) moonkeep_tick(host, 2000);
  must(taken || done == 1, "a script runs");
  must(moonkeep_close(host, &error) == MOONKEEP_OK, "it closes");
  goes_on(&lua, L);
  lua.close(L);
  return 0;
}
