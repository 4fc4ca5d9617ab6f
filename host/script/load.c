#include "script/load.h"

#include <lauxlib.h>

#include "script/budget.h"

enum { PIECE_BYTES = 4096 };

struct load {
  const char *text; /* what is left of it, or of the function's piece */
  size_t len;
  int function; /* where it stands on the stack; 0: there is only the text */
  int piece;    /* where the function's piece is kept */
};

/* Asks the function for more. */
static void next_piece(lua_State *L, struct load *load) {
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, load->function);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, load->piece);
  load->text = lua_tolstring(L, load->piece, &load->len);
}

static const char *read_piece(lua_State *L, void *ctx, size_t *len) {
  struct load *load = ctx;
  budget_check(L);
  if (load->len == 0 && load->function) next_piece(L, load);
  const char *text = load->text;
  *len = load->len < PIECE_BYTES ? load->len : PIECE_BYTES;
  load->text += *len;
  load->len -= *len;
  return *len ? text : NULL;
}

int load_text(lua_State *L, const char *text, size_t len, const char *name) {
  struct load load = {.text = text, .len = len};
  return lua_load(L, read_piece, &load, name, "t");
}

int load_function(lua_State *L, int index, const char *name) {
  lua_pushnil(L);
  struct load load = {.text = "", .function = index, .piece = lua_gettop(L)};
  return lua_load(L, read_piece, &load, name, "t");
}
