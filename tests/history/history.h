/* A checker of histories: whether what many tasks called and got back, with kills between, can be what a
 * store does that keeps CONTRACT "Order and durability".
 *
 * A history is a text, one line each, in the order in which things happened:
 *
 *   MS + ID get STORE KEY                      a call is about to be made, at MS of the store's clock
 *   MS + ID set STORE EXPIRY KEY [KEY …]       one key, or a list: ID is what it writes
 *   MS + ID update STORE KEY HOW EXPIRY        HOW the function ends: write (ID), keep, drop, raise, nothing
 *   MS + ID delete STORE KEY
 *   MS + ID deleteLike STORE PATTERN
 *   MS + ID select|selectValue|keys STORE PATTERN LIMIT AFTER   LIMIT 0 and AFTER "." are none
 *   MS + ID count|each STORE PATTERN
 *   MS ~ ID SAW             the function of the update ID was given what SAW had written; 0: nothing
 *   MS - ID [ANSWER]        the call has returned: the writer of the value (0: absent), 0 or 1, a number,
 * rows KEY=WRITER:EXPIRY ("-": not seen), or `raised` MS ! killed             what has not returned never
 * will MS = looked             the next host has read everything; only now do others begin MS < MOMENT the
 * store was brought back to what it was when somebody had looked at MOMENT
 *
 * EXPIRY is a time in ms, "+MS" counts from the line's own, and 0 is none (for an update: the one that the
 * key has).
 *
 * The method. A store that keeps its promise has one order of all changes, with every call at one moment
 * between its call and its return. The checker walks along the history and keeps the set of all states that
 * the store could be in: who wrote each key, which of the changes under way have happened, which of the reads
 * under way could have seen what they will answer. A call that returns has to have happened; states in which
 * it cannot have are given up, and when none is left the history is no store's. Changes under way happen as
 * late as they can: only when the call that returns has to do with their keys (or a scan under way ties their
 * keys to it), so that what is independent is not tried in every order. Reads happen as early as they can.
 * Neither loses a possibility: a change may move behind what shares no key with it, and a read changes
 * nothing. A state in which a change has put out of sight what somebody under way will answer with is given
 * up at once. A call that a kill has cut off may have happened before it, whole, or never.
 *
 * So it is sound and, but for what follows, complete: it fails exactly those histories for which no order
 * exists. Its cost grows with what is under way on keys that hang together: at worst exponential in the
 * number of such changes, in practice dozens of states, now and then thousands.
 *
 * What it cannot see. An expiry is judged by the clock at any moment between a call and its return (for an
 * update, when its function runs), not by the very moment at which it sees the other keys; only that a scan
 * does not show what had gone before something else that it shows was written is looked at. Of `each` it
 * checks what is promised: each key by itself, as it was at some moment between. Values are told apart by the
 * writer that they name. */
#ifndef TESTS_HISTORY_H
#define TESTS_HISTORY_H

#include <stddef.h>

#include "base/buf.h"

enum history_verdict {
  HISTORY_HOLDS,
  HISTORY_VIOLATED, /* why says what cannot be, and what led to it */
  HISTORY_TOO_WIDE, /* too many states are possible to go on */
};

struct history_stats {                     /* what was in it */
  size_t calls, unanswered, kills, states; /* states: the most that were possible at once */
};

/* why is appended to; stats may be NULL. */
enum history_verdict history_check(const char *text, size_t len, struct buf *why,
                                   struct history_stats *stats);

#endif
