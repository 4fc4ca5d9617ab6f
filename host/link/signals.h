/* The signals that end a host: the first ends it in order, the second at once, with the status that shows it.
 * And SIGHUP, which has the scripts reloaded; only where the terminal itself has gone does it end the host.
 *
 * The handler counts by itself, so that a second signal ends even a process whose loop is stuck. One at a
 * time in a process. */
#ifndef LINK_SIGNALS_H
#define LINK_SIGNALS_H

#include <sys/types.h>
#include <uv.h>

/* SIGINT, SIGTERM and SIGHUP (unless nohup has it ignored) are taken from now on: before the host is opened.
 */
void signals_take(void);

/* The process that watches over this one passes on what was sent to it alone; what comes from there and from
 * elsewhere is one signal that both have got. Before signals_take. */
void signals_passed_on_by(pid_t watcher);

/* How many that end it have come; set by the handler. */
const volatile int *signals_seen(void);

/* Calls `stop` on the loop at the first signal, also one that came before, and `reload` at a SIGHUP. An errno
 * or 0. */
int signals_watch(uv_loop_t *loop, void (*stop)(void *ctx), void (*reload)(void *ctx), void *ctx);
void signals_unwatch(void); /* closes its handle; the loop has to turn; signals are counted on */

#endif
