/* A Lua state of the server's own that is attached to a host: it gets appData and rootServer, and may have
 * tasks whose store calls give way.
 *
 * guest_attach makes one, guest_spawn starts tasks, which scripts_run on guest_room runs; guest_detach ends
 * it, from then on its stores are closed. Where the state is closed first, `gone` is called. Host thread
 * only. */
#ifndef SCRIPT_GUEST_H
#define SCRIPT_GUEST_H

#include "script/scripts.h"

struct guest;
struct lua_State;

/* options: of its room; ctx is also gone's. Errors: invalid (the state is attached already, or another Lua's:
 * the message says what to do), memory. */
enum moonkeep_code guest_attach(struct guest **out, struct lua_State *L,
                                const struct scripts_options *options,
                                void (*gone)(void *ctx, struct guest *guest), struct err *err);

/* Drops its tasks and frees it. Waits for its calls that are under way. */
void guest_detach(struct guest *guest);

/* Starts a task of the function below so many arguments on top of L, which it pops. Errors: invalid, memory.
 */
enum moonkeep_code guest_spawn(struct guest *guest, struct lua_State *L, int args, struct err *err);

struct scripts *guest_room(struct guest *guest);
bool guest_is(const struct guest *guest, struct lua_State *L); /* whether L is of its state */

#endif
