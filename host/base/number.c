#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fast paths count on one correctly rounded operation on exact operands. */
_Static_assert(FLT_EVAL_METHOD == 0, "double arithmetic must round to double");

/* The powers of ten that a double holds exactly. */
static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { TENS = sizeof tens / sizeof *tens };

/* Reading. */

enum {
  WHOLE_DIGITS = 19,     /* as many fit into 64 bits, whichever they are */
  HALFWAY_DIGITS = 768,  /* more than a point halfway between two doubles ever has */
  EXPONENT_LIMIT = 9999, /* no double of HALFWAY_DIGITS digits lives beyond it */
};

static bool is_digit(char c) {
  return (unsigned char)(c - '0') < 10;
}

static const char *skip_digits(const char *at, const char *end, uint64_t *digits) {
  uint64_t value = *digits;
  for (; at < end && is_digit(*at); at++) value = value * 10 + (unsigned char)(*at - '0');
  *digits = value;
  return at;
}

/* A float's pieces, as they stand in the text. */
struct pieces {
  const char *digits, *digits_end; /* with the point, if there is one */
  int64_t exponent;                /* of the last digit */
  size_t count;                    /* how many digits */
  uint64_t value;                  /* of the digits, while count <= WHOLE_DIGITS */
};

/* What strtod is given has digits and an exponent only, because what it takes for a point depends on the
 * locale. Digits beyond HALFWAY_DIGITS count only as "a little more". */
static double read_slowly(const struct pieces *p) {
  char text[HALFWAY_DIGITS + 16];
  size_t len = 0;
  int64_t exponent = p->exponent;
  bool more = false;
  for (const char *at = p->digits; at < p->digits_end; at++) {
    if (*at == '.' || (*at == '0' && len == 0)) continue;
    if (len < HALFWAY_DIGITS) {
      text[len++] = *at;
    } else {
      more |= *at != '0';
      exponent++;
    }
  }
  if (len == 0) return 0.0;
  if (more) {
    text[len++] = '1';
    exponent--;
  }
  if (exponent > EXPONENT_LIMIT) exponent = EXPONENT_LIMIT;
  if (exponent < -EXPONENT_LIMIT) exponent = -EXPONENT_LIMIT;
  snprintf(text + len, sizeof text - len, "e%d", (int)exponent);
  return strtod(text, NULL);
}

static double read_float(const struct pieces *p) {
  bool exact = p->count <= WHOLE_DIGITS && p->value <= UINT64_C(1) << DBL_MANT_DIG;
  if (exact && p->exponent <= 0 && p->exponent > -TENS) return (double)p->value / tens[-p->exponent];
  if (exact && p->exponent > 0 && p->exponent < TENS) return (double)p->value * tens[p->exponent];
  return read_slowly(p);
}

static const char *broken(struct number *out, const char *at) {
  out->type = NUMBER_BROKEN;
  return at;
}

/* Reads what stands behind the `e`; when that has no digits, what it returns has none before it. */
static const char *read_exponent(const char *at, const char *end, int64_t *exponent) {
  bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) at++;
  const int64_t far =
      INT64_C(1) << 60; /* beyond any text's length, so that zeros in front cannot outweigh it */
  int64_t value = 0;
  for (; at < end && is_digit(*at); at++)
    if (value < far / 10) value = value * 10 + (*at - '0');
  *exponent += negative ? -value : value;
  return at;
}

static const char *finish_float(const char *at, const char *end, bool negative, struct pieces *p,
                                struct number *out) {
  if (at < end && *at == '.') {
    const char *fraction = ++at;
    at = skip_digits(at, end, &p->value);
    if (at == fraction) return broken(out, at);
    p->count += (size_t)(at - fraction);
    p->exponent = -(int64_t)(at - fraction);
  }
  p->digits_end = at;
  if (at < end && (*at == 'e' || *at == 'E')) {
    at = read_exponent(at + 1, end, &p->exponent);
    if (!is_digit(at[-1])) return broken(out, at);
  }
  double real = read_float(p);
  out->type = isinf(real) ? NUMBER_HUGE : NUMBER_FLOAT;
  out->real = negative ? -real : real;
  return at;
}

static const char *finish_integer(const char *at, bool negative, const struct pieces *p, struct number *out) {
  uint64_t most = (uint64_t)INT64_MAX + negative;
  if (p->count > WHOLE_DIGITS || p->value > most) {
    out->type = NUMBER_WIDE;
    return at;
  }
  out->type = NUMBER_INTEGER;
  out->integer = negative ? (int64_t)(0 - p->value) : (int64_t)p->value;
  return at;
}

const char *number_read(const char *at, const char *end, struct number *out) {
  bool negative = at < end && *at == '-';
  at += negative;
  struct pieces p = {.digits = at};
  at = skip_digits(at, end, &p.value);
  p.count = (size_t)(at - p.digits);
  if (p.count == 0) return broken(out, at);
  if (p.count > 1 && *p.digits == '0') return broken(out, p.digits + 1);
  if (at == end || (*at != '.' && *at != 'e' && *at != 'E')) return finish_integer(at, negative, &p, out);
  return finish_float(at, end, negative, &p, out);
}

/* Printing. */

/* The digits of a float without its point: 0.25 is "25" with exponent -1, the power of ten of the first. */
struct decimal {
  char digits[NUMBER_TEXT];
  int len;
  int exponent;
};

enum {
  SAFE_DIGITS = 15, /* decimals of so many digits are all different doubles */
  FULL_DIGITS = 17, /* and of so many, each double has one */
  PLAIN_LEAST = -7, /* the exponents that are printed without an `e` */
  PLAIN_MOST = 16,
};

/* Writes the digits so that they end at `end`, two at a time, and returns where they begin. */
static char *put_digits(char *end, uint64_t value) {
  static const char pairs[] =
      "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
      "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
      "8081828384858687888990919293949596979899";
  for (; value >= 100; value /= 100) memcpy(end -= 2, pairs + value % 100 * 2, 2);
  if (value >= 10) {
    memcpy(end -= 2, pairs + value * 2, 2);
    return end;
  }
  *--end = (char)('0' + value);
  return end;
}

size_t number_print_integer(char out[NUMBER_TEXT], int64_t integer) {
  if (integer >= 0 && integer < 10) {
    out[0] = (char)('0' + integer);
    return 1;
  }
  char text[NUMBER_TEXT], *end = text + sizeof text;
  uint64_t size = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
  char *begin = put_digits(end, size);
  if (integer < 0) *--begin = '-';
  memcpy(out, begin, (size_t)(end - begin));
  return (size_t)(end - begin);
}

static void drop_zeros(struct decimal *d) {
  while (d->len > 1 && d->digits[d->len - 1] == '0') d->len--;
}

/* Most floats that people store are whole / 10^k with few digits. The least k for which the division gives
 * the same double is the shortest form: with at most SAFE_DIGITS digits there is but one candidate for each
 * k, and the product, off by less than a third, rounds to it. */
static bool shortest_fast(double number, struct decimal *d) {
  for (int k = 0; k < TENS; k++) {
    double scaled = number * tens[k];
    if (!(scaled < tens[SAFE_DIGITS] - 1)) return false;
    int64_t whole = (int64_t)(scaled + 0.5);
    if (fabs(scaled - (double)whole) > scaled * 0x1p-51 || (double)whole / tens[k] != number) continue;
    char text[NUMBER_TEXT], *end = text + sizeof text, *begin = put_digits(end, (uint64_t)whole);
    d->len = (int)(end - begin);
    memcpy(d->digits, begin, (size_t)d->len);
    d->exponent = d->len - 1 - k;
    drop_zeros(d);
    return true;
  }
  return false;
}

/* The decimal of len digits that is closest to the number. What printf puts between the digits is the
 * locale's. */
static void round_to(double number, int len, struct decimal *d) {
  char text[64];
  snprintf(text, sizeof text, "%.*e", len - 1, number);
  const char *at = text;
  for (d->len = 0; *at != 'e'; at++)
    if (is_digit(*at)) d->digits[d->len++] = *at;
  d->exponent = atoi(at + 1);
}

static bool reads_back(const struct decimal *d, double number) {
  char text[NUMBER_TEXT + 16];
  memcpy(text, d->digits, (size_t)d->len);
  snprintf(text + d->len, sizeof text - (size_t)d->len, "e%d", d->exponent - (d->len - 1));
  return strtod(text, NULL) == number;
}

/* The next decimal of the same length. */
static void step_up(struct decimal *d) {
  int i = d->len - 1;
  while (i >= 0 && d->digits[i] == '9') d->digits[i--] = '0';
  if (i >= 0) {
    d->digits[i]++;
    return;
  }
  d->digits[0] = '1';
  d->exponent++;
}

/* A power of two has more room above than below, so the closest decimal can miss it from below where the next
 * one still reads back. Elsewhere the closest is the best there is. */
static bool shortest_of(double number, int len, struct decimal *d) {
  round_to(number, len, d);
  if (reads_back(d, number)) return true;
  int exponent;
  if (frexp(number, &exponent) != 0.5) return false;
  step_up(d);
  return reads_back(d, number);
}

/* If a decimal of SAFE_DIGITS digits reads back it is the only one, and all shorter forms are it without its
 * zeros. Subnormal doubles stand too far apart for that: theirs are looked for from one digit on. */
static void shortest_slow(double number, struct decimal *d) {
  int len = number < DBL_MIN ? 1 : SAFE_DIGITS;
  while (len < FULL_DIGITS && !shortest_of(number, len, d)) len++;
  if (len == FULL_DIGITS) round_to(number, len, d);
  drop_zeros(d);
}

static char *put_bytes(char *at, const char *bytes, int len) {
  memcpy(at, bytes, (size_t)len);
  return at + len;
}

static char *put_zeros(char *at, int count) {
  if (count > 0) memset(at, '0', (size_t)count);
  return at + (count > 0 ? count : 0);
}

static char *put_plain(char *at, const struct decimal *d) {
  if (d->exponent < 0) {
    at = put_zeros(put_bytes(at, "0.", 2), -d->exponent - 1);
    return put_bytes(at, d->digits, d->len);
  }
  int whole = d->exponent + 1;
  if (d->len <= whole) {
    at = put_zeros(put_bytes(at, d->digits, d->len), whole - d->len);
    return put_bytes(at, ".0", 2);
  }
  at = put_bytes(at, d->digits, whole);
  *at++ = '.';
  return put_bytes(at, d->digits + whole, d->len - whole);
}

static char *put_scientific(char *at, const struct decimal *d) {
  *at++ = d->digits[0];
  if (d->len > 1) {
    *at++ = '.';
    at = put_bytes(at, d->digits + 1, d->len - 1);
  }
  *at++ = 'e';
  *at++ = d->exponent < 0 ? '-' : '+';
  char power[NUMBER_TEXT];
  size_t len = number_print_integer(power, abs(d->exponent));
  return put_bytes(at, power, (int)len);
}

size_t number_print_float(char out[NUMBER_TEXT], double number) {
  char *at = out;
  if (signbit(number)) *at++ = '-';
  double size = fabs(number);
  struct decimal d = {.digits = "0", .len = 1};
  if (size != 0 && !shortest_fast(size, &d)) shortest_slow(size, &d);
  bool plain = d.exponent >= PLAIN_LEAST && d.exponent <= PLAIN_MOST;
  at = plain ? put_plain(at, &d) : put_scientific(at, &d);
  return (size_t)(at - out);
}
