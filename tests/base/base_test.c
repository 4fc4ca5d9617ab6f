/* The small things everything stands on: errors, buffers, the hash table, lists, timers, the log, the clock.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/timers.h"
#include "base/utf8.h"
#include "check.h"

/* Errors. */

TEST(codes_and_names_go_both_ways) {
  for (int code = MOONKEEP_OK; code <= MOONKEEP_INVALID; code++)
    CHECK_INT(err_code(moonkeep_code_name((enum moonkeep_code)code)), code);
  CHECK_STR(moonkeep_code_name(MOONKEEP_TOO_LARGE), "too_large");
  CHECK_STR(moonkeep_code_name((enum moonkeep_code)999), "unknown");
  CHECK_INT(err_code("no such"), MOONKEEP_UNKNOWN);
}

TEST(an_error_without_room_for_it_still_gives_its_code) {
  CHECK_INT(err_set(NULL, MOONKEEP_IO, "x"), MOONKEEP_IO);
  CHECK_INT(err_key(NULL, MOONKEEP_IO, "k", 1, "x"), MOONKEEP_IO);
  CHECK_INT(err_memory(NULL), MOONKEEP_MEMORY);
}

TEST(a_new_error_forgets_the_key_of_the_last) {
  struct err err;
  err_key(&err, MOONKEEP_CORRUPT, "key and more", 3, "first %d", 1);
  CHECK_STR(err.key, "key");
  CHECK_STR(err.message, "first 1");
  err_set(&err, MOONKEEP_IO, "second");
  CHECK_STR(err.key, "");
}

TEST(a_long_message_is_cut_between_characters) {
  struct err err;
  char text[3 * 400 + 1];
  for (size_t i = 0; i < 3; i++) { /* all ways a cut can fall into a character of three bytes */
    memset(text, 'a', i);
    for (size_t at = i; at + 3 < sizeof text; at += 3) memcpy(text + at, "\xE2\x82\xAC", 4);
    err_set(&err, MOONKEEP_IO, "%s", text);
    size_t len = strlen(err.message);
    CHECK(len >= sizeof err.message - 3);
    CHECK_INT(utf8_valid(err.message, len), len);
    err_key(&err, MOONKEEP_IO, text, strlen(text), "x");
    CHECK_INT(utf8_valid(err.key, strlen(err.key)), strlen(err.key));
    CHECK(strlen(err.key) >= 1022);
  }
}

/* Buffers. */

TEST(a_buffer_holds_what_was_added) {
  struct buf buf = {0};
  buf_puts(&buf, "one ");
  buf_printf(&buf, "%d %s", 2, "three");
  buf_putc(&buf, '!');
  buf_add(&buf, NULL, 0);
  CHECK_STR(buf_text(&buf), "one 2 three!");
  buf_drop(&buf, 4);
  CHECK_STR(buf_text(&buf), "2 three!");
  buf_drop(&buf, buf.len);
  CHECK_STR(buf_text(&buf), "");
  buf_deinit(&buf);
}

TEST(a_buffer_grows_by_any_step) {
  struct buf buf = {0};
  for (size_t i = 0; i < 300; i++) {
    char step[300];
    memset(step, (int)('a' + i % 26), i);
    buf_add(&buf, step, i);
  }
  CHECK_INT(buf.len, 299 * 300 / 2);
  CHECK(buf.cap >= buf.len);
  CHECK_INT(buf.data[buf.len - 1], 'a' + 299 % 26);
  buf_deinit(&buf);
}

TEST(a_buffer_that_failed_takes_nothing_more_until_cleared) {
  struct buf buf = {0};
  check_fail_alloc(1);
  buf_puts(&buf, "lost");
  buf_puts(&buf, "lost too");
  CHECK(buf.failed);
  CHECK_INT(buf.len, 0);
  CHECK_STR(buf_text(&buf), "");
  check_fail_alloc(0);
  buf_clear(&buf);
  buf_puts(&buf, "kept");
  CHECK_STR(buf_text(&buf), "kept");
  buf_deinit(&buf);
}

TEST(a_buffer_refuses_a_size_that_overflows) {
  struct buf buf = {0};
  buf_puts(&buf, "x");
  CHECK(!buf_reserve(&buf, SIZE_MAX));
  CHECK(buf.failed);
  buf_deinit(&buf);
}

/* The hash table. */

struct item {
  int value;
  struct map_link link;
  char key[16];
};

static struct item *item_of(struct map_link *link) {
  return link ? list_of(link, struct item, link) : NULL;
}

static void put_items(struct map *map, struct item *items, int count) {
  for (int i = 0; i < count; i++) {
    items[i].value = i;
    int len = snprintf(items[i].key, sizeof items[i].key, "key%d", i);
    map_put(map, &items[i].link, items[i].key, (size_t)len);
  }
}

static void take_odd(struct map_link *link, void *ctx) {
  if (item_of(link)->value % 2) map_take(ctx, link);
}

static void check_items(bool memory) {
  enum { COUNT = 1000 };
  static struct item items[COUNT];
  struct map map;
  check_fail_alloc(memory ? 0 : 1);
  map_init(&map);
  put_items(&map, items, memory ? COUNT : 1);
  check_fail_alloc(0);
  if (!memory) put_items(&map, items + 1, 0);
  int count = memory ? COUNT : 1;
  CHECK_INT(map.count, count);
  for (int i = 0; i < count; i++)
    CHECK(item_of(map_find(&map, items[i].key, strlen(items[i].key))) == &items[i]);
  CHECK(!map_find(&map, "key", 3));
  int walked = 0;
  for (struct map_link *l = map_next(&map, NULL); l; l = map_next(&map, l)) walked++;
  CHECK_INT(walked, count);
  map_each(&map, take_odd, &map);
  CHECK_INT(map.count, (count + 1) / 2);
  CHECK(map_find(&map, "key0", 4));
  CHECK(!map_find(&map, "key1", 4));
  map_deinit(&map);
}

TEST(a_map_finds_what_was_put_and_not_what_was_taken) {
  check_items(true);
}

/* Items of a growing map are partly where they were and partly where they will be. */
TEST(a_map_is_whole_at_every_step_of_its_growth) {
  enum { COUNT = 600 };
  static struct item items[COUNT];
  static bool in[COUNT];
  struct map map;
  size_t count = 0;
  map_init(&map);
  for (int i = 0; i < COUNT; i++) {
    int len = snprintf(items[i].key, sizeof items[i].key, "key%d", i);
    map_put(&map, &items[i].link, items[i].key, (size_t)len);
    in[i] = true;
    count++;
    uint64_t gone = check_below((uint64_t)i + 1);
    if (i % 3 == 0 && in[gone]) {
      map_take(&map, &items[gone].link);
      in[gone] = false;
      count--;
    }
    size_t walked = 0;
    for (struct map_link *l = map_next(&map, NULL); l; l = map_next(&map, l)) walked++;
    CHECK_INT(map.count, count);
    CHECK_INT(walked, count);
    for (int k = 0; k <= i; k++)
      CHECK((map_find(&map, items[k].key, strlen(items[k].key)) == &items[k].link) == in[k]);
  }
  map_deinit(&map);
}

TEST(a_map_works_without_memory_for_its_slots) {
  check_items(false);
}

TEST(a_map_tells_keys_with_nul_apart) {
  struct map map;
  struct map_link a, b, none;
  map_init(&map);
  map_put(&map, &a, "k\0a", 3);
  map_put(&map, &b, "k\0b", 3);
  map_put(&map, &none, "", 0);
  CHECK(map_find(&map, "k\0a", 3) == &a);
  CHECK(map_find(&map, "k\0b", 3) == &b);
  CHECK(map_find(&map, "", 0) == &none);
  CHECK(!map_find(&map, "k", 1));
  map_deinit(&map);
}

/* Lists. */

struct node {
  int value;
  struct list link;
};

TEST(a_list_keeps_the_order_and_lets_go_of_any) {
  struct list list, other;
  struct node nodes[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
  list_init(&list);
  list_init(&other);
  CHECK(list_empty(&list));
  CHECK(!list_pop(&list));
  list_join(&list, &other);
  CHECK(list_empty(&list));
  for (int i = 0; i < 4; i++) list_add(i < 2 ? &list : &other, &nodes[i].link);
  list_join(&list, &other);
  CHECK(list_empty(&other));
  list_take(&nodes[1].link);
  list_take(&nodes[1].link);
  for (int want = 0; want < 4; want += want ? 1 : 2)
    CHECK_INT(list_of(list_pop(&list), struct node, link)->value, want);
  CHECK(list_empty(&list));
}

/* Timers. */

struct ring {
  struct timer timer;
  struct timers *timers;
  int64_t again_ms; /* set again for then, when not 0 */
  char name;
};

static char rung[16];

static void ring(struct timer *timer) {
  struct ring *r = list_of(timer, struct ring, timer);
  size_t len = strlen(rung);
  rung[len] = r->name;
  rung[len + 1] = '\0';
  if (r->again_ms) timer_set(r->timers, timer, r->again_ms);
}

static void set_ring(struct timers *timers, struct ring *r, char name, int64_t due_ms) {
  *r = (struct ring){.timer.fire = ring, .timers = timers, .name = name};
  CHECK(timer_set(timers, &r->timer, due_ms));
}

TEST(timers_fire_by_time_and_then_by_turn) {
  struct timers timers;
  struct ring rings[5];
  timers_init(&timers);
  CHECK(timers_next_ms(&timers) == INT64_MAX);
  rung[0] = '\0';
  for (int i = 0; i < 5; i++) set_ring(&timers, &rings[i], (char)('a' + i), i % 2 ? 10 : 20);
  timer_clear(&timers, &rings[2].timer);
  timer_clear(&timers, &rings[2].timer);
  CHECK_INT(timers_next_ms(&timers), 10);
  timers_run(&timers, 9);
  CHECK_STR(rung, "");
  timers_run(&timers, 10);
  CHECK_STR(rung, "bd");
  timers_run(&timers, 100);
  CHECK_STR(rung, "bdae");
  timers_deinit(&timers);
}

TEST(a_timer_set_again_from_its_call_waits_for_the_next_run) {
  struct timers timers;
  struct ring rings[2];
  timers_init(&timers);
  rung[0] = '\0';
  set_ring(&timers, &rings[0], 'a', 10);
  set_ring(&timers, &rings[1], 'b', 20);
  rings[0].again_ms = 15;
  timers_run(&timers, 12);
  CHECK_STR(rung, "a");
  timers_run(&timers, 16);
  CHECK_STR(rung, "aa");
  timers_deinit(&timers);
}

/* A timer that is always overdue must not keep the others from their turn. */
TEST(a_timer_that_is_always_due_does_not_starve_the_others) {
  struct timers timers;
  struct ring rings[2];
  timers_init(&timers);
  rung[0] = '\0';
  set_ring(&timers, &rings[0], 'a', 1);
  set_ring(&timers, &rings[1], 'b', 20);
  rings[0].again_ms = 1;
  timers_run(&timers, 30);
  CHECK_STR(rung, "ab");
  timers_deinit(&timers);
}

TEST(any_order_of_setting_moving_and_clearing_fires_in_order) {
  enum { COUNT = 200 };
  struct timers timers;
  static struct timer list[COUNT];
  memset(list, 0, sizeof list);
  timers_init(&timers);
  for (int i = 0; i < 5000; i++) {
    struct timer *timer = &list[check_below(COUNT)];
    if (check_below(3) == 0)
      timer_clear(&timers, timer);
    else
      CHECK(timer_set(&timers, timer, (int64_t)check_below(50)));
  }
  while (timers.count > 0) {
    struct timer *next = timers.heap[0];
    for (size_t i = 1; i < timers.count; i++)
      CHECK(timers.heap[i]->due_ms > next->due_ms ||
            (timers.heap[i]->due_ms == next->due_ms && timers.heap[i]->turn > next->turn));
    timer_clear(&timers, next);
  }
  timers_deinit(&timers);
}

TEST(a_timer_without_memory_is_not_set) {
  struct timers timers;
  struct timer timer = {0};
  timers_init(&timers);
  check_fail_alloc(1);
  CHECK(!timer_set(&timers, &timer, 1));
  CHECK_INT(timer.place, 0);
  timers_deinit(&timers);
}

/* The log and the clock. */

static char logged[4096];

static void keep(void *ctx, enum log_level level, const char *source, const char *text) {
  (void)ctx;
  snprintf(logged, sizeof logged, "%s %s: %s", log_level_name(level), source, text);
}

TEST(the_log_writes_its_level_and_above) {
  struct log log = {.write = keep, .level = LOG_WARN};
  logged[0] = '\0';
  log_write(&log, LOG_INFO, "x", "no");
  log_text(&log, LOG_DEBUG, "x", "no");
  log_write(NULL, LOG_ERROR, "x", "no");
  CHECK_STR(logged, "");
  log_write(&log, LOG_WARN, "economy", "%d left", 3);
  CHECK_STR(logged, "warn economy: 3 left");
  log_text(&log, LOG_ERROR, "host", "100%s");
  CHECK_STR(logged, "error host: 100%s");
}

TEST(log_levels_have_names) {
  for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
    enum log_level level;
    CHECK(log_level_parse(log_level_name((enum log_level)i), &level));
    CHECK_INT(level, i);
  }
  enum log_level level = LOG_WARN;
  CHECK(!log_level_parse("loud", &level));
  CHECK_INT(level, LOG_WARN);
}

TEST(the_clock_runs_forward) {
  int64_t wall = clock_wall_ms(&clock_system), steady = clock_steady_ms(&clock_system);
  CHECK(wall > INT64_C(1600000000000));
  CHECK(clock_steady_ms(&clock_system) >= steady);
}

TEST(copies_end_in_a_nul) {
  char *copy = mem_copy("abc", 2);
  CHECK_STR(copy, "ab");
  mem_free(copy);
  copy = mem_copy("", 0);
  CHECK_STR(copy, "");
  mem_free(copy);
}
