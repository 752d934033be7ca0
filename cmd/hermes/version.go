package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// Version is set by the release build; otherwise the module's own version is used.
var Version = ""

// version returns what this program calls itself.
func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "0.1.0-dev"
}

func versionCommand(env Env) *cli.Command {
	return verb(env, "version", "", "print the version", "", nil, func(_ context.Context, x *call) error {
		if x.json() {
			return x.emit(map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
		}
		return printVersion(x.Env)
	})
}

func printVersion(env Env) error {
	_, err := fmt.Fprintf(env.Stdout, "hermes %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
