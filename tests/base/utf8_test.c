#include "base/utf8.h"

#include <string.h>

#include "check.h"

static bool valid(const char *bytes, size_t len) {
  return utf8_valid(bytes, len) == len;
}

#define VALID(text) valid(text, sizeof(text) - 1)

TEST(every_character_but_the_surrogates_is_valid_and_keeps_its_length) {
  for (unsigned c = 0; c <= 0x10FFFF; c++) {
    char bytes[4];
    size_t len = utf8_put(bytes, c);
    bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    if (valid(bytes, len) == surrogate) FAIL("U+%04X", c);
    if (utf8_len(bytes) != len) FAIL("the length of U+%04X", c);
    if (utf8_check(bytes, bytes + len) != (surrogate ? 0 : len)) FAIL("check of U+%04X", c);
    for (size_t cut = 1; cut < len; cut++)
      if (utf8_check(bytes, bytes + cut) != 0) FAIL("U+%04X cut to %zu bytes", c, cut);
  }
}

TEST(lengths_follow_the_ranges) {
  char bytes[4];
  CHECK_INT(utf8_put(bytes, 0x7F), 1);
  CHECK_INT(utf8_put(bytes, 0x80), 2);
  CHECK_INT(utf8_put(bytes, 0x7FF), 2);
  CHECK_INT(utf8_put(bytes, 0x800), 3);
  CHECK_INT(utf8_put(bytes, 0xFFFF), 3);
  CHECK_INT(utf8_put(bytes, 0x10000), 4);
  CHECK_BYTES(bytes, 4, "\xF0\x90\x80\x80", 4);
}

TEST(overlong_forms_are_invalid) {
  CHECK(!VALID("\xC0\x80"));
  CHECK(!VALID("\xC1\xBF"));
  CHECK(!VALID("\xE0\x80\x80"));
  CHECK(!VALID("\xE0\x9F\xBF"));
  CHECK(!VALID("\xF0\x80\x80\x80"));
  CHECK(!VALID("\xF0\x8F\xBF\xBF"));
}

TEST(what_is_beyond_unicode_is_invalid) {
  CHECK(VALID("\xF4\x8F\xBF\xBF"));
  CHECK(!VALID("\xF4\x90\x80\x80"));
  CHECK(!VALID("\xF5\x80\x80\x80"));
  CHECK(!VALID("\xF8\x88\x80\x80\x80"));
  CHECK(!VALID("\xFE"));
  CHECK(!VALID("\xFF"));
}

TEST(stray_and_missing_continuations_are_invalid) {
  CHECK(!VALID("\x80"));
  CHECK(!VALID("\xBF"));
  CHECK(!VALID("\xC3("));
  CHECK(!VALID("\xE2\x82("));
  CHECK(!VALID("\xE2(\x82"));
  CHECK(!VALID("\xF0\x9F\x98("));
  CHECK(!VALID("\xC3\xA9\xA9"));
}

TEST(the_valid_part_is_counted_wherever_the_fault_is) {
  char text[64];
  for (size_t len = 0; len <= sizeof text; len++) {
    memset(text, 'a', sizeof text);
    CHECK_INT(utf8_valid(text, len), len);
    for (size_t fault = 0; fault < len; fault++) {
      memset(text, 'a', sizeof text);
      text[fault] = (char)0xFF;
      CHECK_INT(utf8_valid(text, len), fault);
    }
  }
}

TEST(a_nul_is_a_character) {
  CHECK_INT(utf8_valid("a\0b", 3), 3);
}
