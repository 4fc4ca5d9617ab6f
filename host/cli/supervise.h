/* The process that watches over a host: a small parent, which starts it again after a crash.
 *
 * The host is a child that dies with it. It is started again after a death by a signal that nobody has sent
 * to end it, or when it has ended so that its store is restored; every other end is passed on. What was
 * running is known from `note` (base/note.h): a script that was running when the host crashed, or that the
 * host could not stop, is left out from then on until it is saved. What was acknowledged is in the store;
 * what was read and not acknowledged is sent again by whoever sends events. */
#ifndef CLI_SUPERVISE_H
#define CLI_SUPERVISE_H

#include "cli/cli.h"

/* Runs `host` in a child, as often as it takes, and returns its last status. Before anything is opened: the
 * child returns from here too, with what `host` has returned. */
enum exit_status supervise(struct cli *cli, enum exit_status (*host)(struct cli *cli));

#endif
