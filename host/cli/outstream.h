/* Standard output for what must not be kept waiting: whoever reads it may be slow, or not read at all
 * (`less`). Then what comes is put aside in a file without a name, and written at the end. */
#ifndef CLI_OUTSTREAM_H
#define CLI_OUTSTREAM_H

#include "base/err.h"
#include "link/console.h"

enum { OUTSTREAM_PATIENCE_MS = 2000 }; /* how long a write waits for the reader */

struct outstream {
  struct console *console; /* borrowed */
  int aside;               /* -1: nothing was put aside */
};

void outstream_init(struct outstream *stream, struct console *console);

/* An error of standard output is in console->error, and err's message is empty then. */
enum moonkeep_code outstream_write(struct outstream *stream, const char *bytes, size_t len, struct err *err);
enum moonkeep_code outstream_end(struct outstream *stream, struct err *err); /* waits for the reader */
void outstream_close(struct outstream *stream);

#endif
