#include "script/guess.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 32, FARTHEST = 2 };

static unsigned least(unsigned a, unsigned b, unsigned c) {
  unsigned least = a < b ? a : b;
  return least < c ? least : c;
}

/* How many letters have to be put in, taken out or changed to make one word of the other, no matter the case.
 */
static unsigned distance(const char *a, const char *b) {
  unsigned row[LONGEST + 1];
  size_t a_len = strlen(a), b_len = strlen(b);
  if (a_len > LONGEST || b_len > LONGEST) return LONGEST;
  for (unsigned j = 0; j <= b_len; j++) row[j] = j;
  for (unsigned i = 1; i <= a_len; i++) {
    unsigned diagonal = row[0];
    row[0] = i;
    for (unsigned j = 1; j <= b_len; j++) {
      bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
      unsigned next = least(row[j] + 1, row[j - 1] + 1, diagonal + !same);
      diagonal = row[j];
      row[j] = next;
    }
  }
  return row[b_len];
}

void guess_init(struct guess *guess, const char *word) {
  *guess = (struct guess){word, NULL, FARTHEST + 1};
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
