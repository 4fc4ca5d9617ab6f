/* Those who have asked for a reload, and wait for what comes of it. Private to host/script. */
#ifndef SCRIPT_ASK_H
#define SCRIPT_ASK_H

#include "script/reload.h"

/* The try that they have waited for is over: "reloaded", "loaded", "unloaded", "failed"; why may be NULL. */
void ask_answer(struct bot *bot, const char *result, const char *why);

/* Whether somebody waits for this bot. */
bool ask_waits(const struct bot *bot);

#endif
