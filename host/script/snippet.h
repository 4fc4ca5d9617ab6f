/* A function that somebody has given as text, such as `function(xp) return xp + 50 end`: made in a Lua state
 * of its own, which is a script's in all that it can do and may use, and called to change a value of the
 * store.
 *
 *     snippet_new → snippet_call, from store_call.apply → snippet_free
 *
 * Host thread. */
#ifndef SCRIPT_SNIPPET_H
#define SCRIPT_SNIPPET_H

#include "base/log.h"
#include "store/store.h"

struct snippet;

/* The text is an expression, or a chunk that returns the function. invalid: it is neither, or raised; the
 * message has its line. timeout: it used up its CPU budget. `store` and `log` are borrowed. */
enum moonkeep_code snippet_new(struct snippet **out, struct store *store, const char *text, size_t len,
                               const struct log *log, struct err *err);
void snippet_free(struct snippet *snippet); /* NULL is fine */

/* Calls it with the current value (NULL: the JSON of the default, or nil where that has no bytes). *made is a
 * new reference where the verdict is to write it. What it returns counts as in a script's update. */
enum store_verdict snippet_call(struct snippet *snippet, const char *key, const struct value *current,
                                const char *preset, size_t preset_len, struct value **made, struct err *err);

#endif
