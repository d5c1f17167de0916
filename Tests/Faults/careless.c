/* Stands between a program and the C library (LD_PRELOAD) and makes nothing durable that it wants durable: a mutant that power
 * cuts must find. */
int fsync(int file) { (void)file; return 0; }
int fdatasync(int file) { (void)file; return 0; }
