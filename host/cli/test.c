/* `moonkeep test` and `moonkeep check-scripts`: for the people who write bots. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "script/trial.h"

static const char ENDING[] = "_test.lua";

/* ---- which files ---- */

struct files {
  char **all; /* owned, as are the names: relative to the folder */
  size_t count, cap;
  bool failed; /* no memory */
};

static bool ends_with(const char *text, const char *ending) {
  size_t len = strlen(text), ending_len = strlen(ending);
  return len > ending_len && strcmp(text + len - ending_len, ending) == 0;
}

static void add_file(struct files *files, const char *name) {
  if (files->count == files->cap) {
    size_t cap = files->cap ? files->cap * 2 : 16;
    char **all = mem_resize(files->all, cap * sizeof *all);
    if (!all) {
      files->failed = true;
      return;
    }
    files->all = all;
    files->cap = cap;
  }
  char *copy = mem_copy(name, strlen(name));
  if (copy)
    files->all[files->count++] = copy;
  else
    files->failed = true;
}

static void files_deinit(struct files *files) {
  for (size_t i = 0; i < files->count; i++) mem_free(files->all[i]);
  mem_free(files->all);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The tests of the folder and of its own folders. `below` is "" or one of these with a slash. */
static void find_files(struct files *files, const char *dir, const char *below) {
  struct buf path = {0}, name = {0};
  buf_printf(&path, "%s/%s", dir, below);
  DIR *folder = opendir(buf_text(&path));
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.' || entry->d_name[0] == '_') continue;
    buf_clear(&path);
    buf_clear(&name);
    buf_printf(&name, "%s%s", below, entry->d_name);
    buf_printf(&path, "%s/%s", dir, buf_text(&name));
    if (ends_with(entry->d_name, ENDING)) {
      add_file(files, buf_text(&name));
    } else if (!*below && is_folder(buf_text(&path))) {
      buf_putc(&name, '/');
      find_files(files, dir, buf_text(&name));
    }
  }
  if (folder) closedir(folder);
  files->failed |= path.failed || name.failed;
  buf_deinit(&path);
  buf_deinit(&name);
}

/* ---- the run ---- */

struct run {
  struct cli *cli;
  struct trial_options options;
  const char *only; /* part of the names of the cases or files to run; NULL: all */
  const char *file;
  bool shown;   /* the file's name */
  bool all;     /* the file's own name matches `only` */
  bool listing; /* the file runs only to tell its cases */
  unsigned passed, failed;
};

/* Lines that end in their own newline, moved to the right. */
static void put_indented(struct buf *out, const char *text, const char *margin) {
  while (*text) {
    size_t len = strcspn(text, "\n");
    buf_puts(out, margin);
    buf_add(out, text, len);
    buf_putc(out, '\n');
    text += len + (text[len] == '\n');
  }
}

static void put_word(struct run *run, struct buf *out, enum style style, const char *word) {
  console_style(&run->cli->console, CONSOLE_OUT, out, style);
  buf_puts(out, word);
  console_style(&run->cli->console, CONSOLE_OUT, out, STYLE_NONE);
}

static void write_out(struct run *run, struct buf *out) {
  if (!out->failed) console_write(&run->cli->console, CONSOLE_OUT, out->data, out->len);
  buf_clear(out);
}

static void put_file(struct run *run, struct buf *out) {
  if (!run->shown) put_word(run, out, STYLE_BOLD, run->file), buf_putc(out, '\n');
  run->shown = true;
}

/* What scripts have written is shown, not obeyed, on a terminal. */
static void put_text(struct run *run, struct buf *out, const char *text, const char *margin) {
  struct buf safe = {0};
  console_put(&run->cli->console, CONSOLE_OUT, &safe, text, strlen(text));
  put_indented(out, buf_text(&safe), margin);
  buf_deinit(&safe);
}

/* name NULL: the file itself. */
static void report(struct run *run, struct trial *trial, const char *name, bool passed) {
  struct buf out = {0};
  put_file(run, &out);
  buf_puts(&out, "  ");
  put_word(run, &out, passed ? STYLE_GREEN : STYLE_RED, passed ? "ok  " : "FAIL");
  buf_puts(&out, "  ");
  if (name)
    put_text(run, &out, name, "");
  else
    buf_puts(&out, "the file does not run\n");
  if (!passed) {
    put_text(run, &out, trial_failure(trial), "        ");
    const char *log = trial_log(trial);
    if (*log) buf_puts(&out, "        the log:\n");
    put_text(run, &out, log, "          ");
  }
  write_out(run, &out);
  buf_deinit(&out);
  if (passed)
    run->passed++;
  else
    run->failed++;
}

/* A test's own lines are shown as they come, a bot's where the person has asked for such. */
static void on_log(void *ctx, bool own, enum log_level level, const char *source, const char *text) {
  struct run *run = ctx;
  const struct settings *settings = &run->cli->settings;
  struct buf out = {0};
  if (run->listing) return;
  if (own ? level < LOG_INFO : !settings->has_log_level || level < settings->log_level) return;
  put_file(run, &out);
  if (own)
    put_text(run, &out, text, "        ");
  else
    buf_printf(&out, "        %s %s: %s\n", log_level_name(level), source, text);
  write_out(run, &out);
  buf_deinit(&out);
}

static bool is_wanted(const struct run *run, const char *name) {
  return run->all || !run->only || strstr(name, run->only);
}

/* In a trial of its own. False: there was none to be had. */
static bool run_case(struct run *run, size_t i, struct err *err) {
  struct trial *trial;
  if (trial_open(&trial, &run->options, err)) return false;
  if (i >= trial_cases(trial)) /* the file is not the same each time it runs */
    report(run, trial, NULL, false);
  else
    report(run, trial, trial_case(trial, i), trial_run(trial, i));
  trial_close(trial);
  return true;
}

/* A first trial tells which cases there are. */
static bool run_file(struct run *run, const char *file, struct err *err) {
  struct trial *list;
  run->file = run->options.file = file;
  run->shown = false;
  run->all = run->only && strstr(file, run->only);
  run->listing = true;
  if (trial_open(&list, &run->options, err)) return false;
  run->listing = false;
  if (*trial_failure(list)) report(run, list, NULL, false);
  bool ok = true;
  for (size_t i = 0, count = trial_cases(list); ok && i < count; i++)
    if (is_wanted(run, trial_case(list, i))) ok = run_case(run, i, err);
  trial_close(list);
  return ok;
}

static struct trial_options options_from(const struct settings *settings) {
  return (struct trial_options){
      .dir = settings->argument_count > 0 ? settings->arguments[0] : "scripts",
      .file = "",
      .cpu_budget_ms = (int64_t)ceil(settings->cpu_budget_s * 1000),
      .memory_bytes = settings->memory_bytes,
      .value_bytes = settings->value_bytes,
  };
}

static enum exit_status run_files(struct run *run, const struct files *files) {
  struct err err;
  struct buf out = {0};
  for (size_t i = 0; i < files->count; i++)
    if (!run_file(run, files->all[i], &err)) return failed(run->cli, &err);
  buf_printf(&out, "%u passed, %u failed\n", run->passed, run->failed);
  write_out(run, &out);
  buf_deinit(&out);
  if (run->passed + run->failed > 0) return run->failed ? EXIT_FAILED : EXIT_DONE;
  console_complain(&run->cli->console, "no case has \"%s\" in its name", run->only ? run->only : "");
  return EXIT_FAILED;
}

/* SCRIPTS may also be one test of a folder. */
static char *split(struct run *run, struct files *files) {
  const char *path = run->options.dir, *slash = strrchr(path, '/');
  if (!ends_with(path, ENDING) || is_folder(path)) return NULL;
  char *dir = slash ? mem_copy(path, slash > path ? (size_t)(slash - path) : 1) : mem_copy(".", 1);
  add_file(files, slash ? slash + 1 : path);
  if (!dir) files->failed = true;
  run->options.dir = dir;
  return dir;
}

/* What a case says of the time of day holds on every machine. */
static void use_world_time(void) {
  setenv("TZ", "UTC0", 1);
  tzset();
}

enum exit_status command_test(struct cli *cli) {
  struct run run = {.cli = cli, .options = options_from(&cli->settings)};
  struct files files = {0};
  enum exit_status status;
  run.only = cli->settings.argument_count > 1 ? cli->settings.arguments[1] : NULL;
  run.options.log = on_log;
  run.options.ctx = &run;
  use_world_time();
  char *dir = split(&run, &files);
  if (!dir) find_files(&files, run.options.dir, "");
  if (files.count) qsort(files.all, files.count, sizeof *files.all, by_name);
  if (files.failed) {
    console_complain(&cli->console, "out of memory");
    status = EXIT_FAILED;
  } else if (files.count == 0) {
    console_complain(&cli->console,
                     is_folder(run.options.dir) ? "no tests in %s: a test is a file like hello_test.lua there"
                                                : "there is no folder %s",
                     run.options.dir);
    status = EXIT_FAILED;
  } else {
    status = run_files(&run, &files);
  }
  files_deinit(&files);
  mem_free(dir);
  return status;
}

/* ---- check-scripts ---- */

static void on_problem(void *ctx, enum log_level level, const char *script, const char *message,
                       const char *trace) {
  struct run *run = ctx;
  struct buf out = {0};
  put_word(run, &out, level == LOG_ERROR ? STYLE_RED : STYLE_YELLOW, log_level_name(level));
  buf_printf(&out, " %s: ", script);
  put_text(run, &out, message, "");
  put_text(run, &out, trace, "");
  write_out(run, &out);
  buf_deinit(&out);
}

enum exit_status command_check_scripts(struct cli *cli) {
  struct run run = {.cli = cli, .options = options_from(&cli->settings)};
  struct trial_check check = {.problem = on_problem, .ctx = &run};
  struct err err;
  int bad = trial_check(&check, &run.options, &err);
  if (bad < 0) return failed(cli, &err);
  struct buf out = {0};
  buf_printf(&out, "%zu script%s can be loaded, %d cannot\n", check.loaded, check.loaded == 1 ? "" : "s",
             bad);
  write_out(&run, &out);
  buf_deinit(&out);
  return bad ? EXIT_FAILED : EXIT_DONE;
}
