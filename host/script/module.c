/* require "moonkeep", from a program that has its own Lua
 *
 *   moonkeep.open([dir] [, options])  the store `appData` of a data folder ("data"), which is also closed by
 *                                     <close>, by the collector and at the end of the program
 *   store:get, set, update, …         as in scripts; each blocks until it is done
 *   store:store(name)                 another store of the folder, as is store.dataStore.NAME
 *   store:close()                     returns when everything is on disk and the folder is free
 *   moonkeep.array, null, unchanged, absent, version   as in scripts
 *
 * options: lock_wait (seconds; how long to wait for another process to free the folder: 1), value_limit and
 * cache_size (bytes), backup_every (seconds; 900, 0: none), backups (the folder of the backups and the
 * archive), archive ("on": each change is in it within a second; "sync": before set and the like return;
 * "off"), log_level ("warn"; what goes to stderr; "none").
 */
#include "script/module.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "script/fault.h"
#include "script/foreign.h"
#include "script/guess.h"
#include "script/lib.h"
#include "script/lib_store.h"

enum { LOCK_WAIT_MS = 1000, BACKUP_MS = 900000 };

#define ANCHOR "moonkeep.anchor"

/* What one open folder needs. Its address is the anchor's. */
struct folder_of_state {
  struct anchor anchor;
  struct store *store;
  struct log log;
};

/* ---- closing ---- */

static enum moonkeep_code close_folder(struct anchor *anchor, struct err *err) {
  struct folder_of_state *open = (struct folder_of_state *)anchor;
  struct scripts *scripts = anchor->scripts;
  struct store *store = open->store;
  anchor->scripts = NULL;
  open->store = NULL;
  scripts_close(scripts);
  return store ? store_close(store, err) : MOONKEEP_OK;
}

void module_close(lua_State *L, struct anchor *anchor) {
  struct err err;
  struct script *script = script_of(L);
  if (!anchor->scripts) return;
  waiter_drop(&script->waiter); /* its last call may be this store's */
  if (close_folder(anchor, &err)) fault_raise(L, &err);
}

static int anchor_gc(lua_State *L) {
  struct err err;
  struct anchor *anchor = lua_touserdata(L, 1);
  if (close_folder(anchor, &err))
    log_text(&((struct folder_of_state *)anchor)->log, LOG_ERROR, "store", err.message);
  return 0;
}

/* ---- opening ---- */

/* From any of the store's threads: one call of stdio, which locks, a line. */
static void write_line(void *ctx, enum log_level level, const char *source, const char *text) {
  (void)ctx;
  fprintf(stderr, "moonkeep: %s: %s: %s\n", log_level_name(level), source, text);
}

static double check_number(lua_State *L, const char *name, double most) {
  double number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (!(number >= 0 && number <= most)) /* NaN too */
    fault(L, MOONKEEP_INVALID, "moonkeep.open: %s is no number from 0 up", name);
  return number;
}

static size_t check_bytes(lua_State *L, const char *name) {
  return (size_t)check_number(L, name, 1e15);
}

static int64_t check_ms(lua_State *L, const char *name) {
  return (int64_t)ceil(check_number(L, name, 1e9) * 1000);
}

static void check_level(lua_State *L, struct log *log) {
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (strcmp(name, "none") == 0)
    log->write = NULL;
  else if (!log_level_parse(name, &log->level))
    fault(L, MOONKEEP_INVALID, "moonkeep.open: log_level is one of debug, info, warn, error, none");
}

static void check_archive(lua_State *L, struct store_options *options) {
  static const char *const modes[] = {
      [STORE_ARCHIVE_OFF] = "off", [STORE_ARCHIVE_ON] = "on", [STORE_ARCHIVE_SYNC] = "sync"};
  const char *mode = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  for (int i = 0; i < 3; i++) {
    if (strcmp(mode, modes[i]) != 0) continue;
    options->archive = (enum store_archive)i;
    return;
  }
  fault(L, MOONKEEP_INVALID, "moonkeep.open: archive is one of off, on, sync");
}

static void unknown_option(lua_State *L, const char *name) {
  static const char *const names[] = {"dir",          "lock_wait", "value_limit", "cache_size",
                                      "backup_every", "log_level", "backups",     "archive"};
  char near[96];
  struct guess guess;
  guess_init(&guess, name);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) guess_try(&guess, names[i]);
  fault(L, MOONKEEP_INVALID, "moonkeep.open: there is no option \"%.100s\"%s", name,
        guess_text(&guess, near));
}

/* The value of the option on top. */
static void take_option(lua_State *L, const char *name, struct store_options *options, struct log *log) {
  if (strcmp(name, "dir") == 0) {
    if (lua_type(L, -1) != LUA_TSTRING) fault(L, MOONKEEP_INVALID, "moonkeep.open: dir is no string");
    options->dir = lua_tostring(L, -1); /* it stays in the options */
  } else if (strcmp(name, "lock_wait") == 0) {
    int64_t ms = check_ms(L, name);
    options->lock_wait_ms = ms < 1000000000 ? (int)ms : 1000000000;
  } else if (strcmp(name, "value_limit") == 0) {
    options->value_bytes = check_bytes(L, name);
  } else if (strcmp(name, "cache_size") == 0) {
    options->cache_bytes = check_bytes(L, name);
  } else if (strcmp(name, "backup_every") == 0) {
    options->backup_every_ms = check_ms(L, name);
  } else if (strcmp(name, "backups") == 0) {
    if (lua_type(L, -1) != LUA_TSTRING) fault(L, MOONKEEP_INVALID, "moonkeep.open: backups is no string");
    options->backups_dir = lua_tostring(L, -1); /* it stays in the options */
  } else if (strcmp(name, "archive") == 0) {
    check_archive(L, options);
  } else if (strcmp(name, "log_level") == 0) {
    check_level(L, log);
  } else {
    unknown_option(L, name);
  }
}

/* (dir, options) or (options) */
static void take_options(lua_State *L, struct store_options *options, struct log *log) {
  int table = lua_istable(L, 1) ? 1 : 2;
  if (table == 2 && !lua_isnoneornil(L, 1) && lua_type(L, 1) != LUA_TSTRING)
    fault(L, MOONKEEP_INVALID, "moonkeep.open: dir is a %s, not a string", luaL_typename(L, 1));
  if (!lua_isnoneornil(L, table) && !lua_istable(L, table))
    fault(L, MOONKEEP_INVALID, "moonkeep.open: options is a %s, not a table", luaL_typename(L, table));
  if (lua_istable(L, table))
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
      take_option(L, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2), options,
                  log);
  if (table == 2 && lua_isstring(L, 1)) options->dir = lua_tostring(L, 1);
  if (strlen(options->dir) == 0) fault(L, MOONKEEP_INVALID, "moonkeep.open: dir is empty");
}

/* "lua5.4 import.lua": who we are, for the process that finds the folder taken. */
static const char *owner_of_state(lua_State *L) {
  const char *script = "";
  if (lua_getglobal(L, "arg") == LUA_TTABLE && lua_rawgeti(L, -1, 0) == LUA_TSTRING)
    script = lua_tostring(L, -1);
  return lua_pushfstring(L, "lua %s", script);
}

static enum moonkeep_code open_folder(struct folder_of_state *open, struct store_options *store,
                                      struct err *err) {
  store->log = open->log.write ? &open->log : NULL;
  enum moonkeep_code code = store_open(&open->store, store, err);
  if (code) return code;
  struct scripts_options options = {.dir = "", .store = open->store, .log = store->log};
  open->anchor.scripts = scripts_make(&options);
  if (!open->anchor.scripts) return err_memory(err);
  open->anchor.scripts->budget.off = true;
  return MOONKEEP_OK;
}

static int open_store(lua_State *L) {
  struct err err;
  struct store_options options = {
      .dir = "data", .lock_wait_ms = LOCK_WAIT_MS, .backup_every_ms = BACKUP_MS, .archive = STORE_ARCHIVE_ON};
  struct log log = {.write = write_line, .level = LOG_WARN};
  lua_settop(L, 2);
  if (script_of(L)->in_update || script_of(L)->waiter.in_transaction)
    return fault(L, MOONKEEP_NESTED, "moonkeep.open: inside an update function or a transaction");
  take_options(L, &options, &log);
  options.owner = owner_of_state(L);
  struct folder_of_state *open = lua_newuserdatauv(L, sizeof *open, 2);
  int anchor = lua_gettop(L);
  *open = (struct folder_of_state){.log = log};
  luaL_setmetatable(L, ANCHOR);
  enum moonkeep_code code = open_folder(open, &options, &err);
  if (code) {
    close_folder(&open->anchor, NULL);
    return fault_raise(L, &err);
  }
  foreign_push_store(L, anchor);
  return 1;
}

/* ---- the module ---- */

#define LUA_GLOBALSINDEX_51 (-10002) /* where Lua 5.1 has its globals */

/* A program that loads this with another Lua has no function but those that all Luas have: the others are
 * declared weak by the Makefile, so that there is somebody to say what is wrong. */
static void check_lua(lua_State *L) {
#ifdef MOONKEEP_PIC
  if (lua_newuserdatauv && lua_rawgetp) {
    luaL_checkversion(L);
    return;
  }
  lua_getfield(L, LUA_GLOBALSINDEX_51, "_VERSION");
  const char *version = lua_tolstring(L, -1, NULL);
  lua_getfield(L, LUA_GLOBALSINDEX_51, "jit");
  lua_pushfstring(L,
                  "moonkeep needs Lua 5.4, and this program has %s: its integers and coroutines differ. Run "
                  "`moonkeep run` beside it and talk to the control socket in the data folder",
                  lua_type(L, -1) == LUA_TTABLE ? "LuaJIT" : (version ? version : "another Lua"));
  lua_error(L);
#else
  luaL_checkversion(L);
#endif
}

__attribute__((visibility("default"))) int luaopen_moonkeep(lua_State *L) {
  check_lua(L);
  foreign_bind(L);
  luaL_newmetatable(L, ANCHOR);
  lua_pushcfunction(L, anchor_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  lib_push_moonkeep(L);
  lua_pushcfunction(L, open_store);
  lua_setfield(L, -2, "open");
  return 1;
}
