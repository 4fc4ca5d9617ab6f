/* Processes: what they have used, and servers that are started for the bench and end with it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

void bench_must(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "bench: %s failed\n", what);
  exit(1);
}

/* The number behind `name` in /proc/PID/FILE. */
static double proc_number(pid_t pid, const char *file, const char *name) {
  char path[64], line[256];
  double number = 0;
  snprintf(path, sizeof path, "/proc/%d/%s", (int)(pid ? pid : getpid()), file);
  FILE *lines = fopen(path, "r");
  bench_must(lines != NULL, path);
  while (fgets(line, sizeof line, lines))
    if (strncmp(line, name, strlen(name)) == 0) number = atof(line + strlen(name));
  fclose(lines);
  return number;
}

/* User and system time, and those of children that it has waited for: proc(5). */
static double cpu_seconds(pid_t pid) {
  char path[64], text[1024] = "";
  unsigned long t[4] = {0};
  snprintf(path, sizeof path, "/proc/%d/stat", (int)(pid ? pid : getpid()));
  FILE *stat = fopen(path, "r");
  bench_must(stat && fgets(text, sizeof text, stat), path);
  fclose(stat);
  const char *behind = strrchr(text, ')'); /* the name may hold anything */
  bench_must(behind && sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
                              &t[0], &t[1], &t[2], &t[3]) == 4,
             path);
  return (double)(t[0] + t[1] + t[2] + t[3]) / (double)sysconf(_SC_CLK_TCK);
}

void usage_of(pid_t pid, struct usage *usage) {
  usage->cpu_s = cpu_seconds(pid);
  usage->written = proc_number(pid, "io", "write_bytes:");
}

double memory_of(pid_t pid) {
  return proc_number(pid, "smaps_rollup", "Pss:") / 1024;
}

bool program_is_there(const char *name) {
  char command[128];
  snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
  return system(command) == 0;
}

static void become(const char *const argv[], const char *log, int in, int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0 || dup2(fd, 2) < 0 || dup2(in >= 0 ? in : open("/dev/null", O_RDONLY), 0) < 0 ||
      dup2(out >= 0 ? out : fd, 1) < 0)
    _exit(127);
  for (int other = 3; other < 256; other++) close(other);
  execvp(argv[0], (char *const *)(uintptr_t)argv);
  _exit(127);
}

pid_t server_start(const char *const argv[], const char *log, int *in, int *out) {
  int to[2] = {-1, -1}, from[2] = {-1, -1};
  fflush(NULL);
  bench_must((!in || pipe(to) == 0) && (!out || pipe(from) == 0), "pipe");
  pid_t pid = fork();
  bench_must(pid >= 0, "fork");
  if (pid == 0) become(argv, log, to[0], from[1]);
  if (in) *in = to[1], close(to[0]);
  if (out) *out = from[0], close(from[1]);
  return pid;
}

void server_stop(pid_t pid) {
  kill(pid, SIGTERM);
  waitpid(pid, NULL, 0);
}
