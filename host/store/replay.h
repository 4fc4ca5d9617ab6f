/* Bringing a store file forward with what the archive has from after it, group by group.
 *
 * The groups of an epoch follow the file's last one without a gap. Where a later epoch began behind a group
 * on the way, the store was restored there, and what counts from there on is that epoch's. The archive's
 * files say which epoch theirs came from; of those that do not, because they are older, it is the newest one
 * before it that has the group behind which it begins. */
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/archive.h"
#include "store/engine.h"

struct replay {
  const char *dir;  /* of the archive */
  int64_t until_ms; /* nothing that came later; INT64_MAX: all that there is */
  uint64_t epoch;   /* the one that the engine's last group is of; afterwards that of the last one replayed */
  uint64_t seq;     /* the group that it begins behind; afterwards the last one */
  /* For replay_walk: called with each group. */
  enum moonkeep_code (*group)(void *ctx, const struct archive_group *group, struct err *err);
  void *ctx;
  /* What was done. */
  uint64_t groups;
  int64_t last_ms; /* when the last of them was written; 0: there was none */
  bool torn, gap;  /* something of the archive could not be used */
  uint64_t astray; /* the newest epoch, where the way did not lead there; 0: it did */
  bool damaged;    /* and that is no end as a crash, or a copy, leaves it */
};

/* Calls `group` with each of them. */
enum moonkeep_code replay_walk(struct replay *replay, struct err *err);

/* From the engine's last group on: appends the groups to its journal and folds them. After an error the
 * engine has some of them. */
enum moonkeep_code replay_run(struct replay *replay, struct engine *engine, struct err *err);

/* Goes on, after replay_run, with what the journal of a store file has, as long as no number is missing and
 * the file is this database's. What else it says, or that it cannot be read, is of no account. *last: the
 * newest group that it knows of. */
enum moonkeep_code replay_tail(struct replay *replay, struct engine *engine, const char *path, int64_t id,
                               uint64_t *last, struct err *err);

/* Whether the way from there leads to the newest restore that there was by that moment, as far as can be seen
 * without reading the groups. */
enum moonkeep_code replay_leads_on(const struct replay *replay, bool *leads, struct err *err);

/* Whether anything behind this group of the epoch was written by that moment. */
enum moonkeep_code replay_has_begun(const char *dir, uint64_t epoch, uint64_t after, int64_t until_ms,
                                    bool *has, struct err *err);

/* The newest epoch that the archive knows of; 0: none. */
uint64_t replay_newest_epoch(const char *dir);

/* The epoch whose groups are there from the very first one on; 0: there is none. */
uint64_t replay_first_epoch(const char *dir);

#endif
