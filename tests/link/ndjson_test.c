/* Events on their way in, where the host cannot keep up. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/temp.h"
#include "link/ndjson.h"

enum { EVENTS = 60000, STILL_TURNS = 1000 };

/* Watches the line for the store, and lets the disk go on when it has not changed for many turns of the loop.
 */
struct watch {
  uv_idle_t idle;
  struct host *host;
  size_t slowed, most;
  int still;
};

static void look(uv_idle_t *idle) {
  struct watch *watch = idle->data;
  size_t slowed = host_slowed(watch->host);
  watch->still = slowed == watch->slowed && slowed > 0 ? watch->still + 1 : 0;
  watch->slowed = slowed;
  if (slowed > watch->most) watch->most = slowed;
  if (watch->still < STILL_TURNS) return;
  fault_release();
  uv_idle_stop(idle);
}

static int write_events(const char *path) {
  FILE *file = fopen(path, "w");
  for (int i = 0; i < EVENTS; i++) fprintf(file, "{\"event\":\"look\",\"n\":%d}\n", i);
  fclose(file);
  return open(path, O_RDONLY | O_CLOEXEC);
}

static struct host *open_host(const char *dir, struct ndjson *ndjson) {
  struct err err;
  struct host *host;
  const char *scripts = temp_path(dir, "scripts");
  CHECK(mkdir(scripts, 0700) == 0);
  temp_write(temp_path(scripts, "bot.lua"), "local looked = 0\n"
                                            "bot.on('look', function(event) bot.spawn(function()\n"
                                            "  appData:get('k' .. event.n)\n"
                                            "  looked = looked + 1\n"
                                            "  if looked == 60000 then bot.act{action = 'all'} end\n"
                                            "end) end)\n");
  struct host_options options = {.store = {.dir = temp_path(dir, "data"), .owner = "a test"},
                                 .scripts_dir = scripts,
                                 .listener = ndjson_listener(ndjson)};
  if (host_open(&host, &options, &err)) FAIL("%s", err.message);
  return host;
}

/* Each event is done at once and leaves a task behind, which calls the store while its disk stands still. */
TEST(no_more_events_are_read_while_the_line_for_the_store_is_long) {
  const char *dir = temp_dir();
  struct ndjson *ndjson;
  struct err err;
  fault_install();
  CHECK(ndjson_new(&ndjson, NULL, &err) == MOONKEEP_OK);
  struct watch watch = {.host = open_host(dir, ndjson)};
  fault_hold_read();
  uv_idle_init(host_loop(watch.host), &watch.idle);
  watch.idle.data = &watch;
  uv_idle_start(&watch.idle, look);
  int in = write_events(temp_path(dir, "in")),
      out = open(temp_path(dir, "out"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ndjson_open(ndjson, watch.host, in, out);
  host_run(watch.host);
  ndjson_close(ndjson);
  CHECK(host_close(watch.host, &err) == MOONKEEP_OK);
  CHECK_INT(ndjson_finish(ndjson, -1, NULL), 0);
  char *said = temp_read(temp_path(dir, "out"), NULL);
  CHECK_STR(said, "{\"script\":\"bot\",\"action\":\"all\"}\n");
  free(said);
  /* While the tasks of the first events are ready, and not yet in line, half as many are read again. */
  if (watch.most > NDJSON_SLOWED + 2 * NDJSON_EVENTS) FAIL("%zu tasks stood in line", watch.most);
}
