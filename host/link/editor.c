#include "link/editor.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY_LINES = 1000 };

/* libedit's face of readline. */
static struct {
  char *(*readline)(const char *prompt);
  int (*using_history)(void);
  int (*add_history)(const char *line);
  int (*read_history)(const char *path);
  int (*write_history)(const char *path);
  int (*stifle_history)(int lines);
  char **(*matches)(const char *text, char *(*next)(const char *text, int state));
  char **(**completer)(const char *text, int begin, int end);
  const char **word_breaks;
  int *append_character;
} edit;
static struct editor *open_editor; /* that completion asks */
static struct buf names;           /* of the completion under way */
static size_t next_name;

static bool find(void *library, void *place, const char *name) {
  void *found = dlsym(library, name);
  memcpy(place, &found, sizeof found);
  return found != NULL;
}

static bool load_library(void) {
  void *library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
  return library && find(library, &edit.readline, "readline") &&
         find(library, &edit.using_history, "using_history") &&
         find(library, &edit.add_history, "add_history") &&
         find(library, &edit.read_history, "read_history") &&
         find(library, &edit.write_history, "write_history") &&
         find(library, &edit.stifle_history, "stifle_history") &&
         find(library, &edit.matches, "rl_completion_matches") &&
         find(library, &edit.completer, "rl_attempted_completion_function") &&
         find(library, &edit.word_breaks, "rl_completer_word_break_characters") &&
         find(library, &edit.append_character, "rl_completion_append_character");
}

/* ---- completion ---- */

/* Each call gives the next name, in memory that libedit frees. */
static char *give_name(const char *text, int state) {
  if (state == 0) {
    buf_clear(&names);
    next_name = 0;
    open_editor->complete(open_editor->ctx, text, &names);
  }
  if (names.failed || next_name >= names.len) return NULL;
  char *name = strdup(names.data + next_name);
  next_name += strlen(names.data + next_name) + 1;
  return name;
}

static char **on_complete(const char *text, int begin, int end) {
  (void)begin, (void)end;
  *edit.append_character = '\0';
  return open_editor->complete ? edit.matches(text, give_name) : NULL;
}

/* ---- its life ---- */

static char *history_path(const char *name) {
  const char *home = getenv("HOME");
  char *path = NULL;
  if (!home || !*home || asprintf(&path, "%s/%s", home, name) < 0) return NULL;
  return path;
}

void editor_open(struct editor *editor, const char *history_name) {
  editor->tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  editor->has_library = editor->tty && load_library();
  editor->history = editor->has_library ? history_path(history_name) : NULL;
  open_editor = editor;
  if (!editor->has_library) return;
  edit.using_history();
  edit.stifle_history(HISTORY_LINES);
  if (editor->history) edit.read_history(editor->history);
  *edit.completer = on_complete;
  *edit.word_breaks = " \t\n\"'`()[]{}+-*/%^#=<>~|&,;";
}

static bool read_plainly(struct editor *editor, const char *prompt, struct buf *line) {
  char *text = NULL;
  size_t room = 0;
  if (editor->tty) {
    fputs(prompt, stdout);
    fflush(stdout);
  }
  ssize_t len = getline(&text, &room, stdin);
  if (len > 0 && text[len - 1] == '\n') len--;
  if (len > 0) buf_add(line, text, (size_t)len);
  free(text);
  return len >= 0;
}

bool editor_read(struct editor *editor, const char *prompt, struct buf *line) {
  if (!editor->has_library) return read_plainly(editor, prompt, line);
  char *text = edit.readline(prompt);
  if (!text) return false;
  buf_puts(line, text);
  free(text);
  return true;
}

void editor_remember(struct editor *editor, const char *line) {
  if (editor->has_library && *line) edit.add_history(line);
}

void editor_close(struct editor *editor) {
  if (editor->has_library && editor->history) {
    mode_t mask = umask(0077);
    edit.write_history(editor->history);
    umask(mask);
  }
  free(editor->history);
  buf_deinit(&names);
  open_editor = NULL;
}
