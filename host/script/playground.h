/* A folder for the store of a test: in memory, where the system offers it as a folder, so that no disk is
 * waited for.
 *
 * Private to host/script. It has the number of our process in its name; those of processes that were killed
 * are removed when the next one is made. */
#ifndef SCRIPT_PLAYGROUND_H
#define SCRIPT_PLAYGROUND_H

char *playground_make(void);                /* to be freed with mem_free; NULL: none, and errno says why */
void playground_remove(const char *folder); /* with all in it */

#endif
