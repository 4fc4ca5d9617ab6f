/* One store: opened bottom-up, closed top-down. */
#include "store/store.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "store/disk.h"
#include "store/schema.h"
#include "store/start.h"
#include "store/store_parts.h"

/* A loop waits no longer for the disk than this, as far as can be foreseen. */
enum { HERE_US = 2000 };

/* ---- buckets ---- */

static struct bucket *new_bucket(struct store *store, const char *name) {
  struct bucket *bucket = mem_zero(sizeof *bucket);
  if (!bucket) return NULL;
  memcpy(bucket->name, name, strlen(name) + 1);
  map_init(&bucket->entries);
  map_put(&store->buckets, &bucket->link, bucket->name, strlen(name));
  return bucket;
}

enum moonkeep_code store_check_name(const char *name, struct err *err) {
  if (schema_is_bucket_name(name)) return MOONKEEP_OK;
  return err_key(
      err, MOONKEEP_INVALID_KEY, name, strlen(name),
      "\"%.80s\" cannot be the name of a store: it is a letter followed by at most 62 letters, digits or "
      "`_`, and does not begin with `sqlite_`",
      name);
}

enum moonkeep_code store_bucket(struct store *store, const char *name, struct bucket **out, struct err *err) {
  struct map_link *link = map_find(&store->buckets, name, strlen(name));
  *out = link ? list_of(link, struct bucket, link) : NULL;
  if (*out && !(*out)->strange) return MOONKEEP_OK;
  if (*out) return schema_refuse_stranger(name, err);
  if (store_check_name(name, err)) return err->code;
  enum moonkeep_code code = keys_claim(store, name, err);
  if (code) return code;
  *out = new_bucket(store, name);
  return *out ? MOONKEEP_OK : err_memory(err);
}

const char *bucket_name(const struct bucket *bucket) {
  return bucket->name;
}

static enum moonkeep_code know_bucket(void *ctx, const char *name, struct err *err) {
  struct bucket *bucket = new_bucket(ctx, name);
  if (!bucket) return err_memory(err);
  bucket->exists = true;
  return MOONKEEP_OK;
}

/* What is written to it could never leave the journal. */
static enum moonkeep_code know_stranger(void *ctx, const char *name, struct err *err) {
  struct bucket *bucket = new_bucket(ctx, name);
  if (!bucket) return err_memory(err);
  return bucket->exists = bucket->strange = true, MOONKEEP_OK;
}

static enum moonkeep_code know_buckets(struct store *store, struct err *err) {
  struct buf left_out = {0};
  sqlite3 *db = store->commit.engine.db;
  enum moonkeep_code code = schema_buckets(db, know_bucket, store, err);
  if (!code) code = schema_strangers(db, true, know_stranger, store, err);
  if (!code) code = schema_name_strangers(db, &left_out, err);
  if (left_out.len > 0)
    log_write(store->log, LOG_INFO, "store",
              "%s has tables of other programs, which are no stores and come into no backup: %.300s",
              store->path, buf_text(&left_out));
  buf_deinit(&left_out);
  return code;
}

static void free_bucket(struct map_link *link, void *ctx) {
  struct bucket *bucket = list_of(link, struct bucket, link);
  map_take(&((struct store *)ctx)->buckets, link);
  map_deinit(&bucket->entries);
  mem_free(bucket);
}

/* ---- opening ---- */

#ifndef STORE_LEAST_PAGES
#define STORE_LEAST_PAGES (4 << 20)
#endif

/* What the caller allows the caches to take: a quarter goes to the pages that the writer works on, which
 * should hold what a fold of random keys dirties, and need not hold more. */
static void share_cache(struct store *store, size_t bytes) {
  enum { LEAST_PAGES = STORE_LEAST_PAGES, MOST_PAGES = 16 << 20 };
  size_t pages = bytes / 4 < MOST_PAGES ? bytes / 4 : MOST_PAGES;
  store->cache_limit = bytes - pages;
  store->page_bytes = pages > LEAST_PAGES ? pages : LEAST_PAGES;
}

static void free_store(struct store *store) {
  while (!list_empty(&store->ages)) cache_drop(store, list_of(store->ages.next, struct entry, age));
  map_each(&store->buckets, free_bucket, store);
  map_deinit(&store->buckets);
  archiver_close(&store->archiver);
  keeper_close(&store->keeper);
  deed_deinit(&store->deed);
  folder_close(&store->folder);
  buf_deinit(&store->receipt);
  mem_free(store->path);
  mem_free(store);
}

static struct store *new_store(const struct store_options *options) {
  struct store *store = mem_zero(sizeof *store);
  if (!store) return NULL;
  store->clock = options->clock ? options->clock : &clock_system;
  store->log = options->log;
  store->backs_up_edits = options->backs_up_edits || options->backup_every_ms > 0;
  store->value_bytes = options->value_bytes ? options->value_bytes : STORE_VALUE_BYTES;
  share_cache(store, options->cache_bytes ? options->cache_bytes : STORE_CACHE_BYTES);
  store->folder = (struct folder){.fd = -1, .lock_fd = -1};
  list_init(&store->ages);
  list_init(&store->barriers);
  list_init(&store->gates);
  map_init(&store->buckets);
  return store;
}

static bool make_queues(struct store *store) {
  list_init(&store->arrived);
  if (!outbox_init(&store->outbox)) return false;
  if (inbox_init(&store->commit.inbox)) {
    if (inbox_init(&store->reader.inbox)) {
      if (pthread_mutex_init(&store->reader.lock, NULL) == 0) {
        if (mender_init(&store->mender)) return true;
        pthread_mutex_destroy(&store->reader.lock);
      }
      inbox_deinit(&store->reader.inbox);
    }
    inbox_deinit(&store->commit.inbox);
  }
  outbox_deinit(&store->outbox);
  return false;
}

static void free_queues(struct store *store) {
  mender_deinit(&store->mender);
  pthread_mutex_destroy(&store->reader.lock);
  inbox_deinit(&store->reader.inbox);
  inbox_deinit(&store->commit.inbox);
  outbox_deinit(&store->outbox);
}

static void stop(struct inbox *inbox, struct job *job) {
  job->kind = JOB_STOP;
  inbox_put(inbox, job);
}

static void prepare_mender(struct store *store) {
  struct mender *mender = &store->mender;
  mender->commit = &store->commit.inbox;
  mender->outbox = &store->outbox;
  mender->dir = store->deed.dir;
  mender->deed = &store->deed;
  mender->path = store->path;
  mender->clock = store->clock;
  mender->log = store->log;
  mender->seq = &store->commit.last_seq;
}

static bool start_threads(struct store *store) {
  struct commit *commit = &store->commit;
  commit->outbox = store->reader.outbox = &store->outbox;
  commit->folder = &store->folder;
  commit->view = &store->reader.view;
  commit->view_lock = &store->reader.lock;
  commit->cache_bytes = store->cache_limit;
  commit->keeper = &store->keeper;
  commit->archiver = &store->archiver;
  commit->mender = &store->mender;
  commit->clock = store->clock;
  commit->log = store->log;
  store->keeper.outbox = &store->outbox;
  store->keeper.commit = commit;
  store->keeper.archiver = &store->archiver;
  store->keeper.epoch = commit->engine.epoch;
  store->keeper.opened_seq = commit->engine.last_seq;
  atomic_init(&commit->last_seq, commit->engine.last_seq);
  atomic_init(&commit->folded_seq, commit->engine.folded_seq);
  store->durable_seq = commit->engine.last_seq;
  store->next_seq = store->durable_seq + 1;
  view_init(&store->reader.view, store->path, store->clock);
  if (!reader_start(&store->reader)) return false;
  prepare_mender(store);
  if (mender_start(&store->mender)) {
    if (archiver_start(&store->archiver, &commit->engine)) {
      if (keeper_start(&store->keeper)) {
        if (commit_start(commit)) return true;
        keeper_stop(&store->keeper);
      }
      archiver_stop(&store->archiver);
    }
    mender_stop(&store->mender);
  }
  struct job job = {0};
  stop(&store->reader.inbox, &job);
  reader_join(&store->reader);
  return false;
}

/* Opens the file, after whatever has to be restored, and keeps the receipt. */
static enum moonkeep_code start_file(struct store *store, struct err *err) {
  struct engine *engine = &store->commit.engine;
  struct start start = {.folder = &store->folder,
                        .path = store->path,
                        .backups = store->deed.dir,
                        .deed = &store->deed,
                        .archiver = &store->archiver,
                        .cache_bytes = store->page_bytes,
                        .clock = store->clock,
                        .log = store->log};
  enum moonkeep_code code = start_engine(&start, engine, err);
  if (code) return code;
  store->mender.check_now = start.unchecked || start.edit_seq > 0;
  store->mender.edit_seq = start.edit_seq;
  store->backs_up_edits &= start.edit_seq > 0 && store->archiver.mode != STORE_ARCHIVE_OFF;
  code = receipt_load(engine->db, &store->receipt, err);
  if (!code) code = receipt_is_untold(engine->db, &store->receipt_now, err);
  store->receipt_now |= start.restored;
  if (code) engine_close(engine, false, NULL);
  return code;
}

const char *store_receipt(const struct store *store, bool *now) {
  *now = store->receipt_now;
  return store->receipt.len > 0 ? store->receipt.data : "";
}

bool store_wants_reopening(const struct store *store) {
  return store->wants_reopening;
}

void store_receipt_told(struct store *store) {
  struct job *job = mem_zero(sizeof *job);
  store->receipt_now = false;
  if (!job) return;
  job->kind = JOB_TOLD;
  inbox_put(&store->commit.inbox, job);
}

static enum moonkeep_code open_file(struct store *store, struct err *err) {
  struct engine *engine = &store->commit.engine;
  enum moonkeep_code code = start_file(store, err);
  if (code) return code;
  marker_open(&store->commit.marker, &store->folder, engine);
  code = know_buckets(store, err);
  errno = 0;
  if (!code && !make_queues(store))
    code = err_set(err, MOONKEEP_MEMORY, "cannot start the store's threads: %s",
                   errno == EMFILE || errno == ENFILE ? strerror(errno) : "out of memory");
  else if (!code && !start_threads(store)) {
    free_queues(store);
    code = err_set(err, MOONKEEP_MEMORY, "cannot start the store's threads: %s", strerror(errno));
  }
  if (code) {
    marker_close(&store->commit.marker, false);
    engine_close(engine, false, NULL);
  }
  return code;
}

/* Another store's backups are no place for this one's. Where it cannot be found out whose they are, for they
 * may be on a disk that is not well, the store does its work without them, and everything that would use them
 * asks again. Who makes backups takes the folder at once, others when they first put something there. */
static enum moonkeep_code claim_backups(struct store *store, const struct store_options *options,
                                        struct err *err) {
  struct deed *deed = &store->deed;
  bool keeps = options->backup_every_ms > 0;
  struct err ignored; /* the first backup says why it cannot be made */
  if (!deed_init(deed, store->folder.path, options->backups_dir, store->log)) return err_memory(err);
  if (keeps) disk_make_folder(deed->dir, &ignored);
  enum moonkeep_code code = deed_claim(deed, keeps ? DEED_WRITE : DEED_READ, err);
  if (code == MOONKEEP_BUSY || code == MOONKEEP_MEMORY) return code;
  if (code)
    log_write(store->log, LOG_WARN, "backup", "%s; until this is mended there are no backups", err->message);
  return MOONKEEP_OK;
}

enum moonkeep_code store_open(struct store **out, const struct store_options *options, struct err *err) {
  *out = NULL;
  struct store *store = new_store(options);
  if (!store) return err_memory(err);
  enum moonkeep_code code =
      folder_open(&store->folder, options->dir, options->owner, options->lock_wait_ms, err);
  if (!code && !(store->path = folder_file(&store->folder, "appdata.db"))) code = err_memory(err);
  if (!code) code = claim_backups(store, options, err);
  if (!code && !keeper_open(&store->keeper, store->folder.path, &store->deed, options->backup_every_ms,
                            store->clock, store->log))
    code = err_memory(err);
  if (!code && !archiver_open(&store->archiver, options->archive, &store->deed, store->clock, store->log))
    code = err_memory(err);
  if (!code) code = open_file(store, err);
  if (code)
    free_store(store);
  else
    *out = store;
  return code;
}

/* ---- closing ---- */

static void forget(struct store_backup *request, const struct store_backup_state *made,
                   const struct err *err) {
  (void)request, (void)made, (void)err; /* the log has it */
}

/* What other programs have changed is not in the archive, nor is what comes after it of any use there without
 * a backup in between. The keeper makes one, unless all is over before it has looked. */
static void back_up_edits(struct store *store) {
  struct store_backup request = {.done = forget};
  struct store_backup_state state;
  struct err ignored;
  store_backup_state(store, &state);
  if (!store->backs_up_edits || state.at_ms >= store->keeper.opened_ms) return;
  if (store_backup(store, &request, &ignored)) return;
  while (store->pending > 0) store_wait(store, -1);
}

enum moonkeep_code store_close(struct store *store, struct err *err) {
  back_up_edits(store);
  store->closing = true;
  keeper_stop(&store->keeper);
  mender_stop(&store->mender);
  while (store->pending > 0) store_wait(store, -1);
  group_close(store);
  struct job *commit_stop = mem_zero(sizeof *commit_stop), reader_stop = {0};
  struct job spare = {0};
  stop(&store->commit.inbox, commit_stop ? commit_stop : &spare);
  commit_join(&store->commit);
  archiver_stop(&store->archiver);
  stop(&store->reader.inbox, &reader_stop);
  reader_join(&store->reader);
  struct err ignored;
  bool broken = store->commit.broken;
  enum moonkeep_code code = broken ? MOONKEEP_OK : engine_finish(&store->commit.engine, err ? err : &ignored);
  store->commit.marker.mark.faulty = atomic_load(&store->mender.faulty);
  /* In this order: an empty log beside a mark that says nothing of a stop is one that was cut short, while a
   * log that is gone was taken away by another program. */
  marker_close(&store->commit.marker, !code && !broken);
  engine_close(&store->commit.engine, false, &ignored);
  if (!code && broken)
    code = err_set(err, MOONKEEP_IO,
                   "the store was closed after a disk error; its last changes are in the journal and will be "
                   "taken over when it is opened again");
  struct list left;
  list_init(&left);
  list_join(&left, &store->arrived);
  outbox_take_all(&store->outbox, &left);
  for (struct list *link; (link = list_pop(&left));) {
    struct job *job = list_of(link, struct job, link);
    if (job->kind == JOB_MEND)
      mend_job_free(list_of(job, struct mend_job, job));
    else if (job != &spare)
      mem_free(job); /* stops and notes: every call has been answered */
  }
  free_queues(store);
  free_store(store);
  return code;
}

/* ---- the loop's side ---- */

size_t store_value_limit(const struct store *store) {
  return store->value_bytes;
}

int64_t store_now_ms(const struct store *store) {
  return clock_wall_ms(store->clock);
}

int store_fd(const struct store *store) {
  return store->outbox.fd;
}

size_t store_pending(const struct store *store) {
  return store->pending;
}

bool store_pump_until(struct store *store, int64_t until_us) {
  outbox_take_all(&store->outbox, &store->arrived);
  for (struct list *link; (link = list_pop(&store->arrived));) {
    front_take_in(store, list_of(link, struct job, link));
    if (until_us && clock_ticks_us() >= until_us) break;
  }
  cache_trim(store);
  return !list_empty(&store->arrived);
}

void store_pump(struct store *store) {
  store_pump_until(store, 0);
}

/* While callers go on calling, waiting for more of them is worth as long as a commit takes: from then on the
 * disk and the callers work side by side. */
void store_kick(struct store *store, bool busy) {
  if (store->inflight > 0 || !store->open) return;
  if (busy && clock_ticks_us() - store->free_us < store->took_us) return;
  group_hand_over(store);
}

static bool commit_and_answer(struct store *store) {
  if (!group_commit_here(store)) return false;
  store_pump(store);
  return true;
}

bool store_commit_here(struct store *store) {
  return store->pending == 1 && store->took_us < HERE_US && commit_and_answer(store);
}

bool store_wait(struct store *store, int timeout_ms) {
  if (timeout_ms < 0 && commit_and_answer(store)) return true;
  store_kick(store, false);
  struct pollfd poll_fd = {.fd = store->outbox.fd, .events = POLLIN};
  int n;
  bool left = !list_empty(&store->arrived);
  while ((n = poll(&poll_fd, 1, left ? 0 : timeout_ms)) < 0 && errno == EINTR) {}
  if (n > 0 || left) store_pump(store);
  return n > 0 || left;
}
