package dockerbox

import (
	"github.com/moby/moby/client"

	"github.com/hermesboard/hermes/sandbox"
)

// Engine is a program that runs containers and speaks Docker's API.
type Engine string

// The engines. Their names are the backends' names in configuration.
const (
	Docker Engine = "docker"
	Podman Engine = "podman"
)

// Options choose the engine. Nil means Docker where it is found.
type Options struct {
	// Engine is Docker if empty.
	Engine Engine
	// Address is where the engine listens, as unix:///path. Empty looks where
	// the engine's own command line does: DOCKER_HOST, the current context and
	// the usual sockets, or CONTAINER_HOST and the usual sockets.
	Address string
	// Image is the root that containers start from, as [sandbox.Settings] may
	// say for one profile: a reference, a digest as name@sha256:…, or the path
	// of an archive of a root, which is imported once. Empty is an image with
	// nothing in it, which is made where it is missing.
	Image string
}

// New returns the backend "docker" or "podman". It is made on every host;
// Probe says whether it works there. The program must call [Main] first.
func New(opts *Options) *sandbox.Sandbox {
	return sandbox.New(newBox(opts))
}

// box is the driver.
type box struct {
	engine         Engine
	address, image string
	edit           func(*client.ContainerCreateOptions) // takes walls away in tests; nil leaves all
}

func newBox(opts *Options) box {
	if opts == nil {
		opts = &Options{}
	}
	b := box{engine: opts.Engine, address: opts.Address, image: opts.Image}
	if b.engine == "" {
		b.engine = Docker
	}
	return b
}

func (b box) Name() string { return string(b.engine) }
