/* Numbers as text, read and written exactly, without a locale: what JSON needs of strtod and printf. Any
 * thread. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum { NUMBER_TEXT = 32 }; /* room for any number that is printed here */

enum number_type {
  NUMBER_INTEGER,
  NUMBER_FLOAT,
  NUMBER_BROKEN, /* not a number of JSON, or cut off by the end */
  NUMBER_WIDE,   /* an integer beyond 64 bits */
  NUMBER_HUGE,   /* a float beyond the largest double */
};

struct number {
  enum number_type type;
  int64_t integer; /* NUMBER_INTEGER; -0 is 0 */
  double real;     /* NUMBER_FLOAT: the nearest double, 0.0 for what is too small */
};

/* Reads the JSON number that begins at `at` into *out and returns its end, or for NUMBER_BROKEN the place
 * that is wrong. at <= end; does not look at what follows the number. */
const char *number_read(const char *at, const char *end, struct number *out);

/* Both return the length; no NUL is added. A float (finite) gets the fewest digits that read back to the same
 * double, of those the closest to it, and always a `.` or an `e`: plain from 1e-7 up to 1e17, else
 * as 1.5e+300. */
size_t number_print_integer(char out[NUMBER_TEXT], int64_t integer);
size_t number_print_float(char out[NUMBER_TEXT], double number);

#endif
