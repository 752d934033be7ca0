package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/apptainerbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/dockerbox"
	"github.com/hermesboard/hermes/sandbox/localbox"
	"github.com/hermesboard/hermes/sandbox/nativebox"
	"github.com/hermesboard/hermes/sandbox/ocibox"
	"github.com/hermesboard/hermes/sandbox/sshbox"
)

// cgroups is what this host offers; it does not change while the process lives.
var cgroups = sync.OnceValue(sandbox.DetectCgroups)

// sandboxMain does not return where a backend started this program as the first
// one inside.
func sandboxMain() {
	dockerbox.Main()
	sshbox.Main()
}

// sandboxes is the list of backends this program offers. Apptainer is also known
// by its older name.
func sandboxes() (*sandbox.Registry, error) {
	known, err := sandbox.NewRegistry(localbox.New(localbox.WithCgroups(cgroups())), bwrapbox.New(&bwrapbox.Options{Cgroups: cgroups()}),
		nativebox.New(&nativebox.Options{Cgroups: cgroups()}),
		dockerbox.New(&dockerbox.Options{Engine: dockerbox.Docker}), dockerbox.New(&dockerbox.Options{Engine: dockerbox.Podman}),
		ocibox.New(&ocibox.Options{Cgroups: cgroups()}), ocibox.New(&ocibox.Options{Runtime: ocibox.GVisor, Cgroups: cgroups()}),
		sshbox.New(nil), apptainerbox.New(&apptainerbox.Options{Cgroups: cgroups()}))
	if err != nil {
		return nil, err
	}
	return known.WithAlias("singularity", "apptainer")
}

// standard are the backends for agents that name none, in the order in which
// they are tried. They need no daemon and no setting.
var standard = []string{"bubblewrap", "native"}

// standardBox returns the first of them that works here, and why those before
// it do not; nil if none does.
func standardBox(ctx context.Context, known *sandbox.Registry) (box *sandbox.Sandbox, why []error) {
	for _, name := range standard {
		box, err := known.Get(name)
		if err == nil {
			report := box.Probe(ctx)
			if report.Available {
				return box, why
			}
			err = fmt.Errorf("%s does not work here: %s", name, report.Reason)
		}
		why = append(why, err)
	}
	return nil, why
}

// standardBackend is the name of that backend: where none works, of the first,
// so that an agent is held with the reason and not run without isolation.
func standardBackend(ctx context.Context, known *sandbox.Registry) string {
	if box, _ := standardBox(ctx, known); box != nil {
		return box.Name()
	}
	return standard[0]
}

// reapContainers removes containers that outlived their supervisors, of the
// engines that answer. It returns how many there were.
func reapContainers(ctx context.Context) (removed int, err error) {
	for _, e := range []dockerbox.Engine{dockerbox.Docker, dockerbox.Podman} {
		n, reapErr := dockerbox.Reap(ctx, &dockerbox.Options{Engine: e}, nil)
		removed += n
		if _, down := errors.AsType[*dockerbox.EngineError](reapErr); !down {
			err = errors.Join(err, reapErr)
		}
	}
	return removed, err
}

func sandboxCommand(env Env) *cli.Command {
	image := str("image", "", "the root that a container starts from")
	return noun(env, "sandbox", "the sandboxes agents run in",
		verb(env, "list,ls", "", "list the backends, what each enforces here, and what a start costs", "", nil, runSandboxList),
		verb(env, "check", "[BACKEND…]", "try to break out of a backend, in every way we know", checkHelp, []cli.Flag{
			image, flag("markdown", "", "print the results as a table for a document"), list("only", "", "only this attempt (F1, N12, …); again for several"),
		}, sandboxCheck),
		verb(env, "run", "BACKEND -- PROGRAM [ARGUMENT…]", "run a program in a backend, to try it", "", []cli.Flag{
			str("workspace", "w", "the folder it works in (default: an empty one, removed afterwards)"),
			str("network", "", "none (default), proxy or full"), list("allow", "", "a host that the proxy lets through; again for several"), image,
		}, sandboxRun),
		attemptVerb(env))
}
