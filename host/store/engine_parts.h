/* What the files of the engine share among themselves. */
#ifndef STORE_ENGINE_PARTS_H
#define STORE_ENGINE_PARTS_H

#include "store/engine.h"

enum { ENGINE_PUT, ENGINE_ERASE, ENGINE_RANGE, ENGINE_EXPIRED };

/* Makes sure that no transaction stays open after a failure; returns code. */
enum moonkeep_code engine_rollback(struct engine *engine, enum moonkeep_code code);

#endif
