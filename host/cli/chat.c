/* `moonkeep chat`: a host and a person. */
#include "link/chat.h"

#include <unistd.h>

#include "cli/cli.h"
#include "cli/session.h"

static void greet(const struct session *session) {
  struct console *console = &session->cli->console;
  struct buf text = {0};
  if (!isatty(STDIN_FILENO) || !console->tty[CONSOLE_OUT]) return;
  console_style(console, CONSOLE_OUT, &text, STYLE_BOLD);
  buf_puts(&text, "moonkeep " MOONKEEP_VERSION);
  console_style(console, CONSOLE_OUT, &text, STYLE_NONE);
  buf_printf(&text, ": the bots of %s are listening; their data is in %s.\n", session->scripts,
             session->cli->settings.data);
  buf_puts(&text, "Say something, or NAME: TEXT to speak as somebody else. Ctrl-D leaves.\n\n");
  if (!text.failed) console_write(console, CONSOLE_OUT, text.data, text.len);
  buf_deinit(&text);
}

static enum exit_status talk(struct session *session, struct chat *chat) {
  greet(session);
  chat_open(chat, session->host);
  host_run(session->host);
  chat_close(chat);
  session_leave(session);
  return session_close(session);
}

enum exit_status command_chat(struct cli *cli) {
  struct session session;
  struct chat *chat;
  struct err err;
  session_init(&session, cli, LOG_WARN);
  if (chat_new(&chat, &cli->console, cli->settings.echo, &err)) {
    session_deinit(&session);
    return failed(cli, &err);
  }
  enum exit_status status = session_open(&session, chat_listener(chat));
  if (!status) status = talk(&session, chat);
  chat_free(chat);
  session_deinit(&session);
  return status;
}
