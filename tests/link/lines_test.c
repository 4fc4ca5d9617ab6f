/* Lines in and bytes out, on a loop, over pipes, sockets and files. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"
#include "link/lines.h"
#include "link/output.h"

/* ---- in ---- */

struct heard {
  struct lines lines;
  char text[256]; /* the lines, each in brackets; `!` for one that was too long; `.` for the end */
  bool pause_after_each;
  int error;
};

static void note(struct heard *heard, const char *text, size_t len) {
  snprintf(heard->text + strlen(heard->text), sizeof heard->text - strlen(heard->text), "%.*s", (int)len,
           text);
}

static void on_line(struct lines *lines, const char *text, size_t len) {
  struct heard *heard = (struct heard *)(void *)lines;
  note(heard, "[", 1);
  note(heard, text, len);
  note(heard, "]", 1);
  if (heard->pause_after_each) lines_pause(lines);
}

static void on_too_long(struct lines *lines) {
  note((struct heard *)(void *)lines, "!", 1);
}

static void on_end(struct lines *lines, int error) {
  struct heard *heard = (struct heard *)(void *)lines;
  heard->error = error;
  note(heard, ".", 1);
}

static void hear(struct heard *heard, uv_loop_t *loop, int fd, size_t limit) {
  heard->lines.limit = limit;
  heard->lines.line = on_line;
  heard->lines.too_long = on_too_long;
  heard->lines.end = on_end;
  CHECK(uv_loop_init(loop) == 0);
  CHECK_INT(lines_open(&heard->lines, loop, fd), 0);
}

static void turn_until_end(struct heard *heard, uv_loop_t *loop) {
  while (!strchr(heard->text, '.')) uv_run(loop, UV_RUN_ONCE);
}

static void stop_hearing(struct heard *heard, uv_loop_t *loop) {
  lines_close(&heard->lines);
  while (!lines_closed(&heard->lines)) uv_run(loop, UV_RUN_NOWAIT);
  CHECK_INT(uv_loop_close(loop), 0);
}

static int pipe_with(const char *text, int *writer) {
  int fds[2];
  CHECK(pipe(fds) == 0);
  CHECK(write(fds[1], text, strlen(text)) == (ssize_t)strlen(text));
  if (writer)
    *writer = fds[1];
  else
    close(fds[1]);
  return fds[0];
}

TEST(lines_come_whole_and_the_last_needs_no_newline) {
  struct heard heard = {0};
  uv_loop_t loop;
  int fd = pipe_with("a\nbb\r\n\nccc", NULL);
  hear(&heard, &loop, fd, 100);
  turn_until_end(&heard, &loop);
  CHECK_STR(heard.text, "[a][bb\r][][ccc].");
  CHECK_INT(heard.error, 0);
  stop_hearing(&heard, &loop);
  close(fd);
}

TEST(a_line_in_pieces_is_one_line) {
  struct heard heard = {0};
  uv_loop_t loop;
  int writer, fd = pipe_with("on", &writer);
  hear(&heard, &loop, fd, 100);
  for (int i = 0; i < 5; i++) uv_run(&loop, UV_RUN_NOWAIT);
  CHECK_STR(heard.text, "");
  CHECK(write(writer, "e\ntw", 4) == 4);
  while (!*heard.text) uv_run(&loop, UV_RUN_ONCE);
  CHECK_STR(heard.text, "[one]");
  close(writer);
  turn_until_end(&heard, &loop);
  CHECK_STR(heard.text, "[one][tw].");
  stop_hearing(&heard, &loop);
  close(fd);
}

TEST(a_stop_reads_to_the_end_of_the_line_and_no_further) {
  struct heard heard = {0};
  uv_loop_t loop;
  int writer, fd = pipe_with("one\ntw", &writer);
  hear(&heard, &loop, fd, 100);
  while (!strchr(heard.text, ']')) uv_run(&loop, UV_RUN_ONCE);
  lines_stop(&heard.lines);
  for (int i = 0; i < 10; i++) uv_run(&loop, UV_RUN_NOWAIT);
  CHECK_STR(heard.text, "[one]");
  CHECK(write(writer, "o\nthree\n", 8) == 8);
  turn_until_end(&heard, &loop);
  CHECK_STR(heard.text, "[one][two].");
  stop_hearing(&heard, &loop);
  char rest[16] = {0};
  CHECK(read(fd, rest, sizeof rest) == 6);
  CHECK_STR(rest, "three\n");
  close(fd);
  close(writer);
}

TEST(a_stop_between_two_lines_ends_at_once) {
  struct heard heard = {0};
  uv_loop_t loop;
  int writer, fd = pipe_with("one\n", &writer);
  hear(&heard, &loop, fd, 100);
  while (!strchr(heard.text, ']')) uv_run(&loop, UV_RUN_ONCE);
  lines_stop(&heard.lines);
  turn_until_end(&heard, &loop);
  CHECK_STR(heard.text, "[one].");
  stop_hearing(&heard, &loop);
  close(fd);
  close(writer);
}

TEST(a_line_over_the_limit_is_told_once_and_skipped) {
  struct heard heard = {0};
  uv_loop_t loop;
  int writer, fd = pipe_with("1234\n12345\n1234567", &writer);
  hear(&heard, &loop, fd, 4);
  while (strlen(heard.text) < strlen("[1234]!!")) uv_run(&loop, UV_RUN_ONCE);
  CHECK(write(writer, "890\nok\n12345", 12) == 12);
  close(writer);
  turn_until_end(&heard, &loop);
  CHECK_STR(heard.text, "[1234]!![ok]!.");
  stop_hearing(&heard, &loop);
  close(fd);
}

TEST(a_pause_holds_at_the_line_and_the_end_waits_too) {
  struct heard heard = {.pause_after_each = true};
  uv_loop_t loop;
  int fd = pipe_with("a\nb\nc", NULL);
  hear(&heard, &loop, fd, 100);
  static const char *const steps[] = {"[a]", "[a][b]", "[a][b][c]", "[a][b][c]."};
  for (int i = 0; i < 4; i++) {
    for (int n = 0; n < 10; n++) uv_run(&loop, UV_RUN_NOWAIT);
    CHECK_STR(heard.text, steps[i]);
    lines_resume(&heard.lines);
  }
  stop_hearing(&heard, &loop);
  close(fd);
}

TEST(files_are_read_too_and_a_folder_is_an_error) {
  struct heard heard = {0};
  uv_loop_t loop;
  FILE *file = tmpfile();
  CHECK(file && fputs("x\ny", file) >= 0 && fflush(file) == 0 && lseek(fileno(file), 0, SEEK_SET) == 0);
  hear(&heard, &loop, fileno(file), 100);
  turn_until_end(&heard, &loop);
  CHECK_STR(heard.text, "[x][y].");
  stop_hearing(&heard, &loop);
  fclose(file);
  struct heard none = {0};
  int fd = open("/", O_RDONLY);
  hear(&none, &loop, fd, 100);
  turn_until_end(&none, &loop);
  CHECK_INT(none.error, EISDIR);
  stop_hearing(&none, &loop);
  close(fd);
}

static bool is_non_blocking(int fd) {
  return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

TEST(a_pipe_is_never_made_non_blocking_and_a_socket_is_put_back) {
  struct heard heard = {0}, other = {0};
  uv_loop_t loop;
  int fd = pipe_with("a\n", NULL), pair[2];
  hear(&heard, &loop, fd, 100);
  CHECK(!is_non_blocking(fd));
  turn_until_end(&heard, &loop);
  CHECK(!is_non_blocking(fd));
  stop_hearing(&heard, &loop);
  CHECK(!is_non_blocking(fd));
  close(fd);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(write(pair[1], "b\n", 2) == 2);
  close(pair[1]);
  hear(&other, &loop, pair[0], 100);
  turn_until_end(&other, &loop);
  CHECK_STR(other.text, "[b].");
  stop_hearing(&other, &loop);
  CHECK(!is_non_blocking(pair[0]));
  close(pair[0]);
}

/* ---- out ---- */

struct told {
  struct output output;
  int drained, error;
};

static void on_drained(struct output *output) {
  ((struct told *)(void *)output)->drained++;
}

static void on_failed(struct output *output, int error) {
  ((struct told *)(void *)output)->error = error;
}

static void tell(struct told *told, uv_loop_t *loop, int fd) {
  output_init(&told->output);
  told->drained = told->error = 0;
  told->output.drained = on_drained;
  told->output.failed = on_failed;
  buf_puts(output_buf(&told->output), "early\n");
  output_added(&told->output);
  CHECK(uv_loop_init(loop) == 0);
  output_open(&told->output, loop, fd);
}

static int stop_telling(struct told *told, uv_loop_t *loop, int timeout_ms) {
  static const volatile int never = 0;
  output_close(&told->output);
  while (!output_closed(&told->output)) uv_run(loop, UV_RUN_NOWAIT);
  CHECK_INT(uv_loop_close(loop), 0);
  return output_finish(&told->output, timeout_ms, &never);
}

TEST(a_slow_reader_gets_everything_and_the_maker_is_told) {
  struct told told;
  uv_loop_t loop;
  int fds[2];
  static char chunk[64 << 10];
  size_t total = 0, want = 6 + 40 * sizeof chunk;
  CHECK(pipe(fds) == 0);
  tell(&told, &loop, fds[1]);
  for (int i = 0; i < 40; i++) {
    buf_add(output_buf(&told.output), chunk, sizeof chunk);
    output_added(&told.output);
  }
  CHECK(output_is_much(&told.output));
  while (total < want) {
    uv_run(&loop, UV_RUN_NOWAIT);
    ssize_t n = read(fds[0], chunk, sizeof chunk);
    CHECK(n > 0);
    if (total == 0) CHECK_BYTES(chunk, 6, "early\n", 6);
    total += (size_t)n;
  }
  CHECK_INT(told.drained, 1);
  CHECK(!output_is_much(&told.output));
  CHECK(!is_non_blocking(fds[1]));
  CHECK_INT(stop_telling(&told, &loop, -1), 0);
  close(fds[0]);
  close(fds[1]);
}

TEST(a_reader_that_is_gone_is_told_once) {
  struct told told;
  uv_loop_t loop;
  int fds[2];
  signal(SIGPIPE, SIG_IGN);
  CHECK(pipe(fds) == 0);
  tell(&told, &loop, fds[1]);
  close(fds[0]);
  while (!told.error) uv_run(&loop, UV_RUN_ONCE);
  CHECK_INT(told.error, EPIPE);
  told.error = 0;
  buf_puts(output_buf(&told.output), "more\n");
  output_added(&told.output);
  CHECK_INT(told.error, 0);
  CHECK_INT(stop_telling(&told, &loop, -1), EPIPE);
  close(fds[1]);
}

TEST(the_rest_is_given_up_after_its_time) {
  struct told told;
  uv_loop_t loop;
  int fds[2];
  static char chunk[1 << 20];
  CHECK(pipe(fds) == 0);
  tell(&told, &loop, fds[1]);
  buf_add(output_buf(&told.output), chunk, sizeof chunk);
  output_added(&told.output);
  CHECK_INT(stop_telling(&told, &loop, 50), ETIMEDOUT);
  close(fds[0]);
  close(fds[1]);
}
