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

static void killed(struct rules *rules, const char *by, const char *player) {
  emit(rules, NULL, NULL, "{\"event\":\"killed\",\"by\":\"%s\",\"player\":\"%s\"}", by, player);
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

/* ---- actions: what the scripts want done ---- */

/* The field of a flat JSON object, as text. The rules send names, numbers and plain ASCII: nothing is escaped
 * in them but '"' and '\\'. */
static bool field(const char *json, const char *name, char *out, size_t size) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "\"%s\":", name);
  const char *at = strstr(json, quoted);
  if (!at) return false;
  at += strlen(quoted);
  bool string = *at == '"';
  if (string) at++;
  while (*at && size > 1 && (string ? *at != '"' : !strchr(",}", *at))) {
    if (*at == '\\' && at[1]) at++;
    *out++ = *at++;
    size--;
  }
  *out = '\0';
  return true;
}

static long number_field(const char *json, const char *name) {
  char text[32];
  return field(json, name, text, sizeof text) ? strtol(text, NULL, 10) : 0;
}

static void on_hurt(struct rules *rules, struct player *player, const char *json) {
  char by[NAME_BYTES];
  if (field(json, "by", by, sizeof by) && world_hurt(rules->world, player, (int)number_field(json, "amount")))
    killed(rules, by, player->name);
}

static void on_tell(struct rules *rules, struct player *player, const char *json) {
  char text[LINE_BYTES];
  if (field(json, "text", text, sizeof text)) wire_tell(rules->socket, player, text);
}

static void on_answer(struct rules *rules, struct player *player, const char *json) {
  char text[LINE_BYTES], line[LINE_BYTES + 32];
  if (!field(json, "text", text, sizeof text)) return;
  long number = number_field(json, "number");
  if (number > player->answered) player->answered = number;
  snprintf(line, sizeof line, "answer %ld %s", number, text);
  wire_tell(rules->socket, player, line);
}

static void on_action(void *ctx, const char *json, size_t len) {
  static const struct {
    const char *name;
    void (*act)(struct rules *rules, struct player *player, const char *json);
  } actions[] = {{"hurt", on_hurt}, {"tell", on_tell}, {"answer", on_answer}};
  struct rules *rules = ctx;
  char name[NAME_BYTES], player_name[NAME_BYTES];
  (void)len;
  if (!field(json, "action", name, sizeof name) || !field(json, "player", player_name, sizeof player_name))
    return;
  struct player *player = world_find(rules->world, player_name);
  for (size_t i = 0; player && i < sizeof actions / sizeof *actions; i++)
    if (strcmp(actions[i].name, name) == 0) actions[i].act(rules, player, json);
}

/* ---- the host ---- */

static void on_log(void *ctx, enum moonkeep_level level, const char *source, const char *text) {
  (void)ctx;
  if (level >= MOONKEEP_INFO) fprintf(stderr, "arena: %s: %s\n", source, text);
}

static void on_changed(void *ctx, const char *script, const char *what) {
  struct rules *rules = ctx;
  rules->reloads++;
  printf("%s %s at tick %ld\n", script, what, rules->world->tick);
}

int rules_open(struct rules *rules, const char *data, const char *scripts, struct world *world, int socket) {
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = data,
                                     .scripts = scripts,
                                     .name = "the arena",
                                     .watch = 1,
                                     .lock_wait_ms = 5000,
                                     .ctx = rules,
                                     .log = on_log,
                                     .action = on_action,
                                     .changed = on_changed};
  struct moonkeep_error error;
  *rules = (struct rules){.world = world, .socket = socket};
  if (moonkeep_open(&rules->host, &options, &error) == MOONKEEP_OK) return 0;
  fprintf(stderr, "arena: %s\n", error.message);
  return -1;
}

void rules_close(struct rules *rules) {
  struct moonkeep_error error;
  if (moonkeep_close(rules->host, &error)) fprintf(stderr, "arena: %s\n", error.message);
}
