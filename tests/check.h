/* Tests in plain C.
 *
 * A test program is some files of `TEST(what_it_promises) { CHECK(…); }`, linked with check.c, which has the
 * main: it runs all tests, or those whose name contains the first argument, and ends with "N passed, N
 * failed". A check that fails is printed and ends its test at once; what the test had allocated is then lost,
 * which a sanitizer may report as well. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_test {
  const char *name;
  void (*run)(void);
  struct check_test *next;
};

void check_add(struct check_test *test);

/* Ends the running test as failed. */
_Noreturn void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void check_str(const char *file, int line, const char *what, const char *got, const char *want);
void check_int(const char *file, int line, const char *what, long long got, long long want);
void check_bytes(const char *file, int line, const char *what, const void *got, size_t got_len,
                 const void *want, size_t want_len);

#define TEST(test_name)                                                                                      \
  static void test_name(void);                                                                               \
  __attribute__((constructor)) static void check_add_##test_name(void) {                                     \
    static struct check_test test = {.name = #test_name, .run = test_name};                                  \
    check_add(&test);                                                                                        \
  }                                                                                                          \
  static void test_name(void)

#define FAIL(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(x)                                                                                             \
  do {                                                                                                       \
    if (!(x)) FAIL("%s", #x);                                                                                \
  } while (0)
#define CHECK_STR(got, want) check_str(__FILE__, __LINE__, #got, got, want)
#define CHECK_INT(got, want) check_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_BYTES(got, got_len, want, want_len)                                                            \
  check_bytes(__FILE__, __LINE__, #got, got, got_len, want, want_len)

/* Random numbers for property tests, the same for the same SEED of the environment; without one it is chosen
 * and printed when a test fails. */
uint64_t check_random(void);
uint64_t check_below(uint64_t bound); /* 0 to bound - 1 */
uint64_t check_seed(void);            /* of this run, for tests that print what they have tried */

/* ROUNDS of the environment, or `usual`. */
long check_rounds(long usual);

/* Fails the nth allocation of the host from now on (1 is the next) and lets all others through; 0 ends it.
 * check_alloc_failed says whether it came to that. */
void check_fail_alloc(long nth);
bool check_alloc_failed(void);

#endif
