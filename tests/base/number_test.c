#include "base/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char *printed(double number) {
  static char text[NUMBER_TEXT + 1];
  text[number_print_float(text, number)] = '\0';
  return text;
}

static struct number read_text(const char *text) {
  struct number number;
  const char *end = number_read(text, text + strlen(text), &number);
  if (number.type != NUMBER_BROKEN && *end) number.type = NUMBER_BROKEN;
  return number;
}

static double from_bits(uint64_t bits) {
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static uint64_t bits_of(double number) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  return bits;
}

/* A decimal as its digits and the exponent of the last one. */
struct digits {
  long long value;
  int exponent, len;
};

static struct digits digits_of(const char *text) {
  struct digits d = {0};
  bool point = false;
  for (; *text && *text != 'e'; text++) {
    if (*text == '.') point = true;
    if (*text < '0' || *text > '9') continue;
    d.value = d.value * 10 + (*text - '0');
    d.exponent -= point;
  }
  if (*text == 'e') d.exponent += atoi(text + 1);
  while (d.value && d.value % 10 == 0) {
    d.value /= 10;
    d.exponent++;
  }
  for (long long v = d.value; v; v /= 10) d.len++;
  return d;
}

static bool is(struct digits d, double number) {
  char text[64];
  snprintf(text, sizeof text, "%llde%d", d.value, d.exponent);
  return strtod(text, NULL) == number;
}

static struct digits closest(double number, int len) {
  char text[64];
  snprintf(text, sizeof text, "%.*e", len - 1, number);
  long long value = 0;
  const char *at = text;
  for (; *at != 'e'; at++)
    if (*at != '.') value = value * 10 + (*at - '0');
  return (struct digits){.value = value, .exponent = atoi(at + 1) - (len - 1), .len = len};
}

/* A decimal of fewer digits would also be one of just one digit less, and then the closest of those on one
 * side or the other reads back. */
static void check_shortest(double number) {
  const char *text = printed(number);
  double size = fabs(number);
  struct digits d = digits_of(text);
  struct number back = read_text(text);
  if (back.type != NUMBER_FLOAT || bits_of(back.real) != bits_of(number))
    FAIL("%a reads back from %s", number, text);
  if (bits_of(strtod(text, NULL)) != bits_of(number)) FAIL("%a is not %s", number, text);
  if (size == 0) return;
  struct digits same = closest(size, d.len);
  if (same.value != d.value && is(same, size)) FAIL("%s is not the closest to %a", text, number);
  if (d.len == 1) return;
  struct digits fewer = closest(size, d.len - 1);
  for (long long value = fewer.value - 1; value <= fewer.value + 1; value++)
    if (is((struct digits){.value = value, .exponent = fewer.exponent}, size))
      FAIL("%s is not the shortest for %a", text, number);
}

static void check_around(double number) {
  for (int i = -2; i <= 2; i++) {
    double near = from_bits(bits_of(number) + (uint64_t)(int64_t)i);
    if (isfinite(near)) check_shortest(near);
  }
}

TEST(random_doubles_print_shortest) {
  for (long round = check_rounds(200000); round > 0; round--) {
    double number = from_bits(check_random());
    if (isfinite(number)) check_shortest(number);
  }
}

TEST(doubles_of_everyday_sizes_print_shortest) {
  for (long round = check_rounds(100000); round > 0; round--) {
    double scale = pow(10, (double)check_below(24) - 8);
    check_shortest((double)(check_random() >> 11) * 0x1p-53 * scale);
    check_shortest((double)check_below(1000000) / pow(10, (double)check_below(8)));
  }
}

TEST(powers_of_two_and_their_neighbours_print_shortest) {
  for (int e = -1074; e < 1024; e++) check_around(ldexp(1, e));
}

TEST(powers_of_ten_and_their_neighbours_print_shortest) {
  for (int e = -323; e <= 308; e++) {
    char text[16];
    snprintf(text, sizeof text, "1e%d", e);
    check_around(strtod(text, NULL));
  }
}

TEST(subnormals_print_shortest) {
  for (uint64_t bits = 1; bits < 3000; bits++) check_shortest(from_bits(bits));
  for (int i = 0; i < 3000; i++) check_shortest(from_bits(check_below(UINT64_C(1) << check_below(53))));
}

TEST(whole_numbers_around_2_to_the_53_print_shortest) {
  for (int64_t i = -2000; i < 2000; i++) {
    check_shortest((double)((INT64_C(1) << 53) + i));
    check_shortest((double)((INT64_C(1) << 50) + i));
    check_shortest(1e15 + (double)i);
    check_shortest((double)i);
  }
  check_around(1e16);
  check_around(1e17);
  check_around(DBL_MAX);
  check_around(DBL_MIN);
}

TEST(floats_have_one_form) {
  CHECK_STR(printed(0.0), "0.0");
  CHECK_STR(printed(-0.0), "-0.0");
  CHECK_STR(printed(1), "1.0");
  CHECK_STR(printed(-1.5), "-1.5");
  CHECK_STR(printed(0.1), "0.1");
  CHECK_STR(printed(0.1 + 0.2), "0.30000000000000004");
  CHECK_STR(printed(100), "100.0");
  CHECK_STR(printed(123456.75), "123456.75");
  CHECK_STR(printed(1e16), "10000000000000000.0");
  CHECK_STR(printed(12345678901234567.0), "12345678901234568.0");
  CHECK_STR(printed(1e17), "1e+17");
  CHECK_STR(printed(1.5e300), "1.5e+300");
  CHECK_STR(printed(1e-7), "0.0000001");
  CHECK_STR(printed(1e-8), "1e-8");
  CHECK_STR(printed(-1.25e-10), "-1.25e-10");
  CHECK_STR(printed(5e-324), "5e-324");
  CHECK_STR(printed(DBL_MAX), "1.7976931348623157e+308");
  CHECK_STR(printed(DBL_MIN), "2.2250738585072014e-308");
  CHECK_STR(printed(9007199254740993.0), "9007199254740992.0");
  CHECK_STR(printed(0x1p-44), "5.684341886080802e-14");
}

static void check_integer(int64_t integer, const char *want) {
  char text[NUMBER_TEXT + 1];
  text[number_print_integer(text, integer)] = '\0';
  CHECK_STR(text, want);
  struct number back = read_text(text);
  CHECK_INT(back.type, NUMBER_INTEGER);
  CHECK(back.integer == integer);
}

TEST(integers_go_both_ways) {
  check_integer(0, "0");
  check_integer(7, "7");
  check_integer(-10, "-10");
  check_integer(100, "100");
  check_integer(12345, "12345");
  check_integer(INT64_MAX, "9223372036854775807");
  check_integer(INT64_MIN, "-9223372036854775808");
  for (int i = 0; i < 20000; i++) {
    char want[32];
    int64_t integer = (int64_t)(check_random() >> check_below(64));
    if (i % 2) integer = (int64_t)(0 - (uint64_t)integer);
    snprintf(want, sizeof want, "%lld", (long long)integer);
    check_integer(integer, want);
  }
}

TEST(integers_beyond_64_bits_are_told) {
  CHECK_INT(read_text("9223372036854775808").type, NUMBER_WIDE);
  CHECK_INT(read_text("-9223372036854775809").type, NUMBER_WIDE);
  CHECK_INT(read_text("18446744073709551616").type, NUMBER_WIDE);
  CHECK_INT(read_text("18446744073709551617").type, NUMBER_WIDE);
  CHECK_INT(read_text("99999999999999999999999999").type, NUMBER_WIDE);
  CHECK_INT(read_text("-0").integer, 0);
  CHECK_INT(read_text("-0").type, NUMBER_INTEGER);
}

TEST(floats_beyond_the_largest_are_told_and_below_the_least_are_zero) {
  CHECK_INT(read_text("1e400").type, NUMBER_HUGE);
  CHECK_INT(read_text("-1e309").type, NUMBER_HUGE);
  CHECK_INT(read_text("1e99999999999999999999999").type, NUMBER_HUGE);
  CHECK_INT(read_text("1.7976931348623159e308").type, NUMBER_HUGE);
  CHECK(read_text("1.7976931348623158e308").real == DBL_MAX);
  CHECK(read_text("1e-400").real == 0);
  CHECK(read_text("1e-99999999999999999999999").real == 0);
  CHECK(read_text("0e99999999999999999999999").real == 0);
  CHECK(signbit(read_text("-0.0").real));
  CHECK(signbit(read_text("-1e-400").real));
}

TEST(what_breaks_a_number_is_pointed_at) {
  static const struct {
    const char *text;
    int at;
  } cases[] = {{"", 0},      {"-", 1},   {"-a", 1},  {"+1", 0},  {".5", 0},  {"01", 1},
               {"-01", 2},   {"1.", 2},  {"1.e", 2}, {"1e", 2},  {"1e+", 3}, {"1ee", 2},
               {"1.5e-", 5}, {"0.a", 2}, {"00", 1},  {"1e 5", 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct number number;
    const char *text = cases[i].text, *end = number_read(text, text + strlen(text), &number);
    CHECK_INT(number.type, NUMBER_BROKEN);
    if (end - text != cases[i].at) FAIL("%s is broken at %d, not %d", text, (int)(end - text), cases[i].at);
  }
}

static void check_like_strtod(const char *text) {
  struct number number = read_text(text);
  double want = strtod(text, NULL);
  if (isinf(want) ? number.type != NUMBER_HUGE : bits_of(number.real) != bits_of(want))
    FAIL("%s reads as %a, not %a", text, number.real, want);
}

TEST(random_floats_read_as_the_nearest_double) {
  for (long round = check_rounds(100000); round > 0; round--) {
    char text[128];
    size_t len = 0;
    if (check_below(2)) text[len++] = '-';
    text[len++] = (char)('1' + check_below(9));
    for (uint64_t n = check_below(25); n > 0; n--) text[len++] = (char)('0' + check_below(10));
    text[len++] = '.';
    for (uint64_t n = 1 + check_below(25); n > 0; n--) text[len++] = (char)('0' + check_below(10));
    text[len] = '\0';
    if (check_below(2)) snprintf(text + len, sizeof text - len, "e%d", (int)check_below(700) - 350);
    check_like_strtod(text);
  }
}

TEST(halfway_is_rounded_to_even_and_anything_more_up) {
  char text[4096];
  for (int i = 0; i < 200; i++) {
    double low = from_bits((UINT64_C(1023) + check_below(40)) << 52 | check_random() >> 12);
    int len = snprintf(text, sizeof text, "%.120Lf", (long double)low + ldexpl(1, ilogb(low) - 53));
    check_like_strtod(text);
    memset(text + len, '0', 2000);
    memcpy(text + len + 2000, "1", 2);
    check_like_strtod(text);
    if (read_text(text).real <= low) FAIL("a little more than halfway from %a", low);
  }
}

TEST(long_numbers_cost_no_exactness) {
  char text[8192];
  memset(text, '0', sizeof text);
  memcpy(text, "0.", 2);
  strcpy(text + 5000, "15e4999");
  CHECK(read_text(text).real == 1.5);
  memset(text, '0', sizeof text);
  text[0] = '1';
  strcpy(text + 5001, ".0e-5000");
  CHECK(read_text(text).real == 1);
}

TEST(no_locale_has_a_say) {
  static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "nl_NL.UTF-8", "ps_AF.UTF-8"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!setlocale(LC_NUMERIC, names[i])) continue;
    bool right = strcmp(printed(0.1 + 0.2), "0.30000000000000004") == 0 &&
                 read_text("0.30000000000000004").real == 0.1 + 0.2;
    setlocale(LC_NUMERIC, "C");
    CHECK(right);
  }
}
