#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

static struct check_test *first, **last = &first;
static struct check_test *running;
static jmp_buf ended;
static uint64_t seed, state;
static _Atomic long allocs_left;
static _Atomic bool alloc_failed;

void check_add(struct check_test *test) {
  *last = test;
  last = &test->next;
}

void check_fail(const char *file, int line, const char *format, ...) {
  va_list args;
  printf("FAILED %s: %s:%d: ", running->name, file, line);
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  printf(" (SEED=%llu)\n", (unsigned long long)seed);
  longjmp(ended, 1);
}

void check_str(const char *file, int line, const char *what, const char *got, const char *want) {
  if (!got || strcmp(got, want) != 0)
    check_fail(file, line, "%s\n  is     %s\n  not as %s\n", what, got ? got : "NULL", want);
}

void check_int(const char *file, int line, const char *what, long long got, long long want) {
  if (got != want) check_fail(file, line, "%s is %lld, not %lld", what, got, want);
}

void check_bytes(const char *file, int line, const char *what, const void *got, size_t got_len,
                 const void *want, size_t want_len) {
  if (got_len == want_len && (want_len == 0 || memcmp(got, want, want_len) == 0)) return;
  check_fail(file, line, "%s\n  is     %.*s\n  not as %.*s\n", what, (int)got_len, (const char *)got,
             (int)want_len, (const char *)want);
}

/* splitmix64 */
uint64_t check_random(void) {
  uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

uint64_t check_seed(void) {
  return seed;
}

uint64_t check_below(uint64_t bound) {
  return check_random() % bound;
}

long check_rounds(long usual) {
  const char *rounds = getenv("ROUNDS");
  return rounds ? atol(rounds) : usual;
}

/* Threads of the store's allocate too: exactly one of them gets the nth. */
static bool gate(void) {
  if (atomic_fetch_sub(&allocs_left, 1) != 1) return true;
  alloc_failed = true;
  return false;
}

void check_fail_alloc(long nth) {
  allocs_left = nth;
  alloc_failed = false;
  mem_set_gate(nth ? gate : NULL);
}

bool check_alloc_failed(void) {
  return alloc_failed;
}

/* Each test starts from the seed, so that it does the same alone as among others. */
static bool run(struct check_test *test) {
  running = test;
  state = seed;
  bool passed = setjmp(ended) == 0;
  if (passed) test->run();
  check_fail_alloc(0);
  if (passed) printf("ok %s\n", test->name);
  fflush(stdout);
  return passed;
}

int main(int argc, char **argv) {
  const char *given = getenv("SEED");
  seed = given ? strtoull(given, NULL, 10) : map_random() >> 32;
  int passed = 0, failed = 0;
  for (struct check_test *test = first; test; test = test->next) {
    if (argc > 1 && !strstr(test->name, argv[1])) continue;
    if (run(test))
      passed++;
    else
      failed++;
  }
  printf("%d passed, %d failed\n", passed, failed);
  fflush(stdout);
  return failed || passed == 0;
}

#ifdef __SANITIZE_THREAD__
/* libuv closes descriptors by a system call of its own, which the sanitizer does not see: whoever is given
 * the number next seems to race with libuv. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
  return "race:libuv.so.1\n";
}
#endif
