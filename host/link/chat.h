/* `moonkeep chat`: the bots, talking with a person in the terminal or with lines from a file.
 *
 * A line is `NAME: TEXT`, or `TEXT` from `you`, and becomes a message event in the channel general. What the
 * bots send is printed as it comes. The next line is read when the event is done, or after two seconds, so
 * that a conversation from a file reads in order.
 *
 * chat_new, and its listener for host_open, so that nothing that bots say is missed; chat_open before
 * host_run; chat_close after it; chat_free after host_close. */
#ifndef LINK_CHAT_H
#define LINK_CHAT_H

#include <stdbool.h>

#include "host.h"
#include "link/console.h"

enum { CHAT_LINE_BYTES = 1 << 20, CHAT_WAIT_MS = 2000 };

struct chat;

/* echo: lines that are not typed on a terminal are printed as they are read. The console is borrowed. */
enum moonkeep_code chat_new(struct chat **out, struct console *console, bool echo, struct err *err);
struct host_listener *chat_listener(struct chat *chat); /* for host_options */
void chat_open(struct chat *chat, struct host *host);
void chat_close(struct chat *chat);
void chat_free(struct chat *chat);

#endif
