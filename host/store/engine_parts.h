/* What the files of the engine share among themselves. */
#ifndef STORE_ENGINE_PARTS_H
#define STORE_ENGINE_PARTS_H

#include "store/engine.h"

enum { ENGINE_PUT, ENGINE_ERASE, ENGINE_RANGE, ENGINE_EXPIRED };

/* Makes sure that no transaction stays open after a failure; returns code. */
enum moonkeep_code engine_rollback(struct engine *engine, enum moonkeep_code code);

/* Begins a transaction that is not synced when it commits. */
enum moonkeep_code engine_relax(struct engine *engine, const char *doing, struct err *err);

/* From here on every commit is synced again. Outside transactions, and before whatever has to be durable: it
 * does nothing when it is so already, and what cannot be made durable must not be written. */
enum moonkeep_code engine_tighten(struct engine *engine, struct err *err);

/* Gives up the fold under way, if there is one. */
void engine_end_fold(struct engine *engine);

/* Says in the log which one it is: the file then has that number as soon as it has the rest of it, so that an
 * older copy is told from it; and up to which one the file alone has everything, so that the log knows its
 * file without the mark. Closed: a file that does not say so was copied without its log while a host was at
 * work. */
enum moonkeep_code engine_number_log(struct engine *engine, bool closed, const char *doing, struct err *err);

/* That has been committed. */
void engine_log_is_numbered(struct engine *engine, bool closed);

/* A full disk is told with what to do: the journal has what was acknowledged, however little of it fits into
 * the tables. Returns code. */
enum moonkeep_code engine_comfort(const struct engine *engine, enum moonkeep_code code, struct err *err);

#endif
