/* Going on in the archive's newest file: so that commands which each make one change and end do not leave a
 * file each. Not where that would cost anything: a damaged byte takes what comes behind it in its file with
 * it, so a file does not reach across a backup, and stays small. The caller owns the data folder. */
#ifndef STORE_ARCHIVE_RESUME_H
#define STORE_ARCHIVE_RESUME_H

#include "store/archive.h"

/* Opens the file to add to it, as archive_create has: one that is small, whole to its last byte, ends with
 * group `after`, and began behind the newest backup. False: there is none, and the archive is closed. */
bool archive_resume(struct archive *archive, const char *dir, uint64_t epoch, uint64_t after);

#endif
