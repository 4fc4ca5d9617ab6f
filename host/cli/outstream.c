#include "cli/outstream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = PIPE_BUF }; /* what a pipe takes at once when poll says that it takes any */

void outstream_init(struct outstream *stream, struct console *console) {
  *stream = (struct outstream){.console = console, .aside = -1};
}

void outstream_close(struct outstream *stream) {
  if (stream->aside >= 0) close(stream->aside);
  stream->aside = -1;
}

static enum moonkeep_code fail(struct err *err) {
  return err_set(err, errno == ENOSPC || errno == EDQUOT ? MOONKEEP_FULL : MOONKEEP_IO,
                 "cannot put aside what the reader of standard output does not take: %s (TMPDIR says where)",
                 strerror(errno));
}

/* For file systems that cannot make a file without a name. */
static int open_and_unlink(const char *dir) {
  struct buf path = {0};
  buf_printf(&path, "%s/moonkeep-XXXXXX", dir);
  buf_putc(&path, '\0');
  int fd = path.failed ? -1 : mkostemp(path.data, O_CLOEXEC);
  if (fd >= 0) unlink(path.data);
  buf_deinit(&path);
  return fd;
}

/* A file that is gone when it is closed. */
static enum moonkeep_code open_aside(struct outstream *stream, struct err *err) {
  const char *dir = getenv("TMPDIR");
  if (!dir || !*dir) dir = "/var/tmp";
  stream->aside = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (stream->aside < 0) stream->aside = open_and_unlink(dir);
  return stream->aside >= 0 ? MOONKEEP_OK : fail(err);
}

static enum moonkeep_code write_aside(struct outstream *stream, const char *bytes, size_t len,
                                      struct err *err) {
  while (len > 0) {
    ssize_t n = write(stream->aside, bytes, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(err);
    bytes += n;
    len -= (size_t)n;
  }
  return MOONKEEP_OK;
}

static bool reader_takes(int timeout_ms) {
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  int n;
  do n = poll(&out, 1, timeout_ms);
  while (n < 0 && errno == EINTR);
  return n != 0; /* an error is the next write's */
}

static enum moonkeep_code write_out(struct outstream *stream, const char *bytes, size_t len,
                                    struct err *err) {
  if (console_write(stream->console, CONSOLE_OUT, bytes, len) == 0) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_IO, "%s", "");
}

enum moonkeep_code outstream_write(struct outstream *stream, const char *bytes, size_t len, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && len > 0 && stream->aside < 0) {
    size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;
    if (!reader_takes(OUTSTREAM_PATIENCE_MS)) {
      code = open_aside(stream, err);
      continue;
    }
    code = write_out(stream, bytes, piece, err);
    bytes += piece;
    len -= piece;
  }
  return code || len == 0 ? code : write_aside(stream, bytes, len, err);
}

enum moonkeep_code outstream_end(struct outstream *stream, struct err *err) {
  static char block[64 << 10];
  enum moonkeep_code code = MOONKEEP_OK;
  if (stream->aside < 0) return code;
  if (lseek(stream->aside, 0, SEEK_SET) != 0) return fail(err);
  for (ssize_t n = 1; !code && n != 0;) {
    n = read(stream->aside, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(err);
    if (n > 0) code = write_out(stream, block, (size_t)n, err);
  }
  return code;
}
