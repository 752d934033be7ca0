// Package agents says who works: the agents of a profile, how each is launched,
// and the text an agent starts from.
//
// An agent is a folder agents/<name> in a profile with a config.yaml. Its
// runtime says how it is launched, its terminal in which sandbox and with
// which of the host's paths and variables. Nothing of an agent is shared with
// another profile.
//
// Sub-packages: worker is the protocol between an agent and its board, runtime
// how each kind of agent is launched and what its output means, supervise the process that runs one attempt, start puts that process into
// the world, builtin the agents that need no model and no network.
package agents
