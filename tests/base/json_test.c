#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "json_corpus.h"

enum { GOOD = sizeof json_good / sizeof *json_good, BAD = sizeof json_bad / sizeof *json_bad };

/* Reads a copy of the text that ends where its memory ends, so that a sanitizer sees a step too far. */
static bool reads(const char *text, size_t len, struct err *err) {
  char *copy = mem_alloc(len);
  if (len) memcpy(copy, text, len);
  struct json json;
  struct json_token token;
  json_init(&json, copy, len);
  while (json_next(&json, &token) > JSON_END) {}
  enum json_type last = token.type;
  bool repeats = json_next(&json, &token) == last;
  *err = json.err;
  json_deinit(&json);
  mem_free(copy);
  if (!repeats) FAIL("the end of %.*s does not repeat itself", (int)len, text);
  return last == JSON_END;
}

static const char *refusal(const char *text) {
  static struct err err;
  return reads(text, strlen(text), &err) ? "none" : err.message;
}

static const char *compact(const char *text, size_t len) {
  static char result[8192];
  struct buf out = {0};
  struct err err;
  enum moonkeep_code code = json_compact(&out, text, len, sizeof result - 1, &err);
  snprintf(result, sizeof result, "%s", code ? err.message : buf_text(&out));
  buf_deinit(&out);
  return result;
}

#define COMPACT(text) compact(text, strlen(text))

TEST(what_is_json_is_read) {
  struct err err;
  for (int i = 0; i < GOOD; i++)
    if (!reads(json_good[i].text, json_good[i].len, &err)) FAIL("%s: %s", json_good[i].text, err.message);
}

TEST(what_is_not_json_is_refused_with_a_reason) {
  struct err err;
  for (int i = 0; i < BAD; i++) {
    if (reads(json_bad[i].text, json_bad[i].len, &err)) FAIL("case %d was read: %s", i, json_bad[i].text);
    CHECK_INT(err.code, MOONKEEP_INVALID_VALUE);
    CHECK(strncmp(err.message, "not ", 4) == 0);
  }
}

TEST(what_is_compact_stays_as_it_is) {
  for (int i = 0; i < GOOD; i++) {
    char once[8192];
    snprintf(once, sizeof once, "%s", compact(json_good[i].text, json_good[i].len));
    CHECK_STR(COMPACT(once), once);
  }
}

/* Short ones are read on a way of their own. */
TEST(integers_of_every_length_are_read) {
  static const char nines[] = "999999999999999999", zeros[] = "1000000000000000000";
  char text[64];
  for (int len = 1; len <= 19; len++) {
    snprintf(text, sizeof text, "%.*s", len, len < 19 ? nines : "9223372036854775807");
    CHECK_STR(COMPACT(text), text);
    snprintf(text, sizeof text, "[%.*s,-%.*s]", len, zeros, len, zeros);
    CHECK_STR(COMPACT(text), text);
    snprintf(text, sizeof text, "[%.*s.5]", len < 15 ? len : 15, nines);
    CHECK_STR(COMPACT(text), text);
    snprintf(text, sizeof text, "0%.*s", len, zeros);
    CHECK_STR(refusal(text), "not JSON: unexpected '1' at byte 2");
  }
  CHECK_STR(COMPACT("[0]"), "[0]");
  CHECK_STR(COMPACT("0"), "0");
  CHECK_STR(COMPACT("[0e1,1E2]"), "[0.0,100.0]");
  CHECK_STR(refusal("00"), "not JSON: unexpected '0' at byte 2");
}

static const char rich[] =
    "{\"a\":[1,-2.5e-3,true,false,null,\"x\\n\\u00e9\\ud83d\\ude00\"],"
    "\"\xC3\xA9\\\"\":{\"\":[[],{}],\"long enough for whole words\":\"\xF0\x9F\x98\x80\"}}";

TEST(a_document_cut_anywhere_is_refused) {
  struct err err;
  CHECK(reads(rich, sizeof rich - 1, &err));
  for (size_t len = 0; len < sizeof rich - 1; len++)
    if (reads(rich, len, &err)) FAIL("cut to %zu bytes", len);
}

TEST(a_document_with_any_byte_changed_never_crashes_the_scanner) {
  struct err err;
  char text[sizeof rich];
  for (size_t at = 0; at < sizeof rich - 1; at++) {
    for (int byte = 0; byte < 256; byte++) {
      memcpy(text, rich, sizeof rich);
      text[at] = (char)byte;
      reads(text, sizeof rich - 1, &err);
    }
  }
}

static bool reads_nested(char open, char close, size_t depth, struct err *err) {
  struct buf text = {0};
  for (size_t i = 0; i < depth; i++) buf_puts(&text, open == '{' ? "{\"a\":" : "[");
  buf_puts(&text, "1");
  for (size_t i = 0; i < depth; i++) buf_putc(&text, close);
  bool read = reads(text.data, text.len, err);
  buf_deinit(&text);
  return read;
}

TEST(exactly_128_levels_are_read) {
  struct err err;
  CHECK(reads_nested('[', ']', 128, &err));
  CHECK(reads_nested('{', '}', 128, &err));
  CHECK(!reads_nested('[', ']', 129, &err));
  CHECK_STR(err.message, "not a value: nested deeper than 128 levels at byte 129");
  CHECK(!reads_nested('{', '}', 129, &err));
  CHECK(!reads_nested('[', ']', 100000, &err));
  CHECK(!reads_nested('{', '}', 100000, &err));
}

TEST(levels_keep_what_they_are) {
  CHECK_STR(refusal("[{\"a\":[{\"b\":[]}]},[{}]]"), "none");
  CHECK_STR(refusal("[{\"a\":[{\"b\":[}]}]},[{}]]"), "not JSON: unexpected '}' at byte 14");
  CHECK_STR(refusal("[{\"a\":[1}]"), "not JSON: unexpected '}' at byte 9");
  CHECK_STR(refusal("{\"a\":{\"b\":1]}"), "not JSON: unexpected ']' at byte 12");
}

TEST(refusals_name_what_was_found_and_where) {
  CHECK_STR(refusal(""), "not JSON: it is empty");
  CHECK_STR(refusal(" \n"), "not JSON: it is empty");
  CHECK_STR(refusal("[1,x]"), "not JSON: unexpected 'x' at byte 4");
  CHECK_STR(refusal("[1] x"), "not JSON: unexpected 'x' at byte 5, behind the end of the value");
  CHECK_STR(refusal("{a:1}"), "not JSON: unexpected 'a' at byte 2, where a key should be");
  CHECK_STR(refusal("{\"a\" 1}"), "not JSON: unexpected '1' at byte 6, where a colon should be");
  CHECK_STR(refusal("\"abc"), "not JSON: it ends in the middle of a string");
  CHECK_STR(refusal("\"abc\\"), "not JSON: it ends in the middle of a string");
  CHECK_STR(refusal("\"\\u12"), "not JSON: it ends in the middle of a string");
  CHECK_STR(refusal("[1"), "not JSON: it ends in the middle of an array");
  CHECK_STR(refusal("[1,"), "not JSON: it ends in the middle of an array");
  CHECK_STR(refusal("{\"a\":"), "not JSON: it ends in the middle of an object");
  CHECK_STR(refusal("{\"a\""), "not JSON: it ends in the middle of an object");
  CHECK_STR(refusal("1e"), "not JSON: it ends in the middle of a number");
  CHECK_STR(refusal("tru"), "not JSON: it ends in the middle of true");
  CHECK_STR(refusal("\"\\q\""), "not JSON: unexpected 'q' at byte 3, in an escape");
  CHECK_STR(refusal("\"\\ud800\""), "not JSON: half of a surrogate pair at byte 2");
  CHECK_STR(refusal("\"a\xFF\""), "not JSON: invalid UTF-8 at byte 3");
  CHECK_STR(refusal("\"a\n\""),
            "not JSON: a raw control character (0x0A) in a string at byte 3; write it as \\u000A");
  CHECK_STR(refusal("\xEF\xBB\xBF{}"), "not JSON: unexpected byte order mark at byte 1");
  CHECK_STR(refusal("\xFF\xFE"), "not JSON: unexpected byte 0xFF at byte 1");
  CHECK_STR(refusal("[\xC2\xA0]"), "not JSON: unexpected U+00A0 at byte 2");
  CHECK_STR(refusal("[\xF0\x9F\x98\x80]"), "not JSON: unexpected U+1F600 at byte 2");
  CHECK_STR(refusal("[9223372036854775808]"),
            "not a value: 9223372036854775808 at byte 2 is an integer beyond 64 "
            "bits; send it as a string");
  CHECK_STR(refusal("1e400"),
            "not a value: 1e400 at byte 1 is beyond the largest float; send it as a string");
  CHECK_STR(refusal("111111111111111111111111111111111111111122222"),
            "not a value: 1111111111111111111111111111111111111111... at byte 1 is an integer beyond 64 "
            "bits; send it "
            "as a string");
}

static void check_string(const char *text, const char *want, size_t want_len) {
  struct json json;
  struct json_token token;
  json_init(&json, text, strlen(text));
  CHECK_INT(json_next(&json, &token), JSON_STRING);
  CHECK_BYTES(token.string, token.string_len, want, want_len);
  json_deinit(&json);
}

TEST(escapes_mean_what_the_rfc_says) {
  check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
  check_string("\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC", 6);
  check_string("\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", 4);
  check_string("\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8);
  check_string("\"a\\u0000b\"", "a\0b", 3);
  check_string("\"\"", "", 0);
  check_string("\"plain\\nthen plain\\nand more\"", "plain\nthen plain\nand more", 25);
}

/* Every length and place of an escape, so that the runs end at every place in a word. */
TEST(strings_of_every_length_are_read_and_written_whole) {
  char text[80], want[80];
  for (size_t len = 1; len < 40; len++) {
    for (size_t at = 0; at < len; at++) {
      memset(want, 'a', len);
      want[at] = at % 3 == 0 ? '\n' : at % 3 == 1 ? '"' : '\\';
      struct buf out = {0};
      json_put_string(&out, want, len);
      snprintf(text, sizeof text, "%s", buf_text(&out));
      buf_deinit(&out);
      check_string(text, want, len);
    }
  }
}

TEST(a_string_is_told_to_be_plain_by_all_of_its_bytes) {
  static const char others[] = {'"', '\\', '\n', '\0', '\x1F', '\x80', '\xC3', '\xFF'};
  char *bytes; /* of its own length, so that a byte too many is seen */
  for (size_t len = 0; len < 40; len++) {
    struct buf out = {0};
    CHECK((bytes = malloc(len ? len : 1)));
    for (size_t at = 0; at < len; at++) {
      for (size_t i = 0; i < sizeof others; i++) {
        memset(bytes, "~ !#["[i % 5], len);
        bytes[at] = others[i];
        CHECK(!json_put_plain(&out, bytes, len));
      }
    }
    CHECK_INT(out.len, 0);
    memset(bytes, '\x7F', len);
    CHECK(json_put_plain(&out, bytes, len));
    CHECK_INT(out.len, len + 2);
    buf_deinit(&out);
    free(bytes);
  }
}

TEST(tokens_point_to_their_text) {
  static const char text[] = " { \"k\" : [ -12.50 , true ] } ";
  static const char *const want[] = {"{", "\"k\"", "[", "-12.50", "true", "]", "}", ""};
  struct json json;
  struct json_token token;
  json_init(&json, text, sizeof text - 1);
  for (int i = 0; i < 8; i++) {
    json_next(&json, &token);
    CHECK_BYTES(token.begin, (size_t)(token.end - token.begin), want[i], strlen(want[i]));
  }
  CHECK_INT(token.type, JSON_END);
  json_deinit(&json);
}

TEST(skipping_reads_to_the_end_of_what_was_opened) {
  static const char text[] = "[[1,[2],{\"a\":[]}],{},3,[4";
  struct json json;
  struct json_token token;
  json_init(&json, text, sizeof text - 1);
  json_next(&json, &token);
  CHECK(json_skip(&json, json_next(&json, &token)));
  CHECK_INT(json_next(&json, &token), JSON_OBJECT);
  CHECK(json_skip(&json, JSON_OBJECT));
  CHECK_INT(json_next(&json, &token), JSON_INTEGER);
  CHECK(json_skip(&json, JSON_INTEGER));
  CHECK_INT(token.integer, 3);
  CHECK_INT(json_next(&json, &token), JSON_ARRAY);
  CHECK(!json_skip(&json, JSON_ARRAY));
  CHECK(!json_skip(&json, JSON_ERROR));
  json_deinit(&json);
}

TEST(compact_keeps_order_and_doubled_keys) {
  CHECK_STR(COMPACT(" { \"b\" : 1 , \"a\" : [ ] , \"b\" : { } } "), "{\"b\":1,\"a\":[],\"b\":{}}");
  CHECK_STR(COMPACT("[1.50, 100e-2, -0, -0.0, 1E400000]"),
            "not a value: 1E400000 at byte 26 is beyond the largest float; send it as a string");
  CHECK_STR(COMPACT("[1.50, 100e-2, -0, -0.0, 1E3]"), "[1.5,1.0,0,-0.0,1000.0]");
  CHECK_STR(COMPACT("\"\\u0041\\/\\u000a\\u0001\\u007f\""), "\"A/\\n\\u0001\x7F\"");
}

TEST(compact_stops_at_its_limit) {
  struct buf out = {0};
  struct err err;
  buf_puts(&out, "before");
  CHECK_INT(json_compact(&out, "[1, 2, 3]", 9, 7, &err), MOONKEEP_OK);
  CHECK_STR(buf_text(&out), "before[1,2,3]");
  buf_clear(&out);
  CHECK_INT(json_compact(&out, "[1,2,3]", 7, 6, &err), MOONKEEP_TOO_LARGE);
  CHECK_STR(err.message, "the value is larger than the limit of 6 bytes");
  buf_deinit(&out);
}

TEST(every_allocation_may_fail) {
  for (long nth = 1;; nth++) {
    struct buf out = {0};
    struct err err;
    check_fail_alloc(nth);
    enum moonkeep_code code = json_compact(&out, rich, sizeof rich - 1, 1 << 20, &err);
    bool failed = check_alloc_failed();
    check_fail_alloc(0);
    buf_deinit(&out);
    CHECK_INT(code, failed ? MOONKEEP_MEMORY : MOONKEEP_OK);
    if (!failed) break;
  }
}

/* Bytes from the alphabet of JSON hit more of the scanner than any bytes would. */
TEST(random_texts_never_crash_and_what_is_read_compacts) {
  static const char *const pieces[] = {"{",        "}",
                                       "[",        "]",
                                       ",",        ":",
                                       "\"",       "\"a\"",
                                       "\\u0041",  "\\ud83d",
                                       "0",        "-1",
                                       "1.5",      "1e9",
                                       "true",     "null",
                                       " ",        "\n",
                                       "\xC3\xA9", "\xFF",
                                       "\\n",      "{}",
                                       "[1]",      "\"k\":",
                                       "\\ude00",  "9999999999999999999"};
  for (long round = check_rounds(20000); round > 0; round--) {
    char text[256] = "";
    size_t len = 0;
    struct err err;
    for (uint64_t n = check_below(12); n > 0; n--)
      len += (size_t)sprintf(text + len, "%s", pieces[check_below(sizeof pieces / sizeof *pieces)]);
    bool read = reads(text, len, &err);
    struct buf out = {0};
    CHECK_INT(json_compact(&out, text, len, 1000, &err) == MOONKEEP_OK, read);
    buf_deinit(&out);
  }
}
