//go:build amd64 || arm64

package apptainerbox

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// initPath is where the container's first program is.
const initPath = "/run/hermes/bin/init"

// arguments are those of the container program, up to our first program.
func arguments(spec *driver.Spec, image, init string) ([]string, error) {
	argv := []string{"exec", "--userns", "--containall", "--no-home", "--cleanenv", "--no-privs", "--hostname", rootfs.Hostname,
		"--uts", "--ipc", "--pid", "--pwd", rootfs.WorkingDir(spec)}
	if spec.Network != driver.FullNetwork {
		argv = append(argv, "--net", "--network", "none")
	}
	plan, err := rootfs.Plan(spec)
	if err != nil {
		return nil, err
	}
	// The system is the image's; of the plan, what the spec gives is mounted.
	own := slices.IndexFunc(plan, func(s rootfs.Step) bool { return s.Kind == rootfs.Dir })
	for _, step := range append(plan[own:], rootfs.Step{Kind: rootfs.Bind, Path: initPath, Source: init}) {
		if step.Kind != rootfs.Bind {
			continue
		}
		fields := []string{"type=bind", "source=" + step.Source, "destination=" + step.Path}
		if !step.Writable {
			fields = append(fields, "ro")
		}
		argv = append(argv, "--mount", record(fields))
	}
	return append(argv, image), nil
}

// record is a line as the option reads it: a path may hold any character.
func record(fields []string) string {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	w.Write(fields) // to memory
	w.Flush()
	return strings.TrimSuffix(line.String(), "\n")
}
