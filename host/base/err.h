/* Errors: a code and a sentence, made where the failure is known and passed up untouched.
 *
 * A function that can fail returns an enum moonkeep_code and fills the `struct err` of its caller, so that
 * `return err_set(err, …)` is the whole of failing. The sentence names the operation, the object and, where
 * there is one, the remedy. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include "moonkeep.h"

struct err {
  enum moonkeep_code code;
  char message[768];
  char key[1025]; /* the key it is about, "" where there is none */
  bool disk;      /* the disk has failed: nothing is wrong with what it holds, and another try may go well */
};

/* Fills err (which may be NULL) and returns code. The message is cut to what fits, never inside a UTF-8
 * character. The key of an earlier error is forgotten. */
enum moonkeep_code err_set(struct err *err, enum moonkeep_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, and names the key. */
enum moonkeep_code err_key(struct err *err, enum moonkeep_code code, const char *key, size_t key_len,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Names the key of an error that is there already; a long one is cut. */
void err_name_key(struct err *err, const char *key, size_t key_len);

/* The one sentence for a failed allocation. */
enum moonkeep_code err_memory(struct err *err);

/* The code whose name this is; MOONKEEP_UNKNOWN for a name that is none. */
enum moonkeep_code err_code(const char *name);

#endif
