/* `moonkeep console`: a prompt in the host that runs on the data folder. */
#include <string.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "link/client.h"
#include "link/editor.h"
#include "link/fields.h"
#include "link/lines.h"

struct talk {
  struct cli *cli;
  struct client_lines lines;
  struct editor editor;
};

static void write_text(struct cli *cli, enum console_stream stream, const struct buf *text,
                       enum style style) {
  struct buf out = {0};
  if (style) console_style(&cli->console, stream, &out, style);
  console_put(&cli->console, stream, &out, text->data, text->len);
  if (style) console_style(&cli->console, stream, &out, STYLE_NONE);
  if (!out.failed) console_write(&cli->console, stream, out.data, out.len);
  buf_deinit(&out);
}

/* What print has said, on its way before the answer. */
static void show_told(struct talk *talk, const char *line, size_t len) {
  struct field params = {.name = "params"}, field = {.name = "text"};
  struct buf text = {0};
  fields_read(line, len, &params, 1, false, NULL);
  if (params.type == JSON_OBJECT) fields_read(params.at, params.len, &field, 1, false, NULL);
  if (field_text(&field, &text)) write_text(talk->cli, CONSOLE_OUT, &text, STYLE_NONE);
  buf_deinit(&text);
}

static enum moonkeep_code ask(struct talk *talk, const char *method, const char *code_text,
                              struct buf *result, struct err *err) {
  struct buf params = {0}, request = {0};
  const char *line;
  size_t len;
  buf_puts(&params, "{\"code\":");
  put_any_text(&params, code_text, strlen(code_text));
  buf_putc(&params, '}');
  access_put_request(&request, method, &params);
  enum moonkeep_code code =
      request.failed ? err_memory(err) : client_send(talk->lines.fd, request.data, request.len, err);
  bool answered = false;
  while (!code && !answered) {
    struct field id = {.name = "id"};
    code = client_next(&talk->lines, -1, &line, &len, err);
    if (code) break;
    fields_read(line, len, &id, 1, false, NULL);
    answered = id.type != JSON_END;
    if (!answered) show_told(talk, line, len);
  }
  if (!code) code = access_read_answer(line, len, result, err);
  buf_deinit(&params);
  buf_deinit(&request);
  return code;
}

static void complete(void *ctx, const char *text, struct buf *names) {
  struct talk *talk = ctx;
  struct buf result = {0};
  struct err err;
  struct array_walk walk;
  struct field element;
  if (!ask(talk, "complete", text, &result, &err)) {
    array_walk_init(&walk, result.data, result.len);
    while (array_walk_next(&walk, &element)) {
      field_text(&element, names);
      buf_putc(names, '\0');
    }
    array_walk_deinit(&walk);
  }
  buf_deinit(&result);
}

enum verdict { FINE, BAD, INCOMPLETE, GONE };

static void show_outcome(struct talk *talk, bool ok, struct buf *text) {
  if (text->len > 0) buf_putc(text, '\n');
  write_text(talk->cli, ok ? CONSOLE_OUT : CONSOLE_ERR, text, ok ? STYLE_NONE : STYLE_RED);
}

static enum verdict evaluate(struct talk *talk, const char *code_text) {
  struct field fields[] = {{.name = "ok"}, {.name = "text"}, {.name = "incomplete"}};
  struct buf result = {0}, text = {0};
  struct err err;
  if (ask(talk, "eval", code_text, &result, &err)) {
    failed(talk->cli, &err);
    buf_deinit(&result);
    return err.code == MOONKEEP_CLOSED ? GONE : BAD;
  }
  fields_read(result.data, result.len, fields, 3, false, NULL);
  bool ok = fields[0].type == JSON_TRUE, incomplete = fields[2].type == JSON_TRUE;
  field_text(&fields[1], &text);
  if (!incomplete) show_outcome(talk, ok, &text);
  buf_deinit(&result);
  buf_deinit(&text);
  return ok ? FINE : incomplete ? INCOMPLETE : BAD;
}

/* Code that ends too early is continued by the next line; an empty one gives it up. */
static enum exit_status converse(struct talk *talk) {
  struct buf code = {0}, line = {0};
  enum exit_status status = EXIT_DONE;
  enum verdict verdict = FINE;
  while (verdict != GONE && editor_read(&talk->editor, verdict == INCOMPLETE ? ">> " : "> ", &line)) {
    if (verdict == INCOMPLETE) buf_putc(&code, '\n');
    bool gives_up = verdict == INCOMPLETE && line.len == 0 && talk->editor.tty;
    buf_add(&code, line.data, line.len);
    editor_remember(&talk->editor, buf_text(&line));
    buf_clear(&line);
    if (line_is_blank(code.data, code.len))
      verdict = FINE;
    else
      verdict = evaluate(talk, buf_text(&code));
    if (verdict == INCOMPLETE && !gives_up) continue;
    if (verdict == BAD || verdict == GONE) status = EXIT_FAILED;
    if (gives_up) verdict = FINE;
    buf_clear(&code);
  }
  if (verdict == INCOMPLETE) {
    console_complain(&talk->cli->console, "the last statement is not whole");
    status = EXIT_FAILED;
  }
  buf_deinit(&code);
  buf_deinit(&line);
  return talk->editor.tty && verdict != GONE ? EXIT_DONE : status;
}

static void greet(const struct talk *talk) {
  struct buf text = {0};
  if (!talk->editor.tty) return;
  buf_printf(&text, "moonkeep " MOONKEEP_VERSION ": Lua in the host on %s. Tab completes, Ctrl-D leaves.\n",
             talk->cli->settings.data);
  if (!text.failed) console_write(&talk->cli->console, CONSOLE_OUT, text.data, text.len);
  buf_deinit(&text);
}

enum exit_status command_console(struct cli *cli) {
  struct err err;
  struct talk talk = {.cli = cli, .lines = {.fd = access_connect(cli, &err)}};
  if (talk.lines.fd < 0) return failed(cli, &err);
  talk.editor.complete = complete;
  talk.editor.ctx = &talk;
  editor_open(&talk.editor, ".moonkeep_history");
  greet(&talk);
  enum exit_status status = converse(&talk);
  if (talk.editor.tty) console_write(&cli->console, CONSOLE_OUT, "\n", 1);
  editor_close(&talk.editor);
  client_lines_close(&talk.lines);
  return status;
}
