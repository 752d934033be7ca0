package main

import (
	"context"
	stdflag "flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hermesboard/hermes/agents/runtime/runtimetest"
	"github.com/hermesboard/hermes/events"
)

// blindVariable makes the program take the processes of every run for gone, so
// that tests can prove that they would notice.
const blindVariable = "HERMES_TEST_BLIND"

func TestMain(m *testing.M) {
	sandboxMain()
	stdflag.Set("test.parallel", "6") // most wait for other processes; the command line may say another number
	commands := map[string]func(){
		"hermes": func() {
			if os.Getenv(blindVariable) != "" {
				alive = func(events.BoardID, events.RunID, events.RunStarted) (bool, error) { return false, nil }
			}
			os.Exit(run(context.Background(), systemEnv()))
		},
		"hostile": playHostile, // an agent
		"claude":  func() { os.Exit(runtimetest.Programs["claude"](os.Args[1:])) },
	}
	_, named := commands[filepath.Base(os.Args[0])]
	if !named && len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Args[0] = "hermes" // a test has the program in its own process, which starts itself
	}
	testscript.Main(plainly{m, slices.Collect(maps.Keys(commands))}, commands)
}

// TestScripts runs testdata/script/*.txtar: command lines as a person types
// them, each in a home of its own, by the real program as a process.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("HERMES_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("HERMES_USER", "kai")
			e.Setenv("TMPDIR", e.WorkDir)
			e.Setenv("HERMES_SHARED_DIR", e.WorkDir)
			return nil
		},
	})
}
