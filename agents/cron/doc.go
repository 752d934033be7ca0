// Package cron makes tasks again and again: at night, on Mondays, every hour.
//
// An entry is a file NAME.yaml in the cron folder of a profile. It has a
// schedule as cron writes it, a time zone, and the task to be made on a board;
// see [Entry]. Beside it NAME.last says up to when its ticks have been dealt
// with. A [Runner] makes the tasks of those entries whose boards its process
// holds.
//
// A tick makes one task, however often it is dealt with, because its command id
// is made of board, entry and tick. What was missed while nobody ran is decided
// by the entry's policy, see [Missed].
//
// Times of day are those of the wall clock. Where it skips an hour, an entry for
// a time in it ticks when the hour is over; where it repeats one, the entry
// ticks once. Entries for every hour, and "@every", tick by elapsed time.
package cron
