package main

import (
	"context"
	"os"
	"runtime/debug"
	"slices"

	_ "time/tzdata" // zones by name also where the host has none
)

func main() {
	sandboxMain()
	env := systemEnv()
	switch {
	case os.Getenv("GOGC") != "":
	case slices.Contains(env.Args, "kanban"):
		debug.SetGCPercent(400) // it ends before its garbage is worth collecting
	case slices.Contains(env.Args, "gateway"):
		debug.SetGCPercent(200) // an eighth less work for each command, paid in memory
	}
	os.Exit(run(context.Background(), env))
}
