/* A prompt in a running host: a Lua state in which a person evaluates one piece of code after the other, with
 * all that scripts have at hand.
 *
 * It is a script that gets no events: what it runs is a task like another, within the same bounds.
 * prompt_new, prompt_eval as often as `done` has come, prompt_free. Host thread. */
#ifndef SCRIPT_PROMPT_H
#define SCRIPT_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct scripts;
struct prompt;

struct prompt_outcome {
  bool ok;
  bool incomplete;  /* the code ends too early: more of it may make it whole */
  const char *text; /* the values, as they would be written in Lua, one a line; or what went wrong */
  size_t len;
};

struct prompt_calls {
  void (*done)(void *ctx, const struct prompt_outcome *outcome);
  void (*said)(void *ctx, const char *text, size_t len); /* by print, with its newline */
  void *ctx;
};

struct prompt *prompt_new(struct scripts *scripts, const struct prompt_calls *calls); /* NULL: no memory */

/* Drops what it runs: its `done` is still called, from here. */
void prompt_free(struct prompt *prompt);

/* An expression, or statements. `done` is called once, from here or later. busy: it is at work on another. */
enum moonkeep_code prompt_eval(struct prompt *prompt, const char *code, size_t len, struct err *err);

/* Appends what the name at the end of the code (`appData:se`) could become, as a JSON array of such names. */
void prompt_complete(struct prompt *prompt, const char *code, size_t len, struct buf *out);

#endif
