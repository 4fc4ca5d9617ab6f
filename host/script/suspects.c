#include "script/suspects.h"

#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/file.h"
#include "script/globals.h"
#include "script/hint.h"
#include "script/quote.h"

enum { NAME_BYTES = 64 }; /* of longer ones nothing is said */

struct suspects {
  struct script *script;
  void (*tell)(void *ctx, const char *message);
  void *ctx;
  const char *file; /* that is looked at */
  struct buf set;   /* names that some file sets, each with a NUL behind it */
  struct buf told;  /* the same of those that were told of this file */
};

static bool has(const struct buf *names, const char *name) {
  const char *at = names->data, *end = at + names->len;
  for (; at < end; at += strlen(at) + 1)
    if (strcmp(at, name) == 0) return true;
  return false;
}

static void add(struct buf *names, const char *name) {
  if (!has(names, name)) buf_add(names, name, strlen(name) + 1);
}

static bool copy_name(const char *name, size_t len, char out[NAME_BYTES]) {
  if (len >= NAME_BYTES) return false;
  memcpy(out, name, len);
  out[len] = '\0';
  return strlen(out) == len;
}

/* Runs no code of the script's: its globals are looked at as they are. */
static bool is_there(lua_State *L, const char *name) {
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  bool there = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return there;
}

static void on_set(void *ctx, const char *name, size_t len, int line, bool set) {
  struct suspects *suspects = ctx;
  char text[NAME_BYTES];
  (void)line;
  if (set && copy_name(name, len, text)) add(&suspects->set, text);
}

static void on_use(void *ctx, const char *name, size_t len, int line, bool set) {
  struct suspects *suspects = ctx;
  struct buf message = {0};
  char text[NAME_BYTES];
  lua_State *L = suspects->script->L;
  if (set || !copy_name(name, len, text) || has(&suspects->set, text) || has(&suspects->told, text)) return;
  if (is_there(L, text)) return;
  add(&suspects->told, text);
  buf_printf(&message, "%s:%d: nothing sets the global \"%s\"", suspects->file, line, text);
  hint_name(L, text, &message);
  char *head = mem_copy(buf_text(&message), message.len);
  if (head) quote_line(suspects->script, head, &message);
  suspects->tell(suspects->ctx, buf_text(&message));
  mem_free(head);
  buf_deinit(&message);
}

static int write_piece(lua_State *L, const void *bytes, size_t len, void *ctx) {
  (void)L;
  buf_add(ctx, bytes, len);
  return 0;
}

static int dump(lua_State *L) {
  lua_settop(L, 2);
  return lua_dump(L, write_piece, lua_touserdata(L, 1), 0);
}

/* What the file says, compiled; "" where it cannot be read or does not compile: that was told. */
static void read_code(struct suspects *suspects, struct buf *code) {
  struct script *script = suspects->script;
  lua_State *L = script->L;
  struct buf source = {0};
  struct err err;
  char *path = file_path(script->scripts->options.dir, suspects->file);
  struct budget_frame frame;
  lua_settop(L, 0);
  lua_pushcfunction(L, dump);
  lua_pushlightuserdata(L, code);
  budget_enter(&frame, script, L, false);
  if (path && file_read(path, &source, &err) == MOONKEEP_OK &&
      file_compile(L, &source, suspects->file) == LUA_OK && lua_pcall(L, 2, 0, 0) != LUA_OK)
    buf_clear(code);
  budget_leave(&frame);
  budget_frame_deinit(&frame);
  lua_settop(L, 0);
  buf_deinit(&source);
  mem_free(path);
}

static void look_through(struct suspects *suspects, globals_visit *visit) {
  struct list *sources = &suspects->script->sources;
  for (struct list *node = sources->next; node != sources; node = node->next) {
    struct buf code = {0};
    suspects->file = list_of(node, struct source, link)->path;
    buf_clear(&suspects->told);
    read_code(suspects, &code);
    if (code.len && !code.failed) globals_each(code.data, code.len, visit, suspects);
    buf_deinit(&code);
  }
}

void suspects_each(struct script *script, void (*tell)(void *ctx, const char *message), void *ctx) {
  struct suspects suspects = {.script = script, .tell = tell, .ctx = ctx};
  script->limit_bytes = 0; /* what is needed here is not the script's, and is had outside protected calls */
  if (!lua_checkstack(script->L, 10)) return;
  look_through(&suspects, on_set);
  look_through(&suspects, on_use);
  buf_deinit(&suspects.set);
  buf_deinit(&suspects.told);
}
