/* Functions that are given as text: what they are called with, what becomes of what they return. */
#include "script/snippet.h"

#include <string.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

static struct store *store;

/* What the function makes of the JSON (NULL: absent) or of the default: JSON, or "keep", "erase", or the
 * error's message. Valid until the next call. */
static const char *made_of(const char *function, const char *json, const char *preset) {
  static char out[800];
  struct snippet *snippet;
  struct value *current = json ? value_new(json, strlen(json), 0) : NULL, *made = NULL;
  struct err err = {0};
  enum store_verdict verdict = STORE_FAIL;
  if (!snippet_new(&snippet, store, function, strlen(function), NULL, &err))
    verdict = snippet_call(snippet, "k", current, preset, preset ? strlen(preset) : 0, &made, &err);
  strcpy(out, verdict == STORE_WRITE   ? made->json
              : verdict == STORE_KEEP  ? "keep"
              : verdict == STORE_ERASE ? "erase"
                                       : err.message);
  value_free(made);
  value_free(current);
  snippet_free(snippet);
  return out;
}

static void begin(void) {
  store = sync_open(temp_dir());
}

TEST(it_gets_the_value_or_the_default_or_nil) {
  begin();
  CHECK_STR(made_of("function(v) return v + 1 end", "9007199254740993", "0"), "9007199254740994");
  CHECK_STR(made_of("function(v) return v + 1 end", NULL, "41"), "42");
  CHECK_STR(made_of("function(v) return v == nil end", NULL, NULL), "true");
  CHECK_STR(made_of("function(v) return v end", "[[],1.0]", NULL), "[[],1.0]");
  CHECK_STR(made_of("function() return require 'moonkeep'.unchanged end", "1", NULL), "keep");
  CHECK_STR(made_of("function() return require 'moonkeep'.absent end", "1", NULL), "erase");
  CHECK_STR(made_of("function() return moonkeep.absent end", "1", NULL), "erase");
  CHECK_STR(made_of("local n = 5 return function(v) return v * n end", "2", NULL), "10");
  sync_close(store);
}

TEST(what_is_wrong_with_it_is_told) {
  begin();
  CHECK_STR(made_of("function(v) return v + 1 end", NULL, NULL),
            "function:1: attempt to perform arithmetic on a nil value (local 'v')");
  CHECK_STR(made_of("7", NULL, NULL),
            "the text gives a number, not a function: 'function(value) return … end'");
  CHECK(strstr(made_of("function(", NULL, NULL), "function:1:"));
  CHECK(strstr(made_of("function() end", "1", NULL), "returned nil for key \"k\""));
  CHECK_STR(made_of("function() return function() end end", "1", NULL), "value is a function");
  CHECK(strstr(made_of("function() appData:get('x') return 1 end", "1", NULL), "inside an update function"));
  CHECK(strstr(made_of("function() error({}) end", "1", NULL), "table"));
  sync_close(store);
}

TEST(no_memory_at_any_allocation) {
  begin();
  for (long nth = 1;; nth += 1 + nth / 50) {
    check_fail_alloc(nth);
    const char *made = made_of("function(v) v.n = v.n + 1 return v end", "{\"n\":1}", NULL);
    bool failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK(*made);
    if (!failed) CHECK_STR(made, "{\"n\":2}");
    if (!failed) break;
  }
  sync_close(store);
}
