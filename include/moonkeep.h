/* moonkeep: bot and game logic in Lua, with data that cannot be lost.
 *
 * This header is what every face of moonkeep shares: the version and the error codes. A code means the same
 * in a Lua error object (`err.code`), on the control socket and in C. */
#ifndef MOONKEEP_H
#define MOONKEEP_H

#ifdef __cplusplus
extern "C" {
#endif

#define MOONKEEP_VERSION "0.1.0"

enum moonkeep_code {
  MOONKEEP_OK = 0,
  MOONKEEP_INVALID_KEY,     /* not a non-empty UTF-8 string of at most 1,024 bytes without NUL */
  MOONKEEP_INVALID_VALUE,   /* not a JSON value, or one that could not come back exactly as it went in */
  MOONKEEP_INVALID_PATTERN, /* not a LIKE pattern */
  MOONKEEP_TOO_LARGE,       /* a value or a list over its size limit */
  MOONKEEP_NESTED,          /* a store call inside an update function */
  MOONKEEP_FULL,            /* no space left: nothing was written */
  MOONKEEP_IO,              /* the disk or the file system failed: nothing was written */
  MOONKEEP_CORRUPT,         /* the row's checksum does not match */
  MOONKEEP_CLOSED,          /* the store has been closed */
  MOONKEEP_TIMEOUT,         /* no answer in time: nothing was changed */
  MOONKEEP_UNKNOWN,         /* a disk error leaves open whether the change was saved */
  MOONKEEP_MEMORY,          /* out of memory: nothing was written */
  MOONKEEP_BUSY,            /* another process has the folder or writes to the store file, or too many calls
                               wait: nothing was done */
  MOONKEEP_INVALID,         /* anything else that the caller got wrong: a setting, an argument, a file */
  MOONKEEP_CONFLICT,        /* a transaction found what it had read changed, as often as it tried: nothing was
                               written */
};

/* The code's name as scripts see it, such as "invalid_key". Never NULL; any thread. */
const char *moonkeep_code_name(enum moonkeep_code code);

#ifdef __cplusplus
}
#endif
#endif
