/* Backups, as the host thread asks for them. */
#include <string.h>

#include "base/mem.h"
#include "store/store_parts.h"

enum moonkeep_code store_backup(struct store *store, struct store_backup *request, struct err *err) {
  if (store->closing) return err_set(err, MOONKEEP_CLOSED, "the store has been closed");
  struct backup_job *backup = mem_zero(sizeof *backup);
  if (!backup) return err_memory(err);
  backup->job.kind = JOB_BACKUP;
  backup->request = request;
  store->pending++;
  group_hand_over(store); /* what was called before is in it, once it is durable */
  inbox_put(&store->keeper.inbox, &backup->job);
  return MOONKEEP_OK;
}

void backup_take_in(struct store *store, struct backup_job *backup) {
  struct store_backup_state made = {
      .at_ms = backup->snapshot.at_ms, .bytes = backup->snapshot.bytes, .keys = backup->snapshot.keys};
  memcpy(made.name, backup->snapshot.name, sizeof backup->snapshot.name);
  store->pending--;
  backup->request->done(backup->request, &made, backup->job.err);
  job_err_free(backup->job.err);
  mem_free(backup);
}

static void describe(const char *dir, const struct snapshot *snapshot, bool reach,
                     struct store_backup_state *state) {
  struct buf path = {0};
  struct err err;
  struct snapshot read = {0};
  buf_printf(&path, "%s/%s", dir, snapshot->name);
  *state = (struct store_backup_state){.at_ms = snapshot->at_ms, .bytes = snapshot->bytes};
  memcpy(state->name, snapshot->name, sizeof snapshot->name);
  if (path.failed)
    err_memory(&err);
  else if (!snapshot_describe(buf_text(&path), &read, &err))
    err.message[0] = '\0';
  memcpy(state->error, err.message, sizeof state->error);
  state->keys = read.keys;
  uint64_t seq;
  if (reach && !state->error[0] && archive_reach(dir, read.epoch, read.seq, &seq, &state->until_ms, &err))
    state->until_ms = 0;
  buf_deinit(&path);
}

enum moonkeep_code store_backups(const char *dir, bool reach, struct store_backup_state **out, size_t *count,
                                 struct err *err) {
  struct snapshot *all;
  *out = NULL;
  enum moonkeep_code code = snapshot_list(dir, &all, count, err);
  if (code || *count == 0) return code;
  *out = mem_alloc(*count * sizeof **out);
  for (size_t i = 0; *out && i < *count; i++) describe(dir, &all[i], reach && i == 0, &(*out)[i]);
  mem_free(all);
  return *out ? MOONKEEP_OK : err_memory(err);
}

void store_backup_state(struct store *store, struct store_backup_state *state) {
  pthread_mutex_lock(&store->keeper.state_lock);
  *state = store->keeper.state;
  pthread_mutex_unlock(&store->keeper.state_lock);
}

const char *store_backups_dir(const struct store *store) {
  return store->deed.dir;
}

const char *store_dir(const struct store *store) {
  return store->folder.path;
}

void store_archive_state(struct store *store, struct store_archive_state *state) {
  archiver_state(&store->archiver, state);
}
