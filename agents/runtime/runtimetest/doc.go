// Package runtimetest has a model for tests of agents, a server that speaks
// the APIs of the providers, streaming as they do, and answers from a script;
// and imitations of the command line programs that would talk to it.
package runtimetest
