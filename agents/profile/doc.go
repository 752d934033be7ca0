// Package profile is a client, or oneself: a folder with its own configuration,
// secrets, agents, skills, schedules and logs. Nothing in it is shared with
// another profile.
//
//	config.yaml   what the profile is and may do; see [Config]
//	.env          its secrets by name, 0600; see [Secrets]
//	SOUL.md       who its agents are, given to each of them as instructions
//	agents/       its workers; see package agents
//	skills/       what its agents can read up on
//	cron/         what recurs
//	logs/         what its gateway said
//
// The default profile is the home itself; the others lie in profiles/<name>.
package profile
