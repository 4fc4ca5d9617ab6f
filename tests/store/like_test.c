/* LIKE: the matcher against SQLite's own. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sqlite3.h>

#include "check.h"
#include "store/like.h"

static sqlite3 *db;
static sqlite3_stmt *oracle;

static void open_oracle(void) {
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, "PRAGMA case_sensitive_like=1", NULL, NULL, NULL) == SQLITE_OK);
  CHECK(sqlite3_prepare_v2(db, "SELECT ?1 LIKE ?2 ESCAPE '\\'", -1, &oracle, NULL) == SQLITE_OK);
}

static void close_oracle(void) {
  sqlite3_finalize(oracle);
  sqlite3_close(db);
}

static bool oracle_matches(const char *pattern, const char *key) {
  sqlite3_bind_text(oracle, 1, key, -1, SQLITE_STATIC);
  sqlite3_bind_text(oracle, 2, pattern, -1, SQLITE_STATIC);
  CHECK(sqlite3_step(oracle) == SQLITE_ROW);
  bool matches = sqlite3_column_int(oracle, 0);
  sqlite3_reset(oracle);
  return matches;
}

static void random_text(char *text, int most) {
  static const char *const letters[] = {"%", "%", "_", "_",        "\\",
                                        "a", "a", "A", "\xC3\xA4", "\xF0\x9F\x98\x80"};
  size_t len = 0;
  for (uint64_t n = check_below((uint64_t)most + 1); n > 0; n--) {
    const char *letter = letters[check_below(sizeof letters / sizeof *letters)];
    memcpy(text + len, letter, strlen(letter));
    len += strlen(letter);
  }
  text[len] = '\0';
}

/* A key that has a chance to match: the pattern with its wildcards filled in. */
static void fill_in(const char *pattern, char *key) {
  size_t len = 0;
  for (const char *p = pattern; *p; p++) {
    if (*p == '\\' && p[1])
      key[len++] = *++p;
    else if (*p == '_')
      key[len++] = 'a';
    else if (*p != '%')
      key[len++] = *p;
    else if (check_below(2))
      key[len++] = "aA_%"[check_below(4)];
  }
  key[len] = '\0';
}

static bool matches(const char *pattern, const char *key) {
  return like_match(pattern, strlen(pattern), key, strlen(key));
}

TEST(it_matches_what_sqlite_matches) {
  open_oracle();
  long matched = 0, rounds = check_rounds(200000);
  for (long i = 0; i < rounds; i++) {
    char pattern[64], key[64];
    random_text(pattern, 9);
    if (like_is_cut(pattern, strlen(pattern))) continue;
    if (check_below(2))
      random_text(key, 9);
    else
      fill_in(pattern, key);
    bool want = oracle_matches(pattern, key);
    matched += want;
    if (matches(pattern, key) != want) FAIL("'%s' LIKE '%s' is %d", key, pattern, want);
  }
  CHECK(matched > rounds / 20);
  close_oracle();
}

TEST(every_match_begins_with_the_prefix) {
  long rounds = check_rounds(200000);
  for (long i = 0; i < rounds; i++) {
    char pattern[64], key[64], prefix[64];
    random_text(pattern, 9);
    if (like_is_cut(pattern, strlen(pattern))) continue;
    fill_in(pattern, key);
    size_t len = like_prefix(pattern, strlen(pattern), prefix);
    if (matches(pattern, key) && strncmp(key, prefix, len) != 0)
      FAIL("'%s' LIKE '%s', whose prefix is '%.*s'", key, pattern, (int)len, prefix);
  }
}

static const char *prefix_of(const char *pattern) {
  static char prefix[64];
  prefix[like_prefix(pattern, strlen(pattern), prefix)] = '\0';
  return prefix;
}

TEST(the_prefix_ends_at_the_first_wildcard) {
  CHECK_STR(prefix_of("user:%"), "user:");
  CHECK_STR(prefix_of("user_%"), "user");
  CHECK_STR(prefix_of("user\\_%"), "user_");
  CHECK_STR(prefix_of("100\\%"), "100%");
  CHECK_STR(prefix_of("a\\\\b"), "a\\b");
  CHECK_STR(prefix_of("%a"), "");
  CHECK_STR(prefix_of(""), "");
}

TEST(a_pattern_is_cut_when_nothing_follows_its_backslash) {
  CHECK(like_is_cut("\\", 1));
  CHECK(like_is_cut("a\\", 2));
  CHECK(like_is_cut("\\\\\\", 3));
  CHECK(!like_is_cut("", 0));
  CHECK(!like_is_cut("\\\\", 2));
  CHECK(!like_is_cut("\\a", 2));
}

TEST(an_underscore_is_a_character_not_a_byte) {
  CHECK(matches("_", "\xF0\x9F\x98\x80"));
  CHECK(matches("_\xC3\xA4_", "a\xC3\xA4\xF0\x9F\x98\x80"));
  CHECK(!matches("__", "\xC3\xA4"));
  CHECK(!matches("_", ""));
}

/* Rows that other programs wrote may hold anything; nothing is read beyond the end. */
TEST(broken_utf8_is_read_to_its_end_and_no_further) {
  for (int i = 0; i < 20000; i++) {
    char pattern[16], key[16];
    size_t pattern_len = check_below(8), key_len = check_below(8);
    for (size_t k = 0; k < 8; k++) {
      pattern[k] = "%_\\a\xC3\xF0\xFF\x80"[check_below(8)];
      key[k] = "a\xC3\xA4\xF0\x9F\x98\xFF\x80"[check_below(8)];
    }
    /* At the end of a block of its own, where a sanitizer sees what comes behind. */
    char exact_pattern[8], exact_key[8];
    memcpy(exact_pattern + 8 - pattern_len, pattern, pattern_len);
    memcpy(exact_key + 8 - key_len, key, key_len);
    like_match(exact_pattern + 8 - pattern_len, pattern_len, exact_key + 8 - key_len, key_len);
  }
}

static double seconds_for(const char *pattern, size_t pattern_len, const char *key, size_t key_len) {
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  CHECK(!like_match(pattern, pattern_len, key, key_len));
  clock_gettime(CLOCK_MONOTONIC, &to);
  return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

TEST(the_worst_pattern_takes_no_longer_than_the_product_of_the_lengths) {
  static char key[1024], pattern[4096];
  memset(key, 'a', sizeof key);
  for (size_t i = 0; i < 1000; i++) pattern[i] = i % 2 ? 'a' : '%';
  pattern[1000] = 'c';
  CHECK(seconds_for(pattern, 1001, key, sizeof key) < 0.25);
  pattern[0] = '%';
  memset(pattern + 1, 'a', 511);
  pattern[512] = 'b';
  CHECK(seconds_for(pattern, 513, key, sizeof key) < 0.25);
  memset(pattern, '%', sizeof pattern - 1);
  pattern[sizeof pattern - 1] = 'b';
  CHECK(seconds_for(pattern, sizeof pattern, key, sizeof key) < 0.25);
}
