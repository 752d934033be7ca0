// Package planner turns rough ideas in triage into tasks, by asking a program
// of the operator's choice.
//
// The program gets one JSON object on standard input and answers one on
// standard output: a task put properly (specify), or a graph of tasks
// (decompose). What it answers is checked like any stranger's input before
// anything is written, and written in one commit. A failure is an event with a
// time before which the idea is not tried again; after as many as the board's
// policy allows, the idea is put before a person. What costs nothing is
// checked before the program is started: it may cost money.
package planner
