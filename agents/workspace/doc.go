// Package workspace makes the folders that runs work in from a repository,
// takes the agent's commits back, and moves and removes what runs leave.
//
//	Clone       operator's repository -> runs/t7.1/workspace/repo   before the run, on the host
//	Checkout.Bundle   branch          -> runs/t7.1/outputs/*.bundle after the run, in its sandbox
//	Fetch       stored bundle         -> refs/heads/hermes/t7/t7.1  when a person asks for it, on the host
//	TakeOver, Earlier                 what the last attempt left, for the next one
//	SetAside                          what a board that was restored left
//	Remove                            when nobody needs it any more
//
// # What is trusted
//
// The operator's repository is trusted for its content, not for its settings:
// cloning it or fetching into it runs nothing that it names. Objects are read
// from its object store as an alternate of a repository of our own, so that
// its configuration, hooks, attributes and remotes play no part; only listing
// and setting its branches is done in it, with hooks and everything else that
// starts programs turned off. There is no transport, and so no upload-pack, no
// remote helper and no credential helper.
//
// What an agent wrote is not trusted at all. No git is run on the host in a
// folder that an agent could write to. A bundle is data: its header is read
// here, its objects are checked by git in a quarantine, with bounds on time,
// size and memory, and what is reachable from its one branch is packed anew
// for the operator's repository. Nothing is checked out.
//
// Moving and removing follow no links and touch only the folders of runs.
//
// Submodules and large files of LFS are not part of a clone. The host needs git
// 2.30 or later, sandboxes any.
package workspace
