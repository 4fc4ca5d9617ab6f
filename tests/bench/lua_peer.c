#include "bench/lua_peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

/* build/tests/bench/tools.so, beside the bench itself. */
static const char *tools_path(void) {
  static char path[1024];
  ssize_t len = readlink("/proc/self/exe", path, sizeof path - 32);
  bench_must(len > 0, "reading /proc/self/exe");
  path[len] = '\0';
  strcpy(strrchr(path, '/'), "/tools.so");
  return path;
}

bool lua_peer_start(struct lua_peer *peer, const struct load *load, char why[128]) {
  char dir[1024], log[1100], command[512];
  int in, out;
  snprintf(why, 128, "%s is not installed", peer->program);
  if (!program_is_there(peer->program)) return false;
  snprintf(command, sizeof command, "%s -e '%s' >/dev/null 2>&1", peer->program,
           peer->probe ? peer->probe : "");
  snprintf(why, 128, "%s has not what it needs: %s", peer->program, peer->probe ? peer->probe : "");
  if (peer->probe && system(command) != 0) return false;
  snprintf(dir, sizeof dir, "%s/%s", load->dir, peer->program);
  snprintf(log, sizeof log, "%s/stderr", dir);
  bench_must(mkdir(dir, 0700) == 0, "making a folder");
  const char *const argv[] = {peer->program, peer->script, dir, tools_path(), NULL};
  peer->pid = server_start(argv, log, &in, &out);
  peer->to = fdopen(in, "w");
  peer->from = fdopen(out, "r");
  bench_must(peer->to && peer->from, "pipes");
  setvbuf(peer->to, NULL, _IOLBF, 0);
  setvbuf(peer->from, NULL, _IONBF, 0); /* the processes that measure share it */
  return true;
}

static void ask(struct lua_peer *peer, const char *line, char *answer, int size) {
  bench_must(fputs(line, peer->to) >= 0 && fflush(peer->to) == 0, "asking a peer");
  bench_must(fgets(answer, size, peer->from) != NULL, peer->script);
}

void lua_peer_fill(struct lua_peer *peer, const struct load *load) {
  char line[64], answer[256];
  snprintf(line, sizeof line, "fill %s %u\n", shape_names[load->shape], load->keys);
  ask(peer, line, answer, sizeof answer);
  bench_must(strcmp(answer, "filled\n") == 0, peer->script);
}

void lua_peer_measure(struct lua_peer *peer, const struct load *load, struct figures *f) {
  char line[128], answer[256];
  workload_line(load, line, sizeof line);
  ask(peer, line, answer, sizeof answer);
  bench_must(sscanf(answer, "%lf %lf %lf %lf %lf %lf %lf %lf", &f->rate, &f->p50, &f->p99, &f->p999,
                    &f->worst, &f->cpu_us, &f->written, &f->memory_mb) == 8,
             peer->script);
}

void lua_peer_stop(struct lua_peer *peer) {
  if (!peer->pid) return;
  fclose(peer->to);
  fclose(peer->from);
  server_stop(peer->pid);
  peer->pid = 0;
}
