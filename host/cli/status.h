/* A host's status (report_json.c) as a person reads it. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "link/console.h"

/* before: the status a moment ago, so that CPU is that of the time between; NULL: since the host began. */
void status_put(const struct console *console, struct buf *out, const struct buf *status,
                const struct buf *before);

/* The line about the last restore or repair, where the status has one: also of a folder without a host. */
void status_put_receipt(const struct console *console, struct buf *out, const struct buf *status);

/* 1234567 as 1,234,567; and bytes as 1.2 MiB. */
void put_grouped(struct buf *out, unsigned long long number);
void put_bytes(struct buf *out, double bytes);

#endif
