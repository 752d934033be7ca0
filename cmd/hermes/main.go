package main

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
)

func main() {
	env := systemEnv()
	if slices.Contains(env.Args, "kanban") && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // it ends before its garbage is worth collecting
	}
	os.Exit(run(context.Background(), env))
}
