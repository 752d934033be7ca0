// Package apptainerbox runs programs in containers of Apptainer, or of
// Singularity where that is what is installed, with or without root.
//
// The container is made of an image, which has to be chosen: a SIF file or the
// folder of a system's root. It is read-only. The program has its workspace at
// /ws, the listed mounts, memory at /tmp, its own processes, and no network but
// its loopback unless the spec asks for the host's. It has no capabilities and
// no way to gain any. Its first program is this program's own binary, which starts
// it with exactly the environment it was given, behind the system call filter:
// see package ocibox/inside.
//
// How much is written to /tmp is set by Apptainer's own configuration and not
// limited here. Memory, processor time and the number of processes are limited
// where [Options] has control groups that do so on this host. The session dies
// with the supervisor, as in package ocibox.
package apptainerbox
