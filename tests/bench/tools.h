/* See tools.c. */
#ifndef TESTS_BENCH_TOOLS_H
#define TESTS_BENCH_TOOLS_H

#include <lua.h>

int luaopen_bench_tools(lua_State *L);

#endif
