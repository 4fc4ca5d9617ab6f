-- luarocks make: builds and installs the Lua module from this folder.
rockspec_format = "3.0"
package = "moonkeep"
version = "0.1.0-1"
source = {url = "file://."}
description = {
   summary = "Data that cannot be lost: string keys and JSON values, synced to disk",
   detailed = "The store of moonkeep, a host for bots written in Lua, as a module for Lua 5.4.",
   license = "MIT",
}
supported_platforms = {"linux"}
dependencies = {"lua >= 5.4, < 5.5"}
build = {
   type = "make",
   build_target = "module",
   install_target = "install-module",
   build_variables = {},
   install_variables = {LUA_LIBDIR = "$(LIBDIR)"},
}
