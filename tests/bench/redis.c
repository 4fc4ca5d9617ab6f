/* Redis: a server of ours on a Unix socket, and a client in C that has as many calls under way as there are
 * tasks: each answer is followed by the next call, and what can be sent together is. */
#include "bench/bench.h"

#include <stdio.h>
#if __has_include(<hiredis/hiredis.h>)
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One connection: with 2, 4 or 8 it was no faster. */
struct line {
  redisContext *redis;
  int64_t *began_us; /* a ring: of the calls under way, the oldest first */
  unsigned first, under_way, room;
};

static pid_t server;
static char dir[1024], path[1100];

static redisContext *join(void) {
  redisContext *redis = redisConnectUnix(path);
  bench_must(redis && !redis->err, "connecting to Redis");
  return redis;
}

/* One command and its answer. */
static redisReply *ask(redisContext *redis, const char *command) {
  redisReply *reply = redisCommand(redis, command);
  bench_must(reply && reply->type != REDIS_REPLY_ERROR, command);
  return reply;
}

static void rest_a_little(void) {
  nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static bool answers(void) {
  redisContext *redis = redisConnectUnix(path);
  redisReply *reply = redis && !redis->err ? redisCommand(redis, "PING") : NULL;
  bool ok = reply && reply->type == REDIS_REPLY_STATUS;
  if (reply) freeReplyObject(reply);
  if (redis) redisFree(redis);
  return ok;
}

static void stop(void) {
  if (server) server_stop(server);
  server = 0;
}

static bool start(const struct load *load, char why[128]) {
  snprintf(why, 128, "redis-server is not installed");
  if (!program_is_there("redis-server")) return false;
  snprintf(dir, sizeof dir, "%s/redis", load->dir);
  snprintf(path, sizeof path, "%s/socket", dir);
  char log[1100];
  snprintf(log, sizeof log, "%s/log", dir);
  bench_must(mkdir(dir, 0700) == 0, "making a folder");
  const char *const argv[] = {
      "redis-server", "--port",        "0",      "--unixsocket", path, "--dir", dir, "--appendonly",
      "yes",          "--appendfsync", "always", "--save",       "",   NULL};
  server = server_start(argv, log, NULL, NULL);
  for (int i = 0; i < 1000 && !answers(); i++) rest_a_little();
  snprintf(why, 128, "redis-server does not start (see its log)");
  if (answers()) return true;
  stop();
  return false;
}

/* ---- what is sent ---- */

static void append(redisContext *redis, int count, const char *const words[], const size_t lengths[]) {
  bench_must(redisAppendCommandArgv(redis, count, (const char **)(uintptr_t)words, lengths) == REDIS_OK,
             "a command");
}

static void append_set(redisContext *redis, const char *key, enum shape shape, long n) {
  char value[VALUE_BYTES];
  int len = workload_value(shape, n, value, sizeof value);
  append(redis, 3, (const char *[]){"SET", key, value}, (size_t[]){3, KEY_BYTES, (size_t)len});
}

static void append_next(redisContext *redis, const struct load *load) {
  char key[KEY_BYTES + 1];
  switch (workload_next(key)) {
  case READ: append(redis, 2, (const char *[]){"GET", key}, (size_t[]){3, KEY_BYTES}); return;
  case WRITE: append_set(redis, key, load->shape, workload_turn()); return;
  case CHANGE: break;
  }
  if (strcmp(load->op, "incr") == 0) {
    append(redis, 2, (const char *[]){"INCR", key}, (size_t[]){4, KEY_BYTES});
    return;
  }
  const char *name = shape_names[load->shape];
  append(redis, 4, (const char *[]){"FCALL", name, "1", key}, (size_t[]){5, strlen(name), 1, KEY_BYTES});
}

static void send_all(redisContext *redis) {
  for (int done = 0; !done;) bench_must(redisBufferWrite(redis, &done) == REDIS_OK, "sending");
}

static void load_function(redisContext *redis) {
  static char shapes[8192], functions[8192], code[20000];
  FILE *file = fopen("tests/bench/scripts/lib/shapes.lua", "r");
  bench_must(file && fread(shapes, 1, sizeof shapes - 1, file) > 0, "reading shapes.lua");
  fclose(file);
  file = fopen("tests/bench/peers/redis.lua", "r");
  bench_must(file && fread(functions, 1, sizeof functions - 1, file) > 0, "reading redis.lua");
  fclose(file);
  snprintf(code, sizeof code, "#!lua name=bench\nlocal shapes = (function()\n%s\nend)()\n%s", shapes,
           functions);
  redisReply *reply = redisCommand(redis, "FUNCTION LOAD REPLACE %s", code);
  bench_must(reply && reply->type != REDIS_REPLY_ERROR, reply ? reply->str : "loading the function");
  freeReplyObject(reply);
}

static void fill(const struct load *load) {
  char key[KEY_BYTES + 1];
  redisContext *redis = join();
  load_function(redis);
  for (unsigned i = 0; i < load->keys; i += 1000) {
    for (unsigned j = i; j < i + 1000; j++) {
      workload_name(j, key);
      append_set(redis, key, load->shape, 0);
    }
    for (unsigned j = 0; j < 1000; j++) {
      void *reply;
      bench_must(redisGetReply(redis, &reply) == REDIS_OK, "filling");
      freeReplyObject(reply);
    }
  }
  redisFree(redis);
}

/* ---- what is measured ---- */

/* Adds calls until the line has all of its own under way, or the time is over. */
static void top_up(struct line *line, const struct load *load) {
  for (; line->under_way < line->room && !workload_over(); line->under_way++) {
    line->began_us[(line->first + line->under_way) % line->room] = workload_now_us();
    append_next(line->redis, load);
  }
  send_all(line->redis);
}

static void take_answers(struct line *line) {
  redisReply *reply;
  bench_must(redisBufferRead(line->redis) == REDIS_OK, "an answer");
  while (redisGetReplyFromReader(line->redis, (void **)&reply) == REDIS_OK && reply) {
    bench_must(reply->type != REDIS_REPLY_ERROR, reply->str);
    freeReplyObject(reply);
    workload_answered(line->began_us[line->first], 1);
    line->first = (line->first + 1) % line->room;
    line->under_way--;
  }
}

static double number_in(const char *info, const char *name) {
  const char *at = strstr(info, name);
  return at ? atof(at + strlen(name)) : 0;
}

static double size_of(const char *name) {
  char file[1200];
  struct stat st;
  snprintf(file, sizeof file, "%s/%s", dir, name);
  return stat(file, &st) == 0 ? (double)st.st_size : 0;
}

/* Bytes that the server's children have written so far, as nobody else counts them: rewritten logs and
 * snapshots. Waits until none is at work. */
static double children_wrote(redisContext *redis) {
  for (;; rest_a_little()) {
    redisReply *info = ask(redis, "INFO persistence");
    bool busy = number_in(info->str, "rdb_bgsave_in_progress:") > 0 ||
                number_in(info->str, "aof_rewrite_in_progress:") > 0 ||
                number_in(info->str, "aof_rewrite_scheduled:") > 0;
    double bytes = number_in(info->str, "aof_rewrites:") * number_in(info->str, "aof_base_size:") +
                   number_in(info->str, "rdb_saves:") * size_of("dump.rdb");
    freeReplyObject(info);
    if (!busy) return bytes;
  }
}

static void measure(const struct load *load, struct figures *figures) {
  redisContext *besides = join();
  double before = children_wrote(besides);
  struct line line = {.redis = join(), .room = load->tasks};
  line.began_us = calloc(line.room, sizeof *line.began_us);
  bench_must(line.began_us != NULL, "memory");
  workload_start(load, server);
  for (top_up(&line, load); line.under_way > 0; top_up(&line, load)) {
    take_answers(&line);
    /* After the rewriting of its log, where one is under way. */
    if (workload_backup()) freeReplyObject(ask(besides, "BGSAVE SCHEDULE"));
  }
  workload_stop(figures);
  workload_settled(figures, children_wrote(besides) - before);
}

static bool is_update(const struct load *load) {
  return load->op[0] == 'u' && load->shape == COUNTER;
}

/* The same with Redis's own command in place of a function. */
static void measure_incr(const struct load *load, struct figures *figures) {
  struct load incr = *load;
  incr.op = "incr";
  measure(&incr, figures);
}
#else
static bool start(const struct load *load, char why[128]) {
  (void)load;
  snprintf(why, 128, "the bench was built without libhiredis-dev");
  return false;
}
/* What is not there is asked nothing. */
static void fill(const struct load *load) {
  (void)load;
}
static void measure(const struct load *load, struct figures *figures) {
  (void)load, (void)figures;
}
static void measure_incr(const struct load *load, struct figures *figures) {
  (void)load, (void)figures;
}
static bool is_update(const struct load *load) {
  (void)load;
  return false;
}
static void stop(void) {}
#endif

const struct side redis_side = {
    .name = "Redis",
    .settings = "appendonly yes, appendfsync always, which is what durable before acknowledged takes; save "
                "\"\", since a log is kept; a Unix socket, the fastest way in; one connection with as many "
                "calls under way as there are tasks; everything else as it comes; an update is FCALL of a "
                "function that decodes, computes, encodes",
    .start = start,
    .fill = fill,
    .measure = measure,
    .stop = stop,
};

const struct side incr_side = {
    .name = "INCR",
    .settings = "the same server, with its own command INCR in place of a function",
    .can = is_update,
    .measure = measure_incr,
};
