/* "Did you mean …?": the known name that is nearest to a mistyped one. */
#ifndef SCRIPT_GUESS_H
#define SCRIPT_GUESS_H

struct guess {
  const char *word; /* borrowed, as are the names tried */
  const char *best; /* NULL: nothing near enough */
  unsigned distance;
};

void guess_init(struct guess *guess, const char *word);
void guess_try(struct guess *guess, const char *name);

/* The rest of a sentence: ` (did you mean "update"?)`, or nothing. Written to out, which it returns. */
const char *guess_text(const struct guess *guess, char out[96]);

#endif
