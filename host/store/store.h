/* The store of one data folder: string keys and JSON values in named buckets, kept in one SQLite file.
 *
 * The life of a store: store_open takes the folder (one process owns it), brings the file to today's schema
 * and starts two threads; calls are made with store_submit; store_close lets what is under way finish, writes
 * everything into the tables and gives the folder back.
 *
 * Everything here belongs to one thread, the host thread, unless it says otherwise. The store's own threads
 * do the waiting: when they have answers, store_fd becomes readable, and store_pump hands the answers out.
 * Nothing here waits for the disk except store_open, store_commit_here, store_wait and store_close.
 *
 * Order: each call gets its place in one order when its key's value is known, and calls on one key keep the
 * order in which they were submitted. What a call answers is durable: see CONTRACT "Order and durability". */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"

/* The last moment that a key may expire at, in milliseconds since 1970: it is in the year 33658, and what is
 * more counts something else. In seconds it is what they must not be above, for more can only be
 * milliseconds, of 2001 and later. The end of the year 9999, which some write for never, is less. */
#define STORE_LAST_EXPIRY_MS INT64_C(1000000000000000)

enum {
  STORE_KEY_BYTES = 1024,       /* the longest key */
  STORE_PATTERN_BYTES = 4096,   /* the longest pattern */
  STORE_NAME_BYTES = 63,        /* the longest name of a bucket */
  STORE_VALUE_BYTES = 4 << 20,  /* the longest value, as JSON, where the options say nothing */
  STORE_LIST_BYTES = 16 << 20,  /* the most that one list of rows may hold, keys and JSON together */
  STORE_CACHE_BYTES = 64 << 20, /* what the cache may take, where the options say nothing */
  STORE_CALLS = 64 << 10,       /* calls under way, above which more are refused */
  STORE_CALLS_BYTES = 64 << 20, /* the same of what they carry: keys, values, themselves */
};

/* What may be under way before those who can wait should: enough to keep the disk busy, and no more. */
#ifndef STORE_ROOM_CALLS
#define STORE_ROOM_CALLS 8192
#endif
#ifndef STORE_ROOM_BYTES
#define STORE_ROOM_BYTES (8 << 20)
#endif

struct store;
struct bucket; /* a named store, such as appData; lives as long as the store */

enum store_archive { /* whether each change is also written into the archive beside the backups */
                     STORE_ARCHIVE_OFF,
                     STORE_ARCHIVE_ON,   /* within about a second */
                     STORE_ARCHIVE_SYNC, /* before it is acknowledged */
};

struct store_options {
  const char *dir;    /* the data folder; made when it is missing (with its parents) */
  const char *owner;  /* who we are, for the process that finds the folder taken: "moonkeep run bots" */
  size_t cache_bytes; /* 0: STORE_CACHE_BYTES */
  size_t value_bytes; /* 0: STORE_VALUE_BYTES */
  int lock_wait_ms;   /* how long to wait for another process to let go of the folder */
  const char
      *backups_dir; /* where the backups are, of this store alone; NULL: `backups` in the data folder */
  int64_t backup_every_ms; /* how often one is made where something has changed; 0: only by store_backup */
  bool backs_up_edits;     /* and before store_close where other programs have changed something */
  enum store_archive archive;
  const struct clock *clock; /* NULL: the system's; borrowed until store_close */
  const struct log
      *log; /* NULL: silent; borrowed until store_close; written to from the store's threads too */
};

/* Opens or creates the store. Errors: busy (another process has the folder, or another store has its backups
 * in backups_dir; the message says which), invalid (the folder is a file, or the store file is not ours, or
 * from a newer moonkeep), corrupt, full, io, memory.
 */
enum moonkeep_code store_open(struct store **out, const struct store_options *options, struct err *err);

/* The receipt of the last restore or repair, as JSON, "" where there was none; borrowed until store_close or
 * the next repair. *now: it was made since store_open, or nobody has said store_receipt_told of it. What
 * `restored` tells scripts, and `status` people. */
const char *store_receipt(const struct store *store, bool *now);

/* Scripts have been told of it. */
void store_receipt_told(struct store *store);

/* The structure of the file is damaged, which is mended only when the store is opened; and backup and archive
 * have everything, so that nothing will be missing then. Who can close it and open it anew does so. */
bool store_wants_reopening(const struct store *store);

/* Finishes what has been submitted (their `done` is called), refuses what comes after with closed, folds,
 * checkpoints and frees. An error is what could not be finished; the store is freed all the same. */
enum moonkeep_code store_close(struct store *store, struct err *err);

/* The bucket of this name. Only writing makes it come into being. invalid_key: not a letter and at most 62
 * letters, digits or `_`; one that begins with `sqlite_`; one that differs from an existing bucket's only in
 * case. */
enum moonkeep_code store_bucket(struct store *store, const char *name, struct bucket **out, struct err *err);
const char *bucket_name(const struct bucket *bucket);

size_t store_value_limit(const struct store *store); /* bytes of JSON */
int64_t store_now_ms(const struct store *store);     /* the store's clock, milliseconds since 1970 */

/* ---- values ---- */

/* A value as it is kept: JSON text with its expiry, shared by counting references. Immutable, but for the
 * expiry before it is submitted. Host thread only, though the store's threads read what is in it. */
struct value {
  unsigned refs;
  uint32_t len;          /* of json, without the NUL behind it */
  int64_t expires_at_ms; /* since 1970; 0: never */
  char json[];
};

/* A value of `len` bytes with one reference, the caller's; json may be NULL, then the caller fills it in.
 * NULL: no memory. The text is taken as it is: whoever makes it vouches that it is compact JSON. */
struct value *value_new(const char *json, size_t len, int64_t expires_at_ms);
struct value *value_ref(struct value *value); /* NULL is fine */
void value_free(struct value *value);         /* gives one reference back; NULL is fine */

/* ---- calls ---- */

enum store_op {
  STORE_GET,
  STORE_SET,    /* `rows`: one, or a list that is written whole or not at all */
  STORE_UPDATE, /* `apply` */
  STORE_DELETE,
  STORE_DELETE_LIKE, /* `pattern` */
  STORE_SCAN,        /* `pattern`, `scan` */
  STORE_COMMIT,      /* `rows`: written whole, if what was read of them is still the newest, or not at all */
  STORE_FLUSH,       /* done when everything submitted before is in the tables */
};

enum store_verdict {
  STORE_WRITE, /* the key gets call->value, a reference that `apply` has put there */
  STORE_ERASE, /* the key is deleted */
  STORE_KEEP,  /* nothing is written; call->value becomes the current value */
  STORE_FAIL,  /* nothing is written, and the call fails with call->err, which `apply` has filled */
};

enum store_want { STORE_ROWS, STORE_KEYS, STORE_COUNT };

struct store_row { /* one row of STORE_SET or STORE_COMMIT */
  const char *key; /* borrowed until store_submit returns: a call that has to wait copies its keys */
  size_t key_len;
  struct value *value;   /* the call's reference */
  struct bucket *bucket; /* NULL: the call's */
};

struct store_claim {   /* what STORE_COMMIT says of a row beside; there a value that is NULL erases the key */
  bool read, kept;     /* it has to be what was `seen`; nothing is written to it */
  struct value *seen;  /* the call's reference; NULL: it was absent */
  struct entry *entry; /* the store's own: held while the call waits */
};

struct store_found { /* one row of a scan; the texts stand in call->text */
  size_t key, json;  /* offsets */
  uint32_t key_len, json_len;
  int64_t expires_at_ms;
};

/* One call. Made by store_call_new, filled in, submitted, read, freed: all by the caller, who alone frees it,
 * and not between submit and done. */
struct store_call {
  enum store_op op;
  struct bucket *bucket;
  void (*done)(
      struct store_call *); /* from store_pump, when store_submit had to say false; it may free the call */
  void *ctx;                /* the caller's */

  /* STORE_UPDATE: called once, on the host thread, when the key's newest value is known (NULL: absent or
   * expired), perhaps before store_submit returns. Nothing gets in between. It makes no store call. Expiry:
   * the value that it makes has the one it should get; keep_expiry makes it the current value's, if there is
   * one. */
  enum store_verdict (*apply)(struct store_call *, const struct value *current);
  bool keep_expiry;

  struct store_row
      *rows; /* STORE_SET, STORE_COMMIT: owned by the call once set (mem_alloc); freed with it, values too */
  size_t row_count;
  struct store_claim *claims; /* STORE_COMMIT: one for each row, owned like these */

  const char *pattern; /* STORE_DELETE_LIKE, STORE_SCAN: copied by store_call_pattern */
  size_t pattern_len;
  enum store_want want;
  uint64_t limit; /* STORE_SCAN: rows at most; 0: no limit. A scan that finds over STORE_SCAN_BYTES fails, */
  uint64_t page_bytes; /*   but with page_bytes set it ends early, at a row after that many: page by page */
  bool more;           /* STORE_SCAN: it ended at limit or page_bytes, and there may be more */
  const char
      *after; /* STORE_SCAN: only keys behind this one; NULL: from the start; copied by store_call_after */
  size_t after_len;

  /* The answer. */
  struct err *err;                /* owned; NULL: it went well */
  struct value *value;            /* owned: the value read (get), written (update); NULL: absent */
  bool found;                     /* STORE_DELETE: the key was there; STORE_COMMIT: it was done */
  uint64_t count;                 /* STORE_DELETE_LIKE, STORE_SCAN with STORE_COUNT: how many */
  struct store_found *found_rows; /* owned: STORE_SCAN, in key order (byte order) */
  size_t found_count;
  struct buf text;

  /* The store's own. */
  struct list link;
  struct group *group;
  struct barrier *barrier;
  size_t bytes;   /* that it counts for, while it is under way */
  char *own_keys; /* owned: copies of the rows' keys, of a call that may have to wait */
  uint64_t turn;  /* its place among all calls submitted */
  size_t before;  /* older calls that have to run first */
  unsigned char state;
  bool parked;
  size_t key_len;
  char key[];
};

enum { STORE_SCAN_BYTES = 256 << 20 };

/* A call with a copy of its key (NULL, 0 where the op takes none). NULL: no memory. */
struct store_call *store_call_new(enum store_op op, struct bucket *bucket, const char *key, size_t key_len);
bool store_call_pattern(struct store_call *call, const char *pattern, size_t len); /* false: no memory */
bool store_call_after(struct store_call *call, const char *key, size_t len);       /* false: no memory */
void store_call_free(struct store_call *call);                                     /* NULL is fine */

/* Checks what a caller gives; the store checks again. invalid_key; invalid_pattern. `what` begins the
 * sentence
 * ("appData:get"). */
enum moonkeep_code store_check_key(const char *what, const char *key, size_t len, struct err *err);
enum moonkeep_code store_check_name(const char *name, struct err *err); /* of a bucket; invalid_key */
enum moonkeep_code store_check_pattern(const char *what, const char *pattern, size_t len, struct err *err);

/* Submits a call. True: it is answered already, and `done` will not be called. False: `done` will be.
 * Memory is bounded: above STORE_CALLS or STORE_CALLS_BYTES under way a call fails with busy. Who makes many
 * waits while store_has_room says no, and never comes to that. */
bool store_submit(struct store *store, struct store_call *call);

/* Whether more should be submitted now. When not, answers will come, and with them room. */
bool store_has_room(const struct store *store);

/* A cached value without a call: true when what the key holds durably is known, and then *value is borrowed
 * until the next call on this store (NULL: absent, or expired). */
bool store_peek(struct store *store, struct bucket *bucket, const char *key, size_t len,
                const struct value **value);

/* The newest value, which may not be durable yet, so that only a STORE_COMMIT that has read it may tell of
 * it. False where it is not at hand; a STORE_GET brings it, or one as good: the commit looks whether it still
 * holds. */
bool store_newest(struct store *store, struct bucket *bucket, const char *key, size_t len,
                  const struct value **value);

/* ---- backups ---- */

struct store_backup_state {
  char name[48];     /* of the newest backup, a file in the folder of backups; "": there is none */
  int64_t at_ms;     /* the moment that it holds, since 1970 */
  uint64_t bytes;    /* of the file */
  uint64_t keys;     /* that it holds; 0 where it was not made by this process */
  int64_t until_ms;  /* up to which moment the archive brings it forward; 0: not known, or not at all */
  unsigned failures; /* tries since then that have failed */
  char error[768];   /* why the last one did; "": it did not */
};

/* How it stands with the backups. */
void store_backup_state(struct store *store, struct store_backup_state *state);
const char *store_backups_dir(const struct store *store);
const char *store_dir(const struct store *store); /* the data folder, as an absolute path */

struct store_archive_state {
  enum store_archive mode;
  uint64_t seq;        /* the group up to which it has all that no backup has; 0: it has none */
  int64_t at_ms;       /* when that was, since 1970 */
  size_t behind_bytes; /* that wait to be written */
  char error[256];     /* why it cannot be written, or is of no use; "": all is well */
};

/* How it stands with the archive. */
void store_archive_state(struct store *store, struct store_archive_state *state);

/* The backups of a folder, the newest first; `error` says of one that it cannot even be opened. *out is to be
 * freed with mem_free. Any thread; the store need not be open. */
/* `until`, of the newest, is known where `reach` says so: then the archive is read. */
enum moonkeep_code store_backups(const char *dir, bool reach, struct store_backup_state **out, size_t *count,
                                 struct err *err);

/* Takes a backup now, whether something has changed or not. `done` is called once, from store_pump, with what
 * has been made, or why nothing was (closed: the store is being closed); it may free the request. Valid until
 * it returns. memory: and `done` is not called. */
struct store_backup {
  void (*done)(struct store_backup *, const struct store_backup_state *made, const struct err *err);
};
enum moonkeep_code store_backup(struct store *store, struct store_backup *request, struct err *err);

/* ---- the loop's side ---- */

int store_fd(const struct store *store); /* readable when store_pump has something to do */
void store_pump(struct store *store);    /* hands out answers; never waits; not from `done` or `apply` */
/* As much of that as can be begun before this moment of clock_ticks_us (0: all of it). True: some are left,
 * which store_fd does not tell. */
bool store_pump_until(struct store *store, int64_t until_us);
void store_kick(struct store *store, bool busy); /* sends gathered changes on their way when the disk is free:
                                         call it before the loop goes to sleep */
/* For a thread that may wait for the disk, before it goes to sleep: where a single call is under way, its
 * change is committed at once, on this thread, since nobody else could use the time; unless the disk is slow.
 * True: it is answered. False: store_kick is to be called, as ever. */
bool store_commit_here(struct store *store);
bool store_wait(struct store *store,
                int timeout_ms); /* kicks, waits for answers (-1: for ever) and pumps; false: none came */
size_t store_pending(const struct store *store); /* calls that are not answered yet */

#endif
