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

#endif
