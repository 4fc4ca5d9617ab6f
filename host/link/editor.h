/* Lines from a person: with editing, history and completion on a terminal, as they come elsewhere.
 *
 * libedit does the work; it is loaded only here, so that no host carries it. Without it lines are read as the
 * terminal gives them. One at a time in a process. */
#ifndef LINK_EDITOR_H
#define LINK_EDITOR_H

#include <stdbool.h>

#include "base/buf.h"

struct editor {
  bool tty; /* there is somebody to be prompted */
  bool has_library;
  char *history; /* owned: the file; NULL: none */
  /* Completion: appends the names that the text could become, each with a NUL behind it. */
  void (*complete)(void *ctx, const char *text, struct buf *names);
  void *ctx;
};

/* history_name: of a file in the home folder. */
void editor_open(struct editor *editor, const char *history_name);

/* The next line without its newline; false: there is no more. */
bool editor_read(struct editor *editor, const char *prompt, struct buf *line);

/* Keeps it for the next time. */
void editor_remember(struct editor *editor, const char *line);

void editor_close(struct editor *editor); /* writes the history */

#endif
