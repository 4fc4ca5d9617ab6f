/* Tests of bots, from the host's side: memory that runs out while one runs costs that test, and nothing leaks
 * (which a sanitizer sees). What authors see is in cli/author_test.sh. */
#include "script/trial.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "helpers/temp.h"

static const char bot_source[] = "bot.on('message', function(e) print(e.text) e:reply('hi')\n"
                                 "  appData:update('n', function(n) return n + 1 end, 0) end)\n"
                                 "bot.after(5, function() error('late') end)\n";
static const char test_source[] = "test('a', function()\n"
                                  "  test.equal(test.say('ann', 'x'), {'hi'})\n"
                                  "  test.advance(5) test.contains(test.errors(), 'late') test.restart()\n"
                                  "  test.equal(#test.log(), 1)\n"
                                  "  test.equal({a = 1}, {a = 2})\n"
                                  "end)\n";

/* From beginning to end; whether it went as it does with memory enough. */
static bool try_it(const struct trial_options *options) {
  struct trial *trial;
  struct err err;
  if (trial_open(&trial, options, &err)) return false;
  bool right = trial_cases(trial) == 1 && !trial_run(trial, 0) &&
               strstr(trial_failure(trial), "at .a: got 1, wanted 2") && trial_log(trial);
  trial_close(trial);
  return right;
}

static const char *make_folder(void) {
  const char *dir = temp_dir();
  temp_write(temp_path(dir, "hello.lua"), bot_source);
  temp_write(temp_path(dir, "hello_test.lua"), test_source);
  return dir;
}

TEST(every_allocation_may_fail) {
  struct trial_options options = {.dir = make_folder(), .file = "hello_test.lua", .cpu_budget_ms = 60000};
  CHECK(try_it(&options));
  long nth = 1, tries = 0;
  for (bool failed = true; failed; nth += 1 + nth / 40) { /* the first ones all, later ones some of them */
    check_fail_alloc(nth);
    try_it(&options);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    tries++;
  }
  CHECK(tries > 100); /* it did come to the end */
}
