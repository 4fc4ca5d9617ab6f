#include "script/bounds.h"

#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/event.h"
#include "script/script.h"

static int64_t now_ms(const struct script *script) {
  return clock_steady_ms(script->scripts->options.clock);
}

void bounds_init(struct script *script) {
  struct bounds *bounds = &script->bounds;
  list_init(&bounds->raised);
  bounds->lines = BOUND_LINES_AT_ONCE;
  bounds->refilled_ms = now_ms(script);
}

/* ---- memory ---- */

static bool has_room(const struct script *script, size_t bytes) {
  size_t most = script->limit_bytes;
  return !most || (script->bytes <= most && bytes <= most - script->bytes);
}

/* Where there is no room, garbage may be in it; but looking for that takes long, and who has no room may ask
 * again and again. */
bool bounds_take(struct script *script, size_t bytes) {
  enum { REFUSALS_A_LOOK = 64 };
  if (!has_room(script, bytes)) {
    if (script->bounds.refusals++ % REFUSALS_A_LOOK == 0) lua_gc(script->L, LUA_GCCOLLECT);
    if (!has_room(script, bytes)) return false;
  }
  script->bytes += bytes;
  return true;
}

void bounds_give(struct script *script, size_t bytes) {
  script->bytes -= bytes;
}

/* ---- events ---- */

void bounds_check_event(lua_State *L, size_t bytes) {
  struct script *script = script_of(L);
  if (script->stage == SCRIPT_OVER) luaL_error(L, "the script is over");
  if (script->bounds.events >= BOUND_EVENTS)
    luaL_error(L, "bot.emit: %d events of this script are under way, and it may have no more", BOUND_EVENTS);
  if (!bounds_take(script, bytes)) luaL_error(L, "not enough memory");
  bounds_give(script, bytes);
}

static size_t event_bytes(const struct event *event) {
  return sizeof *event + event->name_len + event->json_len;
}

void bounds_add_event(struct script *script, struct event *event) {
  event->raiser = script;
  list_add(&script->bounds.raised, &event->raised);
  script->bounds.events++;
  script->bytes += event_bytes(event);
}

void bounds_drop_event(struct event *event) {
  struct script *script = event->raiser;
  if (!script) return;
  event->raiser = NULL;
  list_take(&event->raised);
  script->bounds.events--;
  bounds_give(script, event_bytes(event));
}

/* ---- the log ---- */

static void refill(struct script *script) {
  struct bounds *bounds = &script->bounds;
  int64_t now = now_ms(script);
  bounds->lines += (double)(now - bounds->refilled_ms) / 1000 * BOUND_LINES_A_SECOND;
  if (bounds->lines > BOUND_LINES_AT_ONCE) bounds->lines = BOUND_LINES_AT_ONCE;
  bounds->refilled_ms = now;
}

static void tell_left_out(struct script *script) {
  struct bounds *bounds = &script->bounds;
  if (bounds->lines_left_out)
    log_write(script_log(script), LOG_WARN, script->name,
              "%zu lines of its log were left out: it may write %d a second", bounds->lines_left_out,
              BOUND_LINES_A_SECOND);
  bounds->lines_left_out = 0;
}

/* Cut between two characters. */
static void log_cut(struct script *script, enum log_level level, const char *text) {
  size_t len = BOUND_LINE_BYTES;
  while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) len--;
  char *cut = mem_copy(text, len);
  if (cut) log_text(script_log(script), level, script->name, cut);
  mem_free(cut);
}

void bounds_log(struct script *script, enum log_level level, const char *text) {
  struct bounds *bounds = &script->bounds;
  const struct log *log = script_log(script);
  if (!log || level < log->level) return;
  if (bounds->lines < 1) refill(script);
  if (bounds->lines < 1) {
    bounds->lines_left_out++;
    return;
  }
  tell_left_out(script);
  bounds->lines -= 1;
  if (strnlen(text, BOUND_LINE_BYTES + 1) > BOUND_LINE_BYTES)
    log_cut(script, level, text);
  else
    log_text(log, level, script->name, text);
}

/* ---- breaks ---- */

const char bounds_break_text[] =
    "the script has a break: it was over its CPU budget or its memory again and again";

static void begin_break(struct script *script, int64_t now) {
  struct bounds *bounds = &script->bounds;
  int64_t length_ms = BOUND_BREAK_MOST_MS;
  if (bounds->breaks < 5) length_ms = (int64_t)BOUND_BREAK_MS << bounds->breaks;
  bounds->breaks++;
  bounds->break_ends_ms = now + length_ms;
  log_write(
      script_log(script), LOG_WARN, script->name,
      "it was over its CPU budget or its memory again and again, and has a break of %d s: its events fail "
      "meanwhile, its timers and tasks wait",
      (int)(length_ms / 1000));
}

void bounds_stopped(struct script *script) {
  struct bounds *bounds = &script->bounds;
  int64_t now = now_ms(script);
  bool quiet = bounds->stops > 0 && now - bounds->last_stop_ms > BOUND_STOPS_MS;
  if (quiet) bounds->breaks = 0;
  if (quiet || bounds->stops == 0 || now - bounds->first_stop_ms > BOUND_STOPS_MS) {
    bounds->stops = 0;
    bounds->first_stop_ms = now;
  }
  bounds->stops++;
  bounds->last_stop_ms = now;
  if (bounds->stops >= BOUND_STOPS || bounds->breaks > 0) begin_break(script, now);
}

int64_t bounds_break_ms(const struct script *script) {
  const struct bounds *bounds = &script->bounds;
  if (bounds->break_ends_ms == 0) return 0;
  int64_t left_ms = bounds->break_ends_ms - now_ms(script);
  return left_ms > 0 ? left_ms : 0;
}

/* ---- the end ---- */

void bounds_deinit(struct script *script) {
  while (!list_empty(&script->bounds.raised))
    bounds_drop_event(list_of(script->bounds.raised.next, struct event, raised));
  tell_left_out(script);
}
