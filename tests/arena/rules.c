#include "rules.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* ---- events: what the arena tells the scripts ---- */

__attribute__((format(printf, 4, 5))) static void emit(struct rules *rules,
                                                       void (*done)(void *ctx, const char *errors), void *ctx,
                                                       const char *format, ...) {
  char json[LINE_BYTES];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(json, sizeof json, format, args);
  va_end(args);
  if (len < LINE_BYTES) moonkeep_emit(rules->host, json, (size_t)len, done, ctx);
}

void rules_joined(struct rules *rules, const struct player *player) {
  emit(rules, NULL, NULL, "{\"event\":\"joined\",\"player\":\"%s\"}", player->name);
}

static void on_judged(void *ctx, const char *errors) {
  struct rules *rules = ctx;
  (void)errors; /* they are in the log, with line and traceback */
  rules->judged++;
}

void rules_hit(struct rules *rules, const struct player *by, const struct player *player) {
  rules->hits++;
  emit(rules, on_judged, rules, "{\"event\":\"hit\",\"by\":\"%s\",\"player\":\"%s\",\"distance\":%.2f}",
       by->name, player->name, (double)world_distance(by, player));
}

/* A request on its way through the scripts. One that no script has answered when all have finished was in
 * vain: nobody knows the word, or its handler has failed. */
struct request {
  struct rules *rules;
  char player[NAME_BYTES];
  long number;
};

static void on_asked(void *ctx, const char *errors) {
  struct request *request = ctx;
  const struct player *player = world_find(request->rules->world, request->player);
  if (player && player->answered < request->number) {
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "told %s %ld", strcmp(errors, "[]") == 0 ? "unknown" : "failed",
             request->number);
    wire_tell(request->rules->socket, player, line);
  }
  free(request);
}

/* Only what needs no escape in JSON gets through. */
static bool is_plain(const char *words) {
  for (const char *at = words; *at; at++)
    if (!isalnum((unsigned char)*at) && !strchr(" -", *at)) return false;
  return strlen(words) < LINE_BYTES / 2;
}

void rules_ask(struct rules *rules, const struct player *player, const char *words) {
  char word[NAME_BYTES];
  long number;
  int arguments = 0;
  if (!is_plain(words) || sscanf(words, "%ld %15s %n", &number, word, &arguments) != 2) return;
  struct request *request = malloc(sizeof *request);
  if (!request) return; /* it will be asked again */
  *request = (struct request){.rules = rules, .number = number};
  strcpy(request->player, player->name);
  rules->asks++;
  emit(rules, on_asked, request,
       "{\"event\":\"ask %s\",\"player\":\"%s\",\"number\":%ld,\"arguments\":\"%s\"}", word, player->name,
       number, arguments ? words + arguments : "");
}

/* ---- functions: what the scripts can do, as `require "server.game"` ---- */

/* The next of a call's arguments, as text: ["ann",12] has ann, then 12. The rules send names, numbers and
 * plain ASCII, in which '"' and '\\' alone are escaped. */
static bool argument(const char **args, char *out, size_t size) {
  const char *at = *args + strspn(*args, "[,");
  bool string = *at == '"', any = *at && *at != ']';
  if (string) at++;
  while (*at && size > 1 && (string ? *at != '"' : !strchr(",]", *at))) {
    if (*at == '\\' && at[1]) at++;
    *out++ = *at++;
    size--;
  }
  *out = '\0';
  *args = string && *at ? at + 1 : at;
  return any;
}

/* hurt(player, amount): whether this was the end of him. */
static void game_hurt(void *ctx, struct moonkeep_call *call, const char *args) {
  const struct rules *rules = ctx;
  char name[NAME_BYTES], amount[NAME_BYTES];
  if (!argument(&args, name, sizeof name) || !argument(&args, amount, sizeof amount)) {
    moonkeep_raise(call, MOONKEEP_INVALID, "hurt needs a player and an amount");
    return;
  }
  struct player *player = world_find(rules->world, name); /* who has left feels nothing */
  bool died = player && world_hurt(rules->world, player, atoi(amount));
  moonkeep_return(call, died ? "true" : "false");
}

/* tell(player, text) */
static void game_tell(void *ctx, struct moonkeep_call *call, const char *args) {
  const struct rules *rules = ctx;
  char name[NAME_BYTES], text[LINE_BYTES];
  if (!argument(&args, name, sizeof name) || !argument(&args, text, sizeof text)) {
    moonkeep_raise(call, MOONKEEP_INVALID, "tell needs a player and a text");
    return;
  }
  const struct player *player = world_find(rules->world, name);
  if (player) wire_tell(rules->socket, player, text);
  moonkeep_return(call, NULL);
}

/* answer(player, number, text): to the request with this number. */
static void game_answer(void *ctx, struct moonkeep_call *call, const char *args) {
  const struct rules *rules = ctx;
  char name[NAME_BYTES], number[NAME_BYTES], text[LINE_BYTES], line[LINE_BYTES + 32];
  if (!argument(&args, name, sizeof name) || !argument(&args, number, sizeof number) ||
      !argument(&args, text, sizeof text)) {
    moonkeep_raise(call, MOONKEEP_INVALID, "answer needs a player, a number and a text");
    return;
  }
  struct player *player = world_find(rules->world, name);
  if (player) {
    if (atol(number) > player->answered) player->answered = atol(number);
    snprintf(line, sizeof line, "answer %s %s", number, text);
    wire_tell(rules->socket, player, line);
  }
  moonkeep_return(call, NULL);
}

/* ---- the host ---- */

static void on_log(void *ctx, enum moonkeep_level level, const char *source, const char *text) {
  (void)ctx;
  if (level >= MOONKEEP_INFO) fprintf(stderr, "arena: %s: %s\n", source, text);
}

static void on_changed(void *ctx, const char *script, const char *what) {
  const struct rules *rules = ctx;
  printf("%s %s at tick %ld\n", script, what, rules->world->tick);
}

/* The scripts are not loaded yet: when they are, what they require is there. */
static void prepare(void *ctx, struct moonkeep_host *host) {
  static const struct moonkeep_entry game[] = {
      {"hurt", game_hurt}, {"tell", game_tell}, {"answer", game_answer}};
  struct moonkeep_error error;
  if (moonkeep_provide_module(host, "server.game", game, sizeof game / sizeof *game, ctx, &error))
    fprintf(stderr, "arena: %s\n", error.message);
}

int rules_open(struct rules *rules, const char *data, const char *scripts, struct world *world, int socket) {
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = data,
                                     .scripts = scripts,
                                     .name = "the arena",
                                     .watch = 1,
                                     .budget_signal = MOONKEEP_ANY_SIGNAL,
                                     .lock_wait_ms = 5000,
                                     .ctx = rules,
                                     .log = on_log,
                                     .changed = on_changed,
                                     .prepare = prepare};
  struct moonkeep_error error;
  *rules = (struct rules){.world = world, .socket = socket};
  if (moonkeep_open(&rules->host, &options, &error)) {
    fprintf(stderr, "arena: %s\n", error.message);
    return -1;
  }
  /* For `moonkeep status --data DATA`, `console`, `logs` and the like; the game goes on without. */
  if (moonkeep_listen(rules->host, NULL, &error)) fprintf(stderr, "arena: %s\n", error.message);
  return 0;
}

void rules_close(struct rules *rules) {
  struct moonkeep_error error;
  if (moonkeep_close(rules->host, &error)) fprintf(stderr, "arena: %s\n", error.message);
}
