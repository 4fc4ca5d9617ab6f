#include "link/chat.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "link/fields.h"
#include "link/lines.h"

enum { NAME_BYTES = 32, ENDING_MS = 300 };

static const char PROMPT[] = "you> ";
static const char CHANNEL[] = "general";

struct chat {
  struct host *host; /* NULL before chat_open */
  struct console *console;
  struct buf early; /* owned: what was said before that */
  bool echo, typed; /* typed: on a terminal */
  struct lines lines;
  struct host_listener listener;
  uv_timer_t timer; /* ends the wait for an event; then, at the end, tells why it takes so long */
  uint64_t number;  /* of the last line, and the id of its event */
  bool open_timer, closing;
};

struct said { /* an event under way */
  struct host_event event;
  struct chat *chat;
  uint64_t number;
};

static void print(struct chat *chat, struct buf *text) {
  if (text->failed || text->len == 0) {
    /* nothing to print */
  } else if (!chat->host) {
    buf_add(&chat->early, text->data, text->len);
  } else if (console_write(chat->console, CONSOLE_OUT, text->data, text->len) != 0) {
    host_stop(chat->host);
  }
  buf_deinit(text);
}

/* ---- what bots do ---- */

static void put_name(struct chat *chat, struct buf *out, const char *name, size_t len) {
  console_style(chat->console, CONSOLE_OUT, out, STYLE_CYAN);
  console_put(chat->console, CONSOLE_OUT, out, name, len);
  console_style(chat->console, CONSOLE_OUT, out, STYLE_NONE);
  buf_puts(out, ": ");
}

/* Further lines of a text stand under its first. */
static void put_text(struct chat *chat, struct buf *out, const char *text, size_t len, size_t indent) {
  while (len > 0) {
    const char *newline = memchr(text, '\n', len);
    size_t n = newline ? (size_t)(newline - text) : len;
    console_put(chat->console, CONSOLE_OUT, out, text, n);
    text += n;
    len -= n;
    if (len == 0) break;
    text++;
    len--;
    if (len > 0) buf_printf(out, "\n%*s", (int)indent, "");
  }
}

static void put_message(struct chat *chat, struct buf *out, const struct buf *bot, const struct buf *channel,
                        const struct buf *text) {
  size_t indent = text_columns(bot->data, bot->len) + 2;
  if (channel->len != strlen(CHANNEL) || memcmp(channel->data, CHANNEL, channel->len) != 0) {
    buf_putc(out, '#');
    console_put(chat->console, CONSOLE_OUT, out, channel->data, channel->len);
    buf_putc(out, ' ');
    indent += text_columns(channel->data, channel->len) + 2;
  }
  put_name(chat, out, bot->data, bot->len);
  put_text(chat, out, text->data, text->len, indent);
}

static void put_other(struct chat *chat, struct buf *out, const struct buf *bot, const char *json,
                      size_t len) {
  put_name(chat, out, bot->data, bot->len);
  console_style(chat->console, CONSOLE_OUT, out, STYLE_DIM);
  console_put(chat->console, CONSOLE_OUT, out, json, len);
  console_style(chat->console, CONSOLE_OUT, out, STYLE_NONE);
}

static bool is_send(const struct field *action) {
  return action->type == JSON_STRING && action->len == 6 && memcmp(action->at, "\"send\"", 6) == 0;
}

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  struct chat *chat = list_of(listener, struct chat, listener);
  struct field fields[] = {{.name = "script"}, {.name = "action"}, {.name = "channel"}, {.name = "text"}};
  struct buf bot = {0}, channel = {0}, text = {0}, out = {0};
  fields_read(json, len, fields, 4, false, NULL);
  field_text(&fields[0], &bot);
  if (is_send(&fields[1]) && field_text(&fields[2], &channel) && field_text(&fields[3], &text))
    put_message(chat, &out, &bot, &channel, &text);
  else
    put_other(chat, &out, &bot, json, len);
  buf_putc(&out, '\n');
  print(chat, &out);
  buf_deinit(&bot);
  buf_deinit(&channel);
  buf_deinit(&text);
}

/* Whoever saves a script while talking sees that it has come. */
static void on_changed(struct host_listener *listener, const char *script, const char *what) {
  struct chat *chat = list_of(listener, struct chat, listener);
  struct buf out = {0};
  if (!chat->typed) return;
  console_style(chat->console, CONSOLE_OUT, &out, STYLE_DIM);
  buf_putc(&out, '(');
  console_put(chat->console, CONSOLE_OUT, &out, script, strlen(script));
  buf_printf(&out, " %s)", what);
  console_style(chat->console, CONSOLE_OUT, &out, STYLE_NONE);
  buf_putc(&out, '\n');
  print(chat, &out);
}

/* ---- what the person says ---- */

/* The prompt only when the next line is asked for. */
static void go_on(struct chat *chat) {
  if (chat->closing || chat->lines.ended) return;
  uv_timer_stop(&chat->timer);
  if (chat->typed) console_prompt(chat->console, PROMPT);
  lines_resume(&chat->lines);
}

static void on_waited(uv_timer_t *timer) {
  go_on(timer->data);
}

static void put_failed(struct chat *chat, const struct field *entry, struct buf *out) {
  struct field fields[] = {{.name = "script"}};
  struct buf bot = {0};
  fields_read(entry->at, entry->len, fields, 1, false, NULL);
  field_text(&fields[0], &bot);
  console_style(chat->console, CONSOLE_OUT, out, STYLE_DIM);
  buf_putc(out, '(');
  console_put(chat->console, CONSOLE_OUT, out, bot.data, bot.len);
  buf_puts(out, " failed)");
  console_style(chat->console, CONSOLE_OUT, out, STYLE_NONE);
  buf_putc(out, '\n');
  buf_deinit(&bot);
}

static void tell_failures(struct chat *chat, const struct scripts_outcome *outcome) {
  struct array_walk walk;
  struct field entry;
  struct buf out = {0};
  array_walk_init(&walk, outcome->errors, outcome->errors_len);
  while (array_walk_next(&walk, &entry)) put_failed(chat, &entry, &out);
  array_walk_deinit(&walk);
  print(chat, &out);
}

static void on_done(struct host_event *event, const struct scripts_outcome *outcome) {
  struct said *said = list_of(event, struct said, event);
  struct chat *chat = said->chat;
  if (!outcome->ok && !chat->closing) tell_failures(chat, outcome);
  if (said->number == chat->number) go_on(chat);
  mem_free(said);
}

static bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || (unsigned char)c >= 0x80; /* a letter of another script */
}

/* The length of the name that begins the line, 0 where it is all text. */
static size_t name_len(const char *line, size_t len) {
  size_t n = 0;
  while (n < len && n <= NAME_BYTES && is_name_byte(line[n])) n++;
  return n > 0 && n <= NAME_BYTES && n + 1 < len && line[n] == ':' && line[n + 1] == ' ' ? n : 0;
}

static void put_event(struct buf *out, uint64_t number, const char *name, size_t name_bytes, const char *text,
                      size_t len) {
  buf_printf(out, "{\"event\":\"message\",\"id\":\"%" PRIu64 "\",\"channel\":\"%s\",\"userId\":", number,
             CHANNEL);
  json_put_string(out, name, name_bytes);
  buf_puts(out, ",\"text\":");
  json_put_string(out, text, len);
  buf_putc(out, '}');
}

static enum moonkeep_code emit(struct chat *chat, const struct buf *event, struct err *err) {
  struct said *said = event->failed ? NULL : mem_zero(sizeof *said);
  if (!said) return err_memory(err);
  *said = (struct said){.event.done = on_done, .chat = chat, .number = chat->number};
  lines_pause(&chat->lines);
  uv_timer_start(&chat->timer, on_waited, CHAT_WAIT_MS, 0);
  enum moonkeep_code code = host_emit(chat->host, event->data, event->len, &said->event, err);
  if (!code) return MOONKEEP_OK;
  mem_free(said);
  if (code != MOONKEEP_CLOSED) go_on(chat);
  return code;
}

static void echo(struct chat *chat, const char *name, size_t name_bytes, const char *text, size_t len) {
  struct buf out = {0};
  buf_add(&out, name, name_bytes);
  buf_puts(&out, "> ");
  console_put(chat->console, CONSOLE_OUT, &out, text, len);
  buf_putc(&out, '\n');
  print(chat, &out);
}

static void say(struct chat *chat, const char *line, size_t len) {
  size_t n = name_len(line, len);
  const char *name = n ? line : "you", *text = n ? line + n + 2 : line;
  size_t name_bytes = n ? n : 3, text_len = n ? len - n - 2 : len;
  if (chat->echo) echo(chat, name, name_bytes, text, text_len);
  struct buf event = {0};
  struct err err;
  chat->number++;
  put_event(&event, chat->number, name, name_bytes, text, text_len);
  enum moonkeep_code code = emit(chat, &event, &err);
  if (code && code != MOONKEEP_CLOSED) console_complain(chat->console, "%s", err.message);
  buf_deinit(&event);
}

static void on_line(struct lines *lines, const char *text, size_t len) {
  struct chat *chat = list_of(lines, struct chat, lines);
  if (chat->typed) console_entered(chat->console);
  if (len > 0 && text[len - 1] == '\r') len--;
  if (utf8_valid(text, len) != len)
    console_complain(chat->console, "that line is not UTF-8 text");
  else if (!line_is_blank(text, len)) {
    say(chat, text, len);
    return;
  }
  if (chat->typed) console_prompt(chat->console, PROMPT);
}

static void on_too_long(struct lines *lines) {
  struct chat *chat = list_of(lines, struct chat, lines);
  console_complain(chat->console, "that line is longer than %d bytes", CHAT_LINE_BYTES);
}

static void on_ending(uv_timer_t *timer) {
  static const char note[] = "finishing; Ctrl-C ends at once\n";
  struct chat *chat = timer->data;
  console_write(chat->console, CONSOLE_ERR, note, sizeof note - 1);
}

static void on_end(struct lines *lines, int error) {
  struct chat *chat = list_of(lines, struct chat, lines);
  if (chat->typed) {
    console_entered(chat->console);
    console_write(chat->console, CONSOLE_OUT, "\n", 1);
    uv_timer_start(&chat->timer, on_ending, ENDING_MS, 0);
  }
  if (error) console_complain(chat->console, "cannot read standard input: %s", strerror(error));
  host_finish(chat->host);
}

/* ---- the life of it ---- */

enum moonkeep_code chat_new(struct chat **out, struct console *console, bool with_echo, struct err *err) {
  struct chat *chat = mem_zero(sizeof *chat);
  if (!chat) return err_memory(err);
  chat->console = console;
  chat->typed = isatty(STDIN_FILENO) && console->tty[CONSOLE_OUT];
  chat->echo = with_echo && !isatty(STDIN_FILENO);
  chat->listener.action = on_action;
  chat->listener.changed = on_changed;
  list_init(&chat->listener.link);
  chat->lines.limit = CHAT_LINE_BYTES;
  chat->lines.line = on_line;
  chat->lines.too_long = on_too_long;
  chat->lines.end = on_end;
  *out = chat;
  return MOONKEEP_OK;
}

struct host_listener *chat_listener(struct chat *chat) {
  return &chat->listener;
}

void chat_open(struct chat *chat, struct host *host) {
  chat->host = host;
  uv_timer_init(host_loop(host), &chat->timer);
  chat->timer.data = chat;
  chat->open_timer = true;
  lines_open(&chat->lines, host_loop(host), STDIN_FILENO);
  print(chat, &chat->early);
  if (chat->typed) console_prompt(chat->console, PROMPT);
}

static void on_timer_closed(uv_handle_t *handle) {
  struct chat *chat = handle->data;
  chat->open_timer = false;
}

void chat_close(struct chat *chat) {
  chat->closing = true;
  console_prompt(chat->console, NULL);
  host_off_action(chat->host, &chat->listener);
  lines_close(&chat->lines);
  uv_close((uv_handle_t *)&chat->timer, on_timer_closed);
  while (chat->open_timer || !lines_closed(&chat->lines)) uv_run(host_loop(chat->host), UV_RUN_NOWAIT);
}

void chat_free(struct chat *chat) {
  buf_deinit(&chat->early);
  mem_free(chat);
}
