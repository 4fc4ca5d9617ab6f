/* The service manager's side: systemd is told when the host is ready and when it stops, and that it is alive.
 * A datagram to $NOTIFY_SOCKET each; without one nothing happens. */
#ifndef LINK_NOTIFY_H
#define LINK_NOTIFY_H

#include <stdbool.h>
#include <uv.h>

/* Says that the host is ready, and from then on, as often as $WATCHDOG_USEC asks for, that its loop turns. */
void notify_begin(uv_loop_t *loop, const char *status);

/* Says that it stops, if it does so for good. It is alive as long as the loop turns; the loop has to turn
 * once more to close this. */
void notify_end(bool for_good);

#endif
