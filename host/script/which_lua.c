#include "script/which_lua.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- whose functions ---- */

/* The file that has this function; NULL: it is not known. */
static const char *file_of(const void *function, const void **base) {
  Dl_info info;
  if (!function || dladdr(function, &info) == 0) return NULL;
  *base = info.dli_fbase;
  return info.dli_fname;
}

/* What both have to come from the same file; *by: the one of the first. */
static bool is_apart(const void *all, const void *ours, const char **by) {
  const void *all_base = NULL, *our_base = NULL;
  const char *file = file_of(all, &all_base);
  if (!file || !file_of(ours, &our_base) || all_base == our_base) return false;
  *by = file;
  return true;
}

/* Functions that every Lua has are taken from the first that was loaded, the others from the only one. What
 * we call and what lua-cjson calls need not be the same: Debian's Lua 5.1 does not get in the way of us, who
 * ask for LUA_5.4, but in that of lua-cjson, which asks for any. */
static bool is_taken_over(const char **by) {
#ifdef MOONKEEP_PIC
  void (*settop)(lua_State *, int) = lua_settop;
  void *(*newuserdata)(lua_State *, size_t, int) = lua_newuserdatauv;
  const void *all, *ours;
  memcpy(&all, &settop, sizeof all);
  memcpy(&ours, &newuserdata, sizeof ours);
  if (is_apart(all, ours, by)) return true;
#endif
  return is_apart(dlsym(RTLD_DEFAULT, "lua_settop"), dlsym(RTLD_DEFAULT, "lua_newuserdatauv"), by);
}

#define BESIDE                                                                                               \
  "its integers and coroutines differ. Run `moonkeep run` beside the server and talk to the control socket " \
  "in the data folder"

enum moonkeep_code which_lua_check(struct err *err) {
  const char *by = "", *name = "another Lua";
  if (!is_taken_over(&by)) return MOONKEEP_OK;
  if (dlsym(RTLD_DEFAULT, "luaJIT_setmode"))
    name = "LuaJIT";
  else if (dlsym(RTLD_DEFAULT, "lua_setfenv")) /* what 5.1 has, and no later one */
    name = "Lua 5.1";
  return err_set(err, MOONKEEP_INVALID, "this process has %s in %s, and moonkeep needs Lua 5.4: " BESIDE,
                 name, by);
}

/* ---- whose state ---- */

/* So many bytes every Lua has in a thread. */
enum { LOOKED_AT = 128 };

static uintptr_t word_at(const void *place, size_t at) {
  uintptr_t word;
  memcpy(&word, (const char *)place + at, sizeof word);
  return word;
}

static void *allocate(void *ctx, void *block, size_t old_size, size_t size) {
  (void)ctx, (void)old_size;
  if (size > 0) return mem_resize(block, size);
  mem_free(block);
  return NULL;
}

/* (shape) */
static int take_shape(lua_State *L) {
  struct lua_shape *shape = lua_touserdata(L, 1);
  const lua_State *co = lua_newthread(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  const lua_State *main = lua_tothread(L, -1);
  for (size_t at = sizeof(uintptr_t); at < LOOKED_AT; at += sizeof(uintptr_t)) {
    size_t distance = word_at(main, at) - (uintptr_t)main;
    if (word_at(co, at) != word_at(main, at) || distance == 0 || distance > 4096) continue;
    *shape = (struct lua_shape){at, distance};
    break;
  }
  return 0;
}

static enum moonkeep_code find_shape(struct lua_shape *shape, struct err *err) {
  lua_State *L = lua_newstate(allocate, NULL);
  *shape = (struct lua_shape){0};
  if (!L) return err_memory(err);
  lua_pushcfunction(L, take_shape);
  lua_pushlightuserdata(L, shape);
  int status = lua_pcall(L, 1, 0, 0);
  lua_close(L);
  return status == LUA_OK ? MOONKEEP_OK : err_memory(err);
}

/* Reads a word at an address that may be none: the kernel looks whether it is. */
static enum moonkeep_code peek(uintptr_t address, uintptr_t *word, struct err *err) {
  int ends[2];
  *word = 0;
  if (pipe2(ends, O_CLOEXEC) != 0)
    return err_set(err, MOONKEEP_IO, "moonkeep_attach: there is no pipe to be had: %s", strerror(errno));
  bool there = syscall(SYS_write, ends[1], address, sizeof *word) == (long)sizeof *word &&
               read(ends[0], word, sizeof *word) == (ssize_t)sizeof *word;
  close(ends[0]);
  close(ends[1]);
  if (!there) *word = 0;
  return MOONKEEP_OK;
}

/* By what stands where ours, and all down to 5.1, have the type of the object. */
static const char *seems(const lua_State *L) {
  enum { TYPE = 8, TYPE_JIT = 9, THREAD = LUA_TTHREAD, THREAD_JIT = 6 };
  const unsigned char *bytes = (const unsigned char *)L;
  if (bytes[TYPE] == THREAD) return ", but, it seems, of another one, such as 5.1";
  return bytes[TYPE_JIT] == THREAD_JIT ? ", but, it seems, of LuaJIT" : "";
}

/* The main thread and what is shared are one block of memory: from a thread to the one and back to the other
 * is a circle that no other Lua has. */
enum moonkeep_code which_lua_made(lua_State *L, struct lua_shape *shape, struct err *err) {
  uintptr_t shared, back;
  enum moonkeep_code code = find_shape(shape, err);
  if (code || shape->at == 0) return code;
  shared = word_at(L, shape->at);
  code = peek(shared - shape->distance + shape->at, &back, err);
  if (code) return code;
  if (shared != 0 && back == shared) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_INVALID,
                 "moonkeep_attach: the state is none of the Lua 5.4 that moonkeep uses%s: " BESIDE, seems(L));
}

bool which_lua_same(const struct lua_shape *shape, lua_State *known, lua_State *L) {
  return shape->at == 0 || word_at(known, shape->at) == word_at(L, shape->at);
}

/* ---- whose functions are in it ---- */

static const void *address(lua_CFunction function) {
  const void *data;
  memcpy(&data, &function, sizeof data);
  return data;
}

/* A second copy of Lua 5.4 has other functions behind the state, and would not know its own tables. */
void which_lua_check_copy(lua_State *L) {
  const void *ours = NULL, *theirs = NULL;
  luaL_checkversion(L);
  lua_pushglobaltable(L);
  lua_pushliteral(L, "next");
  lua_rawget(L, -2);
  lua_CFunction next = lua_tocfunction(L, -1);
  const char *file = file_of(next ? address(next) : NULL, &theirs);
  if (file && file_of(dlsym(RTLD_DEFAULT, "lua_newuserdatauv"), &ours) && ours != theirs)
    luaL_error(L,
               "the state was made by another copy of Lua, in %s: link the server with liblua5.4.so, as "
               "libmoonkeep.so is",
               file);
  lua_pop(L, 2);
}
