/* Configuration files: what they may be, and that nothing which they do is more than an error. */
#include "script/conf.h"

#include <string.h>

#include "base/buf.h"
#include "check.h"
#include "helpers/temp.h"

static enum moonkeep_code put(void *ctx, const char *name, const char *text, struct err *err) {
  struct buf *out = ctx;
  buf_printf(out, "%s=%s ", name, text);
  return out->failed ? err_memory(err) : MOONKEEP_OK;
}

/* "name=text name=text …", or the error's message. Valid until the next call. */
static const char *settings_of(const char *text) {
  static struct buf out;
  static struct err err;
  const char *path = temp_path(temp_dir(), "c.conf");
  temp_write(path, text);
  buf_clear(&out);
  return conf_read(path, put, &out, &err) ? err.message : buf_text(&out);
}

static void refused(const char *text, const char *part) {
  struct buf got = {0};
  buf_puts(&got, settings_of(text));
  if (!strstr(buf_text(&got), part)) FAIL("'%s' gives '%s', which lacks '%s'", text, buf_text(&got), part);
  buf_deinit(&got);
}

TEST(settings_are_assigned_or_returned) {
  CHECK_STR(settings_of(""), "");
  CHECK_STR(settings_of("b = 'x' a = 2^53 // 1 | 0 c = true"), "a=9007199254740992 b=x c=true ");
  CHECK_STR(settings_of("local n = 64 return { cache = n * 1024, ['log-level'] = 'warn', x = false }"),
            "cache=65536 log-level=warn x=false ");
  CHECK_STR(settings_of("cache = 64 * 1024^2 / 2"), "cache=33554432 ");
  CHECK_STR(settings_of("# a line of a shell\ngrace = 0.25"), "grace=0.25 ");
  CHECK_STR(settings_of("for i = 1, 3 do data = 'd' .. i end"), "data=d3 ");
}

TEST(what_it_cannot_do_is_an_error) {
  refused("x = ", "c.conf:1:");
  refused("x = y", "c.conf:1: there is nothing called \"y\" here");
  refused("x = os.time()", "there is nothing called \"os\" here");
  refused("x = ('a'):rep(2)", "attempt to index a string value");
  refused("x = 'a\\0b'", "x has a NUL in it");
  refused("x = 1e308 * 10", "x is not a finite number");
  refused("x = {}", "x is a table, not a text, a number, true or false");
  refused("return 5", "it returns a number");
  refused("return { 1 }", "a setting has a name");
  refused("error_of_mine()", "there is nothing called \"error_of_mine\" here");
  refused("while true do end", "it computes for too long");
  refused("local function f() return f() end f()", "it computes for too long");
  refused("local function f() f() end f()", "c.conf");
  refused("local t = {} for i = 1, 1e9 do t[i] = i end", "c.conf");
  refused("local s = 'x' while true do s = s .. s end", "not enough memory");
  refused("\033LuaT", "attempt to load a binary chunk");
}

TEST(no_memory_at_any_allocation) {
  const char *path = temp_path(temp_dir(), "c.conf");
  temp_write(path, "data = 'd' cache = 64 * 1024 for i = 1, 20 do local t = { i } end json = true");
  for (long nth = 1;; nth++) {
    struct buf out = {0};
    struct err err;
    check_fail_alloc(nth);
    enum moonkeep_code code = conf_read(path, put, &out, &err);
    bool failed = check_alloc_failed();
    check_fail_alloc(0);
    if (!code) CHECK_STR(buf_text(&out), "cache=65536 data=d json=true ");
    if (code) CHECK(err.message[0]);
    buf_deinit(&out);
    if (!failed) break;
  }
}
