package proxy

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Listen is where a relay listens inside a sandbox, and Socket what the
// proxy's socket is called in the folder that is shown inside.
const (
	Listen = "127.0.0.1:8787"
	Socket = "proxy"
)

// maxRelayed bounds the connections that a relay carries at once; more wait.
const maxRelayed = 512

// Relay is the inside's end: it carries every connection to a loopback address
// on to a unix socket.
type Relay struct {
	l      *net.TCPListener
	socket string
}

// NewRelay listens on addr, a loopback address with a port, for what is to be
// carried to the unix socket. Close or Run ends it.
func NewRelay(addr, socket string) (*Relay, error) {
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	if !at.IP.IsLoopback() {
		return nil, fmt.Errorf("relay: %s is not a loopback address", addr)
	}
	l, err := net.ListenTCP("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return &Relay{l: l, socket: socket}, nil
}

// Addr is where it listens.
func (r *Relay) Addr() net.Addr { return r.l.Addr() }

// Run carries connections until ctx ends, and returns when all have ended.
func (r *Relay) Run(ctx context.Context) error {
	defer r.l.Close()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { r.l.Close() })
	defer stop()
	var carrying sync.WaitGroup
	defer carrying.Wait()
	defer cancel()
	slots := make(chan struct{}, maxRelayed)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := r.l.Accept()
		if err != nil {
			<-slots
			if ctx.Err() != nil {
				return nil
			}
			select { // no descriptor is free; what else may fail passes, too
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		carrying.Go(func() {
			defer func() { <-slots }()
			r.carry(ctx, conn)
		})
	}
}

func (r *Relay) carry(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	to, err := new(net.Dialer).DialContext(ctx, "unix", r.socket)
	if err != nil {
		return
	}
	defer to.Close()
	stop := context.AfterFunc(ctx, func() {
		conn.Close()
		to.Close()
	})
	defer stop()
	splice(conn, to)
}

// Command is the command line with which program, inside a sandbox, relays to
// the socket in socketDir and runs argv.
func Command(program, socketDir string, argv []string) []string {
	return append([]string{program, "worker", "init", "--listen", Listen, "--to", socketDir + "/" + Socket, "--"}, argv...)
}

// ParseCommand reads such a command line, without the program.
func ParseCommand(args []string) (listen, to string, argv []string, ok bool) {
	if len(args) < 8 || strings.Join([]string{args[0], args[1], args[2], args[4], args[6]}, " ") != "worker init --listen --to --" {
		return "", "", nil, false
	}
	return args[3], args[5], args[7:], true
}

// Environ is what clients are told of a relay: env without what it says about
// proxies, with this one added. The sandbox's own loopback is no host.
func Environ(env []string) []string {
	const url, own = "http://" + Listen, "localhost,127.0.0.1,::1"
	vars := []struct{ name, value string }{
		{"HTTP_PROXY", url}, {"HTTPS_PROXY", url}, {"ALL_PROXY", ""}, {"NO_PROXY", own},
	}
	var all []string
next:
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		for _, v := range vars {
			if strings.EqualFold(name, v.name) {
				continue next
			}
		}
		all = append(all, entry)
	}
	for _, v := range vars {
		if v.value != "" {
			all = append(all, v.name+"="+v.value, strings.ToLower(v.name)+"="+v.value)
		}
	}
	return all
}
