// Package mcp offers the tools of a run to a model, as a server of the Model
// Context Protocol that calls the run's worker socket.
//
// It runs beside the agent, inside the sandbox, and has no rights of its own:
// every rule is applied behind the socket. What it adds is what a model needs:
// schemas, words, refusals it can act on, and files handed over by path.
package mcp
