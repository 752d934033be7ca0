//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/moby/client"
)

// engine is a connection to a running engine. Its user closes it.
type engine struct {
	*client.Client
	kind     Engine
	address  string
	rootless bool // it runs as an ordinary user, in a user namespace
}

// connect finds the engine and agrees with it on a version of the interface.
func (b box) connect(ctx context.Context) (*engine, error) {
	address, err := b.find()
	if err != nil {
		return nil, err
	}
	e := &engine{kind: b.engine, address: address}
	path, ok := strings.CutPrefix(address, "unix://")
	if !ok {
		return nil, e.unusable("it is not on this host, whose folders a container is given", "use an address of the form unix:///path", nil)
	}
	info, err := os.Stat(path)
	if err == nil {
		var conn net.Conn
		if conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
			conn.Close()
		}
	}
	if err != nil {
		return nil, e.explain(err)
	}
	if e.Client, err = client.New(client.WithHost(address)); err != nil {
		return nil, e.unusable("no client for it", "", err)
	}
	if _, err := e.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		e.Close()
		return nil, e.explain(err)
	}
	if err := e.checkOwner(ctx, info.Sys().(*syscall.Stat_t).Uid); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// checkOwner finds out whether an engine that root does not own runs without
// root, and whether it serves this process.
func (e *engine) checkOwner(ctx context.Context, owner uint32) error {
	if owner == 0 {
		return nil
	}
	e.rootless = true
	if e.kind == Docker { // podman's answer has no word of it
		got, err := e.Info(ctx, client.InfoOptions{})
		if err != nil {
			return e.explain(err)
		}
		e.rootless = slices.Contains(got.Info.SecurityOptions, "name=rootless")
	}
	switch {
	case !e.rootless:
		return nil
	case owner != uint32(os.Geteuid()):
		return e.unusable("it is another user's, and runs without root", "use the engine of root or your own", nil)
	case e.kind == Docker:
		return e.unusable("it runs without root, where the owner of a container's files cannot be chosen", "use podman or the engine of root", nil)
	}
	return nil
}

func (e *engine) unusable(reason, hint string, err error) error {
	return &EngineError{Engine: e.kind, Address: e.address, Reason: reason, Hint: hint, Err: err}
}

// explain says in plain words why the engine does not answer.
func (e *engine) explain(err error) error {
	starting := "start it: systemctl start docker"
	joining := "join the group docker, whose members are as good as root: usermod -aG docker $USER"
	if e.kind == Podman {
		starting = "start it: systemctl --user start podman.socket, as root systemctl start podman.socket, or podman system service --time 0"
		joining = "use your own: systemctl --user start podman.socket"
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.unusable("no socket there", "install "+string(e.kind)+" and "+starting, nil)
	case errors.Is(err, fs.ErrPermission):
		return e.unusable("permission denied on the socket", joining, nil)
	case errors.Is(err, syscall.ECONNREFUSED):
		return e.unusable("nobody listens on the socket", starting, nil)
	case client.IsErrConnectionFailed(err):
		return e.unusable("it does not answer", "see whether it still runs", err)
	}
	return e.unusable("it refuses", "", err)
}

// find returns the address of the engine as its own command line would.
func (b box) find() (string, error) {
	if b.address != "" {
		return b.address, nil
	}
	user := os.Getenv("XDG_RUNTIME_DIR")
	if b.engine == Podman {
		if host := os.Getenv("CONTAINER_HOST"); host != "" {
			return host, nil
		}
		if os.Getuid() != 0 && user != "" {
			return "unix://" + filepath.Join(user, "podman/podman.sock"), nil
		}
		return "unix:///run/podman/podman.sock", nil
	}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return host, nil
	}
	if host, err := contextHost(); host != "" || err != nil {
		return host, err
	}
	return client.DefaultDockerHost, nil
}

// contextHost returns the address of the context that the operator chose for
// docker's command line, empty for the default one.
func contextHost() (string, error) {
	home, err := os.UserHomeDir()
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		if err != nil {
			return "", nil
		}
		dir = filepath.Join(home, ".docker")
	}
	var config struct{ CurrentContext string }
	name := os.Getenv("DOCKER_CONTEXT")
	if data, err := os.ReadFile(filepath.Join(dir, "config.json")); name == "" && err == nil {
		if err := json.Unmarshal(data, &config); err != nil {
			return "", fmt.Errorf("docker's %s: %w", filepath.Join(dir, "config.json"), err)
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return "", nil
	}
	digest := sha256.Sum256([]byte(name))
	data, err := os.ReadFile(filepath.Join(dir, "contexts/meta", hex.EncodeToString(digest[:]), "meta.json"))
	if err != nil {
		return "", fmt.Errorf("docker's context %q: %w", name, err)
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		return "", fmt.Errorf("docker's context %q: %w", name, err)
	}
	return meta.Endpoints["docker"].Host, nil
}
