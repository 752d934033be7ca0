package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hermes": func() { os.Exit(run(context.Background(), systemEnv())) },
	})
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
			return nil
		},
	})
}
