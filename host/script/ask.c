#include "script/ask.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "script/event.h"
#include "script/look.h"

struct ask {
  struct scripts *scripts;
  struct list places; /* one for each bot, in order of name */
  size_t open;        /* of them have no result yet, and one for scripts_reload itself */
  void (*done)(void *ctx, const char *json, size_t len);
  void *ctx;
};

struct place {
  struct list link;     /* in ask->places */
  struct list bot_link; /* in bot->asks, until there is a result */
  struct ask *ask;
  struct buf result; /* a JSON object */
};

static void put_results(struct ask *ask, struct buf *out) {
  buf_putc(out, '[');
  for (struct list *node; (node = list_pop(&ask->places));) {
    struct place *place = list_of(node, struct place, link);
    if (out->len > 1) buf_putc(out, ',');
    buf_add(out, place->result.data, place->result.len);
    out->failed |= place->result.failed;
    buf_deinit(&place->result);
    mem_free(place);
  }
  buf_putc(out, ']');
}

static void give_back(struct ask *ask) {
  if (--ask->open > 0) return;
  struct buf results = {0};
  put_results(ask, &results);
  if (results.failed)
    ask->done(ask->ctx, "[]", 2);
  else
    ask->done(ask->ctx, results.data, results.len);
  buf_deinit(&results);
  mem_free(ask);
}

static void put_result(struct buf *out, const char *name, const char *result, const char *why) {
  buf_puts(out, "{\"script\":");
  json_put_string(out, name, strlen(name));
  buf_printf(out, ",\"result\":\"%s\"", result);
  if (why) {
    buf_puts(out, ",\"error\":");
    event_put_text(out, why);
  }
  buf_putc(out, '}');
}

void ask_answer(struct bot *bot, const char *result, const char *why) {
  for (struct list *node; (node = list_pop(&bot->asks));) {
    struct place *place = list_of(node, struct place, bot_link);
    put_result(&place->result, bot->name, result, why);
    give_back(place->ask);
  }
}

bool ask_waits(const struct bot *bot) {
  return !list_empty(&bot->asks);
}

static bool take_place(struct ask *ask, struct bot *bot) {
  struct place *place = mem_zero(sizeof *place);
  if (!place) return false;
  place->ask = ask;
  list_add(&ask->places, &place->link);
  list_add(&bot->asks, &place->bot_link);
  ask->open++;
  return true;
}

static struct ask *ask_new(struct scripts *scripts, void (*done)(void *ctx, const char *json, size_t len),
                           void *ctx) {
  struct ask *ask = mem_zero(sizeof *ask);
  if (!ask) return NULL;
  *ask = (struct ask){.scripts = scripts, .open = 1, .done = done, .ctx = ctx};
  list_init(&ask->places);
  return ask;
}

/* "greet.lua" is "greet" too. */
static bool is_meant(const struct bot *bot, const char *name) {
  return !name || strcmp(bot->name, name) == 0 || strcmp(bot->file, name) == 0;
}

static size_t take_places(struct ask *ask, const char *name) {
  struct scripts *scripts = ask->scripts;
  size_t taken = 0;
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next) {
    struct bot *bot = list_of(node, struct bot, link);
    if (is_meant(bot, name)) taken += take_place(ask, bot);
  }
  return taken;
}

static enum moonkeep_code no_such_script(const struct scripts *scripts, const char *name, struct err *err) {
  struct buf names = {0};
  for (struct list *node = scripts->bots.next; node != &scripts->bots; node = node->next)
    buf_printf(&names, "%s%s", names.len ? ", " : "", list_of(node, struct bot, link)->name);
  err_set(err, MOONKEEP_INVALID, "there is no script \"%.100s\" in %s; there %s%.300s", name,
          scripts->options.dir, names.len ? "are " : "is none", buf_text(&names));
  buf_deinit(&names);
  return MOONKEEP_INVALID;
}

enum moonkeep_code scripts_reload(struct scripts *scripts, const char *name,
                                  void (*done)(void *ctx, const char *json, size_t len), void *ctx,
                                  struct err *err) {
  if (!scripts->started || scripts->ending) return err_set(err, MOONKEEP_CLOSED, "the host is ending");
  enum moonkeep_code code = look_find(scripts, err);
  if (code) return code;
  struct ask *ask = ask_new(scripts, done, ctx);
  if (!ask) return err_memory(err);
  if (take_places(ask, name) == 0 && name) {
    mem_free(ask);
    return no_such_script(scripts, name, err);
  }
  look_now(scripts);
  give_back(ask);
  return MOONKEEP_OK;
}
