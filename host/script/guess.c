#include "script/guess.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 32, FARTHEST = 2, SHORT = 3 };

static unsigned least(unsigned a, unsigned b, unsigned c) {
  unsigned least = a < b ? a : b;
  return least < c ? least : c;
}

static bool same(char a, char b) {
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* How many letters have to be put in, taken out, changed, or swapped with their neighbour, to make one word
 * of the other, no matter the case. */
static unsigned distance(const char *a, const char *b) {
  unsigned rows[3][LONGEST + 1];
  size_t a_len = strlen(a), b_len = strlen(b);
  if (a_len > LONGEST || b_len > LONGEST) return LONGEST;
  for (unsigned j = 0; j <= b_len; j++) rows[0][j] = j;
  for (unsigned i = 1; i <= a_len; i++) {
    unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (unsigned j = 1; j <= b_len; j++) {
      row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same(a[i - 1], b[j - 1]));
      bool swapped = i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]);
      if (swapped && two_above[j - 2] + 1 < row[j]) row[j] = two_above[j - 2] + 1;
    }
  }
  return rows[a_len % 3][b_len];
}

void guess_init(struct guess *guess, const char *word) {
  *guess = (struct guess){word, NULL, (strlen(word) <= SHORT ? 1 : FARTHEST) + 1};
}

void guess_try(struct guess *guess, const char *name) {
  unsigned d = distance(guess->word, name);
  if (d >= guess->distance || d >= strlen(name)) return;
  guess->best = name;
  guess->distance = d;
}

const char *guess_text(const struct guess *guess, char out[96]) {
  out[0] = '\0';
  if (guess->best) snprintf(out, 96, " (did you mean \"%s\"?)", guess->best);
  return out;
}
