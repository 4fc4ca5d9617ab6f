/* The yardstick: what the machine's disk does when it is asked to keep 4 KiB, one after the other. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/bench.h"

enum { PAGE = 4096, PAGES = 256 };

static void write_pages(const struct load *load, struct figures *figures, bool append) {
  static char page[PAGE];
  char path[1024];
  snprintf(path, sizeof path, "%s/disk", load->dir);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  bench_must(fd >= 0, "making a file");
  for (int i = 0; i < PAGES && !append; i++)
    bench_must(pwrite(fd, page, PAGE, (off_t)i * PAGE) == PAGE, "a write");
  fsync(fd);
  workload_start(load, 0);
  for (long n = 0; !workload_over(); n++) {
    int64_t began = workload_now_us();
    off_t at = (off_t)(append ? n : n % PAGES) * PAGE;
    bench_must(pwrite(fd, page, PAGE, at) == PAGE && fdatasync(fd) == 0, "a write");
    workload_answered(began, 1);
  }
  workload_stop(figures);
  workload_settled(figures, 0);
  close(fd);
  unlink(path);
}

static void measure_append(const struct load *load, struct figures *figures) {
  write_pages(load, figures, true);
}

static void measure_overwrite(const struct load *load, struct figures *figures) {
  write_pages(load, figures, false);
}

const struct side append_side = {
    .name = "append",
    .settings = "4 KiB at the end of a file, then fdatasync",
    .measure = measure_append,
};

const struct side overwrite_side = {
    .name = "overwrite",
    .settings = "4 KiB into a file of 1 MiB, then fdatasync",
    .measure = measure_overwrite,
};
