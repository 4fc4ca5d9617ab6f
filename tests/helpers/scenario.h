/* Calls that use the store in every way there is, and what each of a dozen keys may hold afterwards: shared
 * by the tests of disks that fail and of power that goes.
 *
 * scenario_begin forgets everything; the scenarios open the store, submit calls that wait together, and fail
 * the test when an answer is not what it may be. A key may hold the value of the last change that was
 * acknowledged, or of one submitted after it that has not been refused: scenario_wrong compares that with
 * what is found. Everything here is the test's thread's. */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum scenario_key { D0, D1, D2, K0, K1, K2, K3, K4, K5, P0, P1, X0, KEYS };
extern const char *const scenario_keys[KEYS];

/* The open store, or NULL. */
extern struct store *scenario_store;

/* When it says true, the scenario ends at its next step, and what is answered from then on counts for
 * nothing. NULL, as scenario_begin leaves it: never. */
extern bool (*scenario_is_over)(void);

void scenario_begin(void);

/* Opens the store, uses it, closes it, opens it again and uses it once more. Wide: with changes so large that
 * the log is checkpointed on the way. The store may be open afterwards. */
void scenario_run(const char *dir, bool wide);

/* The same with calls taken at random, many of them on their way together. */
void scenario_run_random(const char *dir, int steps, bool wide);

/* Reads every key one by one and all of them together. */
void scenario_check_reads(void);

void scenario_close(bool must_go_well);

/* What is wrong with these values of the keys ("absent" where there is none): a change that was acknowledged
 * and is lost, a value that nobody has written, half of a change to several keys. NULL: nothing. Valid until
 * the next call. */
const char *scenario_wrong(const char *const words[KEYS]);

/* From here on the key holds this, and these are the values of all of them. */
void scenario_holds(enum scenario_key key, const char *word);
void scenario_hold_all(const char *const words[KEYS]);

#endif
