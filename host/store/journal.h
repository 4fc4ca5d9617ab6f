/* The journal's format: all the changes of one group in one run of bytes.
 *
 *     version (1)  epoch  then one record a change:
 *     'b' name-length name                        what follows is about this bucket
 *     'p' key-length key  expiry  json-length json   the key gets this value (expiry: ms since 1970, 0 none)
 *     'e' key-length key                          the key is erased
 *     'l' pattern-length pattern  moment          all keys that match were erased at this moment (ms since
 * 1970); the tables already show it, the record is for the archive
 *
 * Numbers are unsigned LEB128 (seven bits a byte, the low ones first); expiry and moment are zigzagged. */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { JOURNAL_VERSION = 1 };

void journal_begin(struct buf *out, uint64_t epoch);
void journal_bucket(struct buf *out, const char *name);
void journal_put(struct buf *out, const char *key, size_t key_len, const char *json, size_t json_len,
                 int64_t expires_at_ms);
void journal_erase(struct buf *out, const char *key, size_t key_len);
void journal_erase_like(struct buf *out, const char *pattern, size_t len, int64_t moment_ms);

/* One change, as read; the texts are borrowed from the bytes. */
struct journal_change {
  char op;            /* 'p', 'e' or 'l' */
  const char *bucket; /* not NUL-terminated */
  size_t bucket_len;
  const char *key; /* or the pattern */
  size_t key_len;
  const char *json; /* 'p' */
  size_t json_len;
  int64_t time_ms; /* 'p': expiry; 'l': moment */
};

struct journal_reader {
  const unsigned char *at, *end;
  const char *bucket;
  size_t bucket_len;
  uint64_t epoch;
  bool broken; /* the bytes are not a group: nothing more can be read */
};

void journal_read(struct journal_reader *reader, const void *bytes, size_t len);
bool journal_next(struct journal_reader *reader,
                  struct journal_change *change); /* false: the end, or broken */

#endif
